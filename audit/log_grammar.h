// The log's own grammar: what must be true of the records in their order, whoever signed them.
//
//   - a record's kind is one that its writer's role may write;
//   - one writer's times never go back;
//   - an operation has one intent, and after it at most one outcome, which is by the intent's
//   writer
//     or, as unknown, by the audit service; a reconciliation comes after the outcome;
//   - an approval is approved before the intent that uses it, and used once: again only after an
//     outcome that gave it back (nothing was sent, or Graph answered 401 or 429); never once it is
//     over, as one is that an intent went past (break glass).
//
// Records are given in the order of their indexes. What a record lacks may have been in one that
// could not be read: then it is a doubt, for whoever knows when that one was lost.
//
// Memory: under 100 bytes for each call, and 100 for each doubt. For one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "audit/entry_facts.h"

namespace holdfast::audit {

class LogGrammar {
 public:
  // What is wrong with this record where it stands; empty: nothing.
  std::string add(std::uint64_t index, const EntryFacts& facts);

  // A record that cannot be read.
  void add_unreadable(std::uint64_t index) { unread_until_ = index + 1; }

  // Wrong, unless a record from `since` on, before `index`, that could not be read was there yet
  // when the one at `index` was written.
  struct Doubt {
    std::uint64_t since = 0;
    std::uint64_t index = 0;
    std::string what;
  };
  // By index.
  const std::vector<Doubt>& doubts() const { return doubts_; }

  struct Open {
    Uuid operation_id;
    std::uint64_t intent_index = 0;
    auto operator<=>(const Open&) const = default;
  };
  // Intents without their outcome, by index.
  std::vector<Open> open() const;

  std::uint64_t count(Kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }

 private:
  struct Call {
    std::uint64_t intent_index = 0;
    std::uint32_t writer = 0;  // Its ordinal.
    bool ended = false;
  };
  enum class Standing { kUnseen, kUsable, kUsed, kOver };
  struct Approval {
    Standing standing = Standing::kUnseen;
    std::optional<std::uint64_t> used_at;  // By the intent at that index.
    Uuid operation_id;                     // Of that intent.
  };
  // UUIDs are random in their last half.
  struct UuidHash {
    std::size_t operator()(const Uuid& uuid) const;
  };
  struct WriterState {
    std::uint32_t ordinal = 0;
    WallTime last_time;
  };

  std::string add_intent(std::uint64_t index, const EntryFacts& facts, std::uint32_t writer);
  std::string add_outcome(std::uint64_t index, const EntryFacts& facts, std::uint32_t writer);
  std::string add_reconciliation(const EntryFacts& facts) const;
  std::string claim(std::uint64_t index, const EntryFacts& facts);
  void release(const EntryFacts& outcome);
  void note_approval(const EntryFacts& facts);
  bool has_read_all_since(std::uint64_t since) const { return unread_until_ <= since; }
  std::string doubt(std::uint64_t since, std::uint64_t index, std::string what);

  std::uint64_t unread_until_ = 0;  // Behind the last record that could not be read.
  std::vector<Doubt> doubts_;
  std::unordered_map<Uuid, Call, UuidHash> calls_;
  std::unordered_map<Uuid, WriterState, UuidHash> writers_;
  std::unordered_map<Uuid, Approval, UuidHash> approvals_;
  std::unordered_map<Uuid, Uuid, UuidHash> claims_;  // Operation -> approval, while it is open.
  std::array<std::uint64_t, 8> counts_{};
};

}  // namespace holdfast::audit
