#include "audit/retention_check.h"

#include <algorithm>
#include <iterator>

#include "base/json.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;

// How far the clocks of the database, of writers and of who runs retention may be apart.
constexpr std::chrono::hours kClocksApart{1};

std::string records_text(const IndexRange& range) {
  return "the records " + std::to_string(range.first) + " to " + std::to_string(range.until - 1);
}

std::string seconds_text(std::int64_t seconds) {
  return std::to_string(seconds) + " s";
}

}  // namespace

RetentionCheck::Finding RetentionCheck::add(std::uint64_t index, const EntryFacts& facts) {
  if (facts.system.empty()) return {};
  const Result<json> system = parse_json(facts.system);
  if (!system.ok()) return {.wrong = {"its member system cannot be read"}, .gone = {}};
  const std::string event = text_at(*system, "/event");
  if (facts.role == WriterRole::kAudit && event.starts_with("hold_")) {
    note_hold(index, facts, *system);
  }
  if (facts.role != WriterRole::kRetention) return {};
  if (event == kRetentionPolicy) note_policy(index, *system);
  if (event == kPartitionDropped) return check_drop(index, facts, *system);
  return {};
}

void RetentionCheck::note_policy(std::uint64_t index, const json& system) {
  const json floor = system.value("floor_s", json());
  floor_s_.reset();
  if (floor.is_number_integer()) floor_s_ = floor.get<std::int64_t>();
  policy_until_ = index + 1;
}

// Who may lift it is for the tables' check to say: here it is over with the first who does.
void RetentionCheck::note_hold(std::uint64_t index, const EntryFacts& facts, const json& system) {
  Hold& hold = holds_[text_at(system, "/hold/id")];
  const std::string event = text_at(system, "/event");
  if (event == "hold_placed" && !hold.placed) hold.placed = index;
  if (event == "hold_lifted") hold.over = true;
  hold.step_until = index + 1;
  hold.step_time = facts.time;
}

RetentionCheck::Finding RetentionCheck::check_drop(std::uint64_t index, const EntryFacts& facts,
                                                   const json& system) {
  const std::optional<DroppedPartition> drop = read_dropped_partition(system);
  if (!drop) {
    return {.wrong = {"the record of a dropped partition lacks first, until, ranges, newest, age_s "
                      "or checkpoint, or has one that is none"},
            .gone = {}};
  }
  Finding finding;
  newest_ = std::max(newest_, drop->newest);
  check_ranges(index, *drop, finding);
  check_terms(index, facts, *drop, finding);
  check_holds(*drop, finding);
  drop_until_ = index + 1;
  return finding;
}

// What is new in them is the partition that the record drops, and what records said that cannot be
// read: the newest one tells of all.
void RetentionCheck::check_ranges(std::uint64_t index, const DroppedPartition& drop,
                                  Finding& finding) {
  for (const IndexRange& before : gone_) {
    for (const IndexRange& back : outside_of(before, drop.ranges)) {
      finding.wrong.push_back("no longer says that " + records_text(back) +
                              " are gone, as a record before it does");
    }
  }
  std::vector<IndexRange> fresh;
  for (const IndexRange& range : drop.ranges) {
    std::ranges::move(outside_of(range, gone_), std::back_inserter(fresh));
  }
  for (const IndexRange& part : fresh) {
    const std::string says = "says that " + records_text(part) + " are gone, which ";
    if (part.until > index) {
      finding.wrong.push_back(says + "do not all come before it");
    } else if (!is_whole_partitions(part, terms_.partition_records)) {
      finding.wrong.push_back(says + "are no whole partitions of " +
                              std::to_string(terms_.partition_records) + " records");
    } else {
      finding.gone.push_back(part);
    }
    for (const IndexRange& other : outside_of(part, {drop.range})) {
      // Whose record comes after it, and after the last one that tells of all before that.
      if (!has_read_all_since(std::max(drop_until_, other.until))) continue;
      finding.wrong.push_back("says that " + records_text(other) +
                              " are gone, which no record drops");
    }
  }
  if (!outside_of(drop.range, fresh).empty()) {
    finding.wrong.push_back("drops " + records_text(drop.range) +
                            ", but its ranges do not add them to what was gone before");
  }
  std::ranges::copy(finding.gone, std::back_inserter(gone_));
}

void RetentionCheck::check_terms(std::uint64_t index, const EntryFacts& facts,
                                 const DroppedPartition& drop, Finding& finding) const {
  const std::string drops = "drops " + records_text(drop.range) + ", although ";
  // Otherwise a newer policy may be among what cannot be read.
  if (has_read_all_since(policy_until_)) {
    if (!floor_s_) {
      finding.wrong.push_back(drops + "no retention_policy before it sets a floor");
    } else if (drop.age.count() < *floor_s_) {
      finding.wrong.push_back(drops + "the age asked for, " + seconds_text(drop.age.count()) +
                              ", is under the floor of the policy before it, " +
                              seconds_text(*floor_s_));
    }
  }
  if (drop.newest > std::min(facts.time, terms_.now) - drop.age + kClocksApart) {
    finding.wrong.push_back(drops + "the newest of them, of " + to_rfc3339(drop.newest) +
                            ", was younger than " + seconds_text(drop.age.count()));
  }
  if (drop.checkpoint.size < drop.range.until || drop.checkpoint.size > index) {
    finding.wrong.push_back(drops + "the checkpoint that it names, over " +
                            std::to_string(drop.checkpoint.size) +
                            " records, does not cover them, or what comes after it");
  } else {
    finding.checkpoint = drop.checkpoint;
  }
}

// A hold keeps the record that placed it. Where that cannot be read, a step of it that is newer
// than all that is gone shows that it was not lifted there, if nothing after the step is missing.
void RetentionCheck::check_holds(const DroppedPartition& drop, Finding& finding) {
  for (auto& [id, hold] : holds_) {
    if (hold.over) continue;
    const bool keeps =
        hold.placed
            ? *hold.placed >= drop.range.first && *hold.placed < drop.range.until
            : has_read_all_since(hold.step_until) && hold.step_time > newest_ + kClocksApart;
    if (!keeps) continue;
    hold.over = true;  // Told once.
    finding.wrong.push_back("drops " + records_text(drop.range) + ", although the legal hold " +
                            id + " stands, whose first record is gone or among them");
  }
}

}  // namespace holdfast::audit
