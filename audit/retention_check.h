// What records of retention must say, held against the records before them: what may be gone, and
// that it was old enough, allowed and not held when it went (docs/audit_format.md). Retention
// itself never writes another; somebody with an administrator's rights on the database can.
//
// Records are given in the order of their indexes. What one lacks may have been in a record that
// could not be read; only what the others show is wrong. Pure; for one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "audit/entry_facts.h"
#include "audit/retention.h"

namespace holdfast::audit {

class RetentionCheck {
 public:
  struct Terms {
    std::uint64_t partition_records = kPartitionRecords;
    WallTime now = WallTime::max();  // No record may count on a later time.
  };
  explicit RetentionCheck(const Terms& terms) : terms_(terms) {}

  struct Finding {
    std::vector<std::string> wrong;        // Each a fault of the record.
    std::vector<IndexRange> gone;          // Whole partitions that it says went, before it.
    std::optional<TreeHead> checkpoint{};  // That it names, for who has the tree.
  };
  Finding add(std::uint64_t index, const EntryFacts& facts);

  // A record that cannot be read.
  void add_unreadable(std::uint64_t index) { unread_until_ = index + 1; }

 private:
  struct Hold {
    std::optional<std::uint64_t> placed;  // nullopt: in a record that cannot be read.
    std::uint64_t step_until = 0;         // Behind its last step,
    WallTime step_time;                   // and when that was.
    bool over = false;
  };

  void note_policy(std::uint64_t index, const nlohmann::json& system);
  void note_hold(std::uint64_t index, const EntryFacts& facts, const nlohmann::json& system);
  Finding check_drop(std::uint64_t index, const EntryFacts& facts, const nlohmann::json& system);
  void check_ranges(std::uint64_t index, const DroppedPartition& drop, Finding& finding);
  void check_terms(std::uint64_t index, const EntryFacts& facts, const DroppedPartition& drop,
                   Finding& finding) const;
  void check_holds(const DroppedPartition& drop, Finding& finding);
  bool has_read_all_since(std::uint64_t since) const { return unread_until_ <= since; }

  const Terms terms_;
  std::uint64_t unread_until_ = 0;     // Behind the last record that could not be read.
  std::vector<IndexRange> gone_;       // As records of drops have said, in whole partitions.
  std::uint64_t drop_until_ = 0;       // Behind the last record of a drop.
  WallTime newest_ = WallTime::min();  // Of all that is gone.
  std::uint64_t policy_until_ = 0;     // Behind the last policy.
  std::optional<std::int64_t> floor_s_;
  std::map<std::string, Hold> holds_;  // By id.
};

}  // namespace holdfast::audit
