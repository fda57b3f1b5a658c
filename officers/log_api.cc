#include "officers/log_api.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "audit/checkpoint.h"
#include "base/encoding.h"
#include "officers/access.h"
#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

constexpr std::string_view kCheckpoint = "checkpoint";
constexpr std::string_view kTile = "tile/";
constexpr std::string_view kEvidence = "evidence/";
constexpr std::string_view kEntries = "entries/";
constexpr int kLevelMax = 63;
constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kLines = "application/x-ndjson";
constexpr const char* kBytes = "application/octet-stream";
constexpr const char* kForever = "public, max-age=31536000, immutable";
// What needed a credential must not be kept where others find it.
constexpr const char* kForeverPrivate = "private, max-age=31536000, immutable";

std::optional<int> parse_level(std::string_view text) {
  int level = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), level);
  if (error != std::errc() || std::to_string(level) != text || level < 0 || level > kLevelMax) {
    return std::nullopt;
  }
  return level;
}

http::Response answer(const char* type, const char* caching, std::string content) {
  http::Response response;
  response.headers = {{"Content-Type", type}, {"Cache-Control", caching}};
  response.content = std::move(content);
  return response;
}

// How long others may keep what never changes. While the tree is frozen the database does not hold
// what it held, or may not: who looks into that may read it, and nobody is to have it for a year.
const char* caching_now(const ApiServices& services, const char* caching) {
  return services.tree_role().status.frozen.empty() ? caching : "no-store";
}

// Set while nothing that the database says of the tree may be passed on as true.
std::optional<http::Response> frozen_answer(const std::string& why) {
  if (why.empty()) return std::nullopt;
  return problem(503, "the log's tree is frozen: " + why);
}

// What is wrong with the database's newest checkpoint for a process that has seen this one before;
// empty: nothing. Whether a larger one adds to it is for the tree's keeper to find out.
std::string contradiction(const audit::TreeHead& seen,
                          const std::optional<audit::SignedCheckpoint>& newest) {
  const std::string before = "one over " + std::to_string(seen.size) + " records has been seen";
  if (!newest) return "the database has no checkpoint, and " + before;
  const Result<audit::Checkpoint> checkpoint = audit::read_checkpoint(newest->note);
  if (!checkpoint.ok()) return "the newest checkpoint in the database is none, and " + before;
  const audit::TreeHead& head = checkpoint->head;
  if (head == seen || head.size > seen.size) return {};
  return "the newest checkpoint in the database is over " + std::to_string(head.size) +
         " records, and another " + before;
}

// Clocks of two machines may differ.
std::int64_t milliseconds_since(const Clock& clock, WallTime then) {
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(clock.now() - then);
  return std::max<std::int64_t>(age.count(), 0);
}

void add_unsettled(json& body, const audit::LogState& log, const ApiServices& services) {
  const ReconcileRole role = services.reconcile_role();
  body["unsettled"] = log.unsettled;
  body["oldest_unsettled_ms"] = nullptr;
  if (log.unsettled_since) {
    body["oldest_unsettled_ms"] = milliseconds_since(services.clock, *log.unsettled_since);
  }
  body["reconciling"] = role.asks;
  body["reconcile_problem"] = nullptr;
  if (!role.problem.empty()) body["reconcile_problem"] = role.problem;
}

json dropped_json(const std::vector<audit::DroppedRange>& dropped) {
  json list = json::array();
  for (const audit::DroppedRange& gone : dropped) {
    list.push_back({{"first", gone.range.first},
                    {"until", gone.range.until},
                    {"record", gone.record},
                    {"at", gone.at}});
  }
  return list;
}

Task<http::Response> answer_checkpoint(const ApiServices& services) {
  // Before the database is asked: this process may publish a newer one meanwhile.
  const audit::TreeStatus known = services.tree_role().status;
  if (std::optional<http::Response> frozen = frozen_answer(known.frozen)) {
    co_return *std::move(frozen);
  }
  Result<audit::TreeState> state = co_await services.tree.state();
  if (!state.ok()) co_return failure(state.error());
  if (known.seen) {
    std::optional<http::Response> frozen =
        frozen_answer(contradiction(*known.seen, state->checkpoint));
    if (frozen) co_return *std::move(frozen);
  }
  if (!state->checkpoint) co_return problem(404, "this log has no signed checkpoint");
  co_return answer(kText, "no-cache", std::move(state->checkpoint->note));
}

// A file that is full stays as it is.
Task<http::Response> answer_evidence(const ApiServices& services, std::uint64_t file) {
  const Result<std::vector<audit::Evidence>> found = co_await services.tree.evidence(file);
  if (!found.ok()) co_return failure(found.error());
  std::string lines;
  for (const audit::Evidence& piece : *found) lines += evidence_line(piece);
  const bool full = found->size() == audit::kEvidenceInFile;
  const char* caching = full ? kForever : "no-cache";
  co_return answer(kLines, caching_now(services, caching), std::move(lines));
}

json anchors_json(const std::vector<audit::AnchorStatus>& anchors, const Clock& clock) {
  json list = json::array();
  for (const audit::AnchorStatus& anchor : anchors) {
    json item = {{"kind", anchor.kind}, {"name", anchor.name},  {"size", nullptr},
                 {"root", nullptr},     {"signed_at", nullptr}, {"age_ms", nullptr},
                 {"problem", nullptr}};
    if (anchor.head) {
      item["size"] = anchor.head->size;
      item["root"] = to_base64(bytes_of(anchor.head->root));
    }
    if (anchor.signed_at) {
      item["signed_at"] = to_rfc3339(*anchor.signed_at);
      item["age_ms"] = milliseconds_since(clock, *anchor.signed_at);
    }
    if (!anchor.problem.empty()) item["problem"] = anchor.problem;
    list.push_back(std::move(item));
  }
  return list;
}

}  // namespace

std::optional<LogResource> parse_log_path(std::string_view path) {
  if (path == kCheckpoint) return CheckpointResource{};
  if (path.starts_with(kEvidence)) {
    const auto position = audit::parse_tile_position(path.substr(kEvidence.size()));
    if (!position || position->width != audit::kTileWidth) return std::nullopt;
    return EvidenceResource{.file = position->index};
  }
  if (!path.starts_with(kTile)) return std::nullopt;
  path.remove_prefix(kTile.size());
  const bool entries = path.starts_with(kEntries);
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<audit::TilePosition> position =
      audit::parse_tile_position(path.substr(slash + 1));
  if (!position) return std::nullopt;
  if (entries) return *position;
  const std::optional<int> level = parse_level(path.substr(0, slash));
  if (!level) return std::nullopt;
  return audit::TileId{.level = *level, .index = position->index, .width = position->width};
}

Task<http::Response> answer_log(const ApiServices& services, LogResource resource) {
  if (std::holds_alternative<CheckpointResource>(resource)) {
    co_return co_await answer_checkpoint(services);
  }
  if (const auto* evidence = std::get_if<EvidenceResource>(&resource)) {
    co_return co_await answer_evidence(services, evidence->file);
  }
  if (const auto* id = std::get_if<audit::TileId>(&resource)) {
    Result<std::string> tile = co_await services.tree.tile(*id);
    if (!tile.ok()) co_return failure(tile.error());
    co_return answer(kBytes, caching_now(services, kForever), *std::move(tile));
  }
  const audit::TilePosition position = std::get<audit::TilePosition>(resource);
  Result<std::string> bundle = co_await services.tree.bundle(position);
  if (!bundle.ok()) {
    const std::uint64_t first = position.index * audit::kTileWidth;
    co_return co_await answer_missing(services, first, bundle.error());
  }
  const bool open = services.entry_readers == EntryReaders::kAnyone;
  const char* caching = open ? kForever : kForeverPrivate;
  co_return answer(kBytes, caching_now(services, caching), *std::move(bundle));
}

Task<http::Response> answer_proof(const ApiServices& services, RecordReference which) {
  if (std::optional<http::Response> frozen = frozen_answer(services.tree_role().status.frozen)) {
    co_return *std::move(frozen);
  }
  Result<std::string> proof = co_await services.tree.proof(which);
  if (!proof.ok()) co_return failure(proof.error());
  co_return answer(kText, "no-store", *std::move(proof));
}

Task<http::Response> answer_missing(const ApiServices& services, std::uint64_t index, Error why) {
  if (why.code != ErrorCode::kNotFound) co_return failure(why);
  const Result<audit::LogState> state = co_await services.records.state();
  if (!state.ok()) co_return failure(state.error());
  const audit::DroppedRange* dropped = dropped_range_of(*state, index);
  if (dropped == nullptr) co_return failure(why);
  co_return problem(410, "retention dropped the records " + std::to_string(dropped->range.first) +
                             " to " + std::to_string(dropped->range.until - 1) + " at " +
                             dropped->at + ", as record " + std::to_string(dropped->record) +
                             " says; their hashes and proofs are still there");
}

Task<http::Response> answer_integrity(const ApiServices& services) {
  const Result<audit::TreeState> state = co_await services.tree.state();
  if (!state.ok()) co_return failure(state.error());
  const Result<audit::LogState> log = co_await services.records.state();
  if (!log.ok()) co_return failure(log.error());
  const TreeRole role = services.tree_role();
  json body = {{"signed", state->checkpoint.has_value()},
               {"size", nullptr},
               {"root", nullptr},
               {"signed_at", nullptr},
               {"age_ms", nullptr},
               {"log_size", state->log_size},
               {"behind", state->log_size},
               {"checkpoint", nullptr},
               {"leader", nullptr},
               {"leading_here", role.status.leading},
               {"origin", nullptr},
               {"keys", role.keys},
               {"frozen", nullptr},
               {"anchors", anchors_json(role.anchors, services.clock)}};
  add_unsettled(body, *log, services);
  body["dropped"] = dropped_json(log->dropped);
  if (state->checkpoint) {
    const audit::SignedCheckpoint& newest = *state->checkpoint;
    body["size"] = newest.head.size;
    body["root"] = to_base64(bytes_of(newest.head.root));
    body["signed_at"] = to_rfc3339(newest.signed_at);
    body["age_ms"] = milliseconds_since(services.clock, newest.signed_at);
    // A log that has gone back holds fewer.
    body["behind"] = state->log_size - std::min<std::uint64_t>(newest.head.size, state->log_size);
    body["checkpoint"] = newest.note;
  }
  if (!state->leader.empty()) body["leader"] = state->leader;
  if (!role.origin.empty()) body["origin"] = role.origin;
  if (!role.status.frozen.empty()) body["frozen"] = role.status.frozen;
  co_return json_response(200, body);
}

}  // namespace holdfast::officers
