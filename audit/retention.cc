#include "audit/retention.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;

// Longer than anybody asks for, and short enough to count with.
constexpr std::uint64_t kAgeSecondsMax = 100'000'000'000;

std::optional<IndexRange> range_of(const json& pair) {
  if (!pair.is_array() || pair.size() != 2) return std::nullopt;
  if (!pair[0].is_number_unsigned() || !pair[1].is_number_unsigned()) return std::nullopt;
  const IndexRange range{.first = pair[0].get<std::uint64_t>(),
                         .until = pair[1].get<std::uint64_t>()};
  if (range.first >= range.until) return std::nullopt;
  return range;
}

std::optional<std::vector<IndexRange>> ranges_of(const json& list) {
  if (!list.is_array()) return std::nullopt;
  std::vector<IndexRange> ranges;
  for (const json& pair : list) {
    const std::optional<IndexRange> range = range_of(pair);
    if (!range) return std::nullopt;
    ranges.push_back(*range);
  }
  return ranges;
}

std::optional<TreeHead> head_of(const json& checkpoint) {
  const json size = checkpoint.value("size", json());
  const std::string root = from_base64(text_at(checkpoint, "/root")).value_or("");
  const std::vector<Sha256> hashes = split_hashes(root);
  if (!size.is_number_unsigned() || hashes.size() != 1 || root.size() != sizeof(Sha256)) {
    return std::nullopt;
  }
  return TreeHead{.size = size.get<std::uint64_t>(), .root = hashes.front()};
}

std::string member_text(const json& document, const char* name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::optional<std::vector<IndexRange>> parse_ranges(std::string_view text) {
  const Result<json> list = parse_json(text);
  return list.ok() ? ranges_of(*list) : std::nullopt;
}

std::vector<IndexRange> outside_of(const IndexRange& range, std::vector<IndexRange> others) {
  std::ranges::sort(others, {}, &IndexRange::first);
  std::vector<IndexRange> outside;
  std::uint64_t at = range.first;
  for (const IndexRange& other : others) {
    if (other.until <= at) continue;
    if (other.first >= range.until) break;
    if (other.first > at) outside.push_back({.first = at, .until = other.first});
    at = other.until;
  }
  if (at < range.until) outside.push_back({.first = at, .until = range.until});
  return outside;
}

bool is_whole_partitions(const IndexRange& range, std::uint64_t partition_records) {
  return range.first % partition_records == 0 && range.until % partition_records == 0;
}

std::optional<DroppedPartition> read_dropped_partition(const json& system) {
  const auto range =
      range_of(json::array({system.value("first", json()), system.value("until", json())}));
  auto ranges = ranges_of(system.value("ranges", json()));
  const Result<WallTime> newest = parse_rfc3339(text_at(system, "/newest"));
  const json age = system.value("age_s", json());
  const json checkpoint = system.value("checkpoint", json());
  if (!range || !ranges || !newest.ok() || !age.is_number_unsigned() || !checkpoint.is_object()) {
    return std::nullopt;
  }
  const auto age_s = age.get<std::uint64_t>();
  const std::optional<TreeHead> head = head_of(checkpoint);
  if (age_s < 1 || age_s > kAgeSecondsMax || !head) return std::nullopt;
  return DroppedPartition{.range = *range,
                          .ranges = *std::move(ranges),
                          .newest = *newest,
                          .age = std::chrono::seconds(age_s),
                          .checkpoint = *head};
}

Result<PlannedPartition> read_planned_partition(const json& document) {
  const Error bad{ErrorCode::kInternal, "the database's plan of retention is not as expected"};
  if (!document.is_object()) return bad;
  for (const char* name : {"first", "until", "ranges", "checkpoint", "obstacle", "newest"}) {
    if (!document.contains(name)) return bad;
  }
  const auto range = range_of(json::array({document["first"], document["until"]}));
  if (!range) return bad;
  return PlannedPartition{.range = *range,
                          .newest = member_text(document, "newest"),
                          .obstacle = member_text(document, "obstacle"),
                          .document = document};
}

Record partition_dropped(const PlannedPartition& partition, std::int64_t age_s,
                         const std::string& by) {
  Record record{.kind = Kind::kSystem};
  json& content = record.content["system"];
  for (const char* name : {"first", "until", "newest", "ranges", "checkpoint"}) {
    content[name] = partition.document.at(name);
  }
  content["event"] = kPartitionDropped;
  content["age_s"] = age_s;
  content["by"] = by;
  return record;
}

Result<PlannedErasure> read_planned_erasure(const json& document) {
  try {
    return PlannedErasure{.subjects = document.at("subjects").get<std::vector<std::string>>(),
                          .names = document.at("names").get<std::vector<std::string>>(),
                          .documents = document.at("documents").get<std::int64_t>(),
                          .documents_sha256 = document.at("documents_sha256").get<std::string>(),
                          .obstacle = member_text(document, "obstacle")};
  } catch (const json::exception&) {
    return Error{ErrorCode::kInternal, "the database's plan of an erasure is not as expected"};
  }
}

Record subject_erased(const PlannedErasure& erasure, const std::string& reason,
                      const std::string& by) {
  Record record{.kind = Kind::kSystem};
  record.content["system"] = {{"event", kSubjectErased},
                              {"subjects", erasure.subjects},
                              {"documents", erasure.documents},
                              {"documents_sha256", erasure.documents_sha256},
                              {"reason", reason},
                              {"by", by}};
  return record;
}

Record retention_policy(const RetentionPolicy& policy, const std::string& by) {
  Record record{.kind = Kind::kSystem};
  json& content = record.content["system"];
  content["event"] = kRetentionPolicy;
  content["floor_s"] = policy.floor_s ? json(*policy.floor_s) : json();
  content["anchored"] = policy.anchored;
  content["by"] = by;
  return record;
}

}  // namespace holdfast::audit
