// The log's own grammar: what must be true of the records in their order, whoever signed them.
//
//   - a record's kind is one that its writer's role may write;
//   - one writer's times never go back;
//   - an operation has one intent, and after it at most one outcome, which is by the intent's
//   writer
//     or, as unknown, by the audit service; a reconciliation comes after the outcome;
//   - an approval is approved before the intent that uses it, and used once: again only after an
//     outcome that gave it back (nothing was sent, or Graph answered 401 or 429).
//
// Records are given in the order of their indexes. Memory: under 100 bytes for each call. For one
// thread.
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

  // A record that cannot be read. What later ones lack may have been in it, and is not held against
  // them.
  void add_unreadable() { complete_ = false; }

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
  struct Approval {
    bool usable = false;
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
  std::string add_outcome(const EntryFacts& facts, std::uint32_t writer);
  std::string add_reconciliation(const EntryFacts& facts) const;
  std::string claim(std::uint64_t index, const EntryFacts& facts);
  void release(const EntryFacts& outcome);
  void note_approval(const EntryFacts& facts);

  bool complete_ = true;
  std::unordered_map<Uuid, Call, UuidHash> calls_;
  std::unordered_map<Uuid, WriterState, UuidHash> writers_;
  std::unordered_map<Uuid, Approval, UuidHash> approvals_;
  std::unordered_map<Uuid, Uuid, UuidHash> claims_;  // Operation -> approval, while it is open.
  std::array<std::uint64_t, 8> counts_{};
};

}  // namespace holdfast::audit
