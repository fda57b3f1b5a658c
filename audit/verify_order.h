// The part of verifying that follows the order of the log: the tree above its leaves, the roots
// that were signed, and the grammar. For one thread.
#pragma once

#include <utility>
#include <vector>

#include "audit/retention_check.h"
#include "audit/verify.h"
#include "audit/verify_tile.h"

namespace holdfast::audit {

class OrderedCheck {
 public:
  // Takes what it needs of the plan with it: the roots. `source` is read for the tiles above level
  // 0, and must outlive this.
  OrderedCheck(VerifyPlan& plan, LogSource& source);

  // Tiles come in the order of their indexes. An error: the source cannot be read at all.
  Status add(CheckedTile tile);

  // The log ends there, whatever it is said to hold; no more tiles come.
  void end_at(std::uint64_t end);

  // After the last one.
  LogReport finish() &&;

 private:
  Status check_upper_tiles();
  Status check_upper_edges();
  Status check_upper(const TileId& id, std::span<const Sha256> expected);
  void check_roots(const CheckedTile& tile);
  void check_root(const SignedRoot& signed_root, const Sha256& computed);
  void check_grammar(const CheckedTile& tile);
  void note_absent(std::vector<AbsentRecords> absent);
  void note_unread(std::uint64_t index);
  void check_retention(std::uint64_t index, const EntryFacts& facts);
  Status check_named();
  Result<std::string> read_prefix(const TileId& id);
  void check_absent();
  void check_doubts();
  bool is_excused(const LogGrammar::Doubt& doubt) const;
  void check_open();

  std::uint64_t entries_;
  const std::uint64_t tree_size_;
  LogSource& source_;
  std::vector<SignedRoot> roots_;  // By size.
  const std::optional<std::vector<LogGrammar::Open>> open_operations_;
  std::size_t next_root_ = 0;
  std::uint64_t agreed_size_ = 0;  // The largest tree that a signed root agrees with.
  std::uint64_t disagreeing_ = 0;  // Signed roots.
  std::string last_disagreeing_;
  TreeBuilder upper_;  // Its leaves are the roots of full tiles of level 0.
  LogGrammar grammar_;
  RetentionCheck retention_;
  // By the records at those indexes, and not compared yet.
  std::vector<std::pair<std::uint64_t, TreeHead>> named_;
  std::vector<IndexRange> unread_;         // Records that were not read, joined, by index.
  std::vector<AbsentRecords> absent_;      // Joined where they touch and are of one kind.
  std::vector<IndexRange> dropped_;        // What records of retention say that can be.
  std::vector<std::uint64_t> dropped_by_;  // The first record that says so of each.
  LogReport report_;
};

}  // namespace holdfast::audit
