// The log as others verify it: C2SP tlog-tiles under /log/, what others have said of it, proofs,
// and how the tree stands.
#pragma once

#include <optional>
#include <string_view>
#include <variant>

#include "officers/api.h"

namespace holdfast::officers {

inline constexpr std::string_view kCheckpointPath = "/log/checkpoint";
inline constexpr std::string_view kTilePath = "/log/tile/{level}/{index}";
inline constexpr std::string_view kEntriesPath = "/log/tile/entries/{index}";

inline constexpr std::string_view kEvidencePath = "/log/evidence/{index}";

struct CheckpointResource {};
struct EvidenceResource {
  std::uint64_t file = 0;
};
using LogResource =
    std::variant<CheckpointResource, EvidenceResource, audit::TileId, audit::TilePosition>;

// What a path below /log/ names; a TilePosition is a bundle of entries. nullopt: nothing. Pure.
std::optional<LogResource> parse_log_path(std::string_view path);

// The answers. `services` must outlive the task.
Task<http::Response> answer_log(const ApiServices& services, LogResource resource);

using RecordReference = std::variant<std::int64_t, Uuid>;
Task<http::Response> answer_proof(const ApiServices& services, RecordReference which);

// The answer about a record or entries that are not there: 410 where retention has dropped what is
// at that index, else what `why` says.
Task<http::Response> answer_missing(const ApiServices& services, std::uint64_t index, Error why);

Task<http::Response> answer_integrity(const ApiServices& services);

}  // namespace holdfast::officers
