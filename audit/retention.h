// What retention leaves behind: ranges of indexes whose records are gone while their hashes stay,
// and the records that say so (docs/audit_format.md). Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/record.h"
#include "audit/tree.h"
#include "base/clock.h"
#include "base/result.h"

namespace holdfast::audit {

// `first` to `until` - 1.
struct IndexRange {
  std::uint64_t first = 0;
  std::uint64_t until = 0;
  bool operator==(const IndexRange&) const = default;
};

// Of the JSON text [[0,512],[1024,2048]]. nullopt: it is none, or a range is empty.
std::optional<std::vector<IndexRange>> parse_ranges(std::string_view text);

// The parts of `range` that are in none of `others`, in order.
std::vector<IndexRange> outside_of(const IndexRange& range, std::vector<IndexRange> others);

// How many records a partition of the log holds, as the migrations make them.
inline constexpr std::uint64_t kPartitionRecords = std::uint64_t{1} << 22;

// Whether the range is one partition of that many records, or several that follow each other.
bool is_whole_partitions(const IndexRange& range, std::uint64_t partition_records);

inline constexpr std::string_view kPartitionDropped = "partition_dropped";
inline constexpr std::string_view kRetentionPolicy = "retention_policy";
inline constexpr std::string_view kSubjectErased = "subject_erased";

// A partition of the log as the database plans its end: `first`, `until`, `newest`, `obstacle`,
// `ranges` and `checkpoint` (schema/0012_retention.sql).
struct PlannedPartition {
  IndexRange range;
  std::string newest;    // RFC 3339; empty: not known.
  std::string obstacle;  // Why it stays; empty: it may go.
  nlohmann::json document;
};

// kInternal: the database says something else.
Result<PlannedPartition> read_planned_partition(const nlohmann::json& document);

// What the record of a dropped partition says in its member `system`.
struct DroppedPartition {
  IndexRange range;
  std::vector<IndexRange> ranges;  // All that is gone after it.
  WallTime newest;
  std::chrono::seconds age{};
  TreeHead checkpoint;
};
// nullopt: something of that is missing, or not as it must be.
std::optional<DroppedPartition> read_dropped_partition(const nlohmann::json& system);

// Whom a name would erase, as the database plans it (schema/0016_erasure.sql).
struct PlannedErasure {
  std::vector<std::string> subjects;  // Empty: nothing is sealed under that name.
  std::vector<std::string> names;     // All that they are known by.
  std::int64_t documents = 0;
  std::string documents_sha256;
  std::string obstacle;  // Why it must not be; empty: nothing is against it.
};

// kInternal: the database says something else.
Result<PlannedErasure> read_planned_erasure(const nlohmann::json& document);

// The records' content; the database does what they say in the statement that appends them.
Record partition_dropped(const PlannedPartition& partition, std::int64_t age_s,
                         const std::string& by);
// It names nobody: it stays.
Record subject_erased(const PlannedErasure& erasure, const std::string& reason,
                      const std::string& by);

struct RetentionPolicy {
  std::optional<std::int64_t> floor_s;  // nullopt: nothing may be dropped.
  bool anchored = true;
  bool operator==(const RetentionPolicy&) const = default;
};
Record retention_policy(const RetentionPolicy& policy, const std::string& by);

}  // namespace holdfast::audit
