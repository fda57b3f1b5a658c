// Verifies a log: reads every entry again and computes from them every leaf, tile and root,
// compares those with what the source holds and with roots that were signed, and follows the log's
// grammar. What it is told is never believed but for the roots, whose signatures have been checked
// before (audit/verify_checkpoints.h).
//
//   Result<LogReport> report = verify_log({.entries = n, .tree_size = n, .roots = roots,
//                                          .open = open_directory, .threads = 2});
//   if (!report.ok()) …            // The source cannot be read.
//   if (report->faults.count() > 0) …  // The log is not in order.
//
// Several threads read and hash; one follows the order. Memory: a few thousand records for each
// thread, what the grammar keeps for each call, and the roots of the plan: 80 bytes for each, which
// for a database is every checkpoint that was ever signed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/log_grammar.h"
#include "audit/log_source.h"
#include "audit/retention_check.h"
#include "audit/tree.h"
#include "base/clock.h"
#include "base/result.h"

namespace holdfast::audit {

struct Fault {
  // Where: the record, or the first and the last of those among which it is. nullopt: no record.
  std::optional<std::uint64_t> index;
  std::uint64_t last = 0;
  std::string what;

  bool is_exact() const { return index && *index == last; }
};

// The first faults that were found, and how many there are.
class Faults {
 public:
  void add(std::uint64_t index, std::string what) { add({index, index, std::move(what)}); }
  void add_range(std::uint64_t first, std::uint64_t last, std::string what) {
    add({first, last, std::move(what)});
  }
  void add_general(std::string what) { add({std::nullopt, 0, std::move(what)}); }
  void add(Faults others);

  std::uint64_t count() const { return count_; }
  // At most kKept of them: by the last record that is concerned, so that the first one of the list
  // says the most of what is wrong first; those of no record come last.
  const std::vector<Fault>& list() const { return list_; }

  static constexpr std::size_t kKept = 50;

 private:
  void add(Fault fault);

  std::uint64_t count_ = 0;
  std::vector<Fault> list_;
};

// What a checkpoint is, for messages: `from`, such as "the newest checkpoint", or where that is
// empty the database's of that ordinal. Those are so many that none can have a text of its own.
std::string checkpoint_name(const std::string& from, std::uint64_t ordinal);

// A root that somebody has signed, to be compared with what the entries give.
struct SignedRoot {
  TreeHead head;
  std::string from{};
  std::uint64_t ordinal = 0;

  std::string name() const { return checkpoint_name(from, ordinal); }
};

struct VerifyPlan {
  std::uint64_t entries = 0;    // How many the log is said to hold: those below are read.
  std::uint64_t tree_size = 0;  // Of the tree whose tiles are read; at most `entries`.
  std::vector<SignedRoot> roots;
  // Which intents the source says are without their outcome, by index; nullopt: it says nothing.
  std::optional<std::vector<LogGrammar::Open>> open_operations{};
  RetentionCheck::Terms retention{};
  // A source for one of the threads. Called on that thread.
  std::function<Result<std::unique_ptr<LogSource>>()> open;
  unsigned threads = 1;
  // Told of how many entries are done, now and then, on the calling thread.
  std::function<void(std::uint64_t)> progress;
};

struct LogReport {
  Faults faults;
  std::uint64_t log_size = 0;  // As the plan had them.
  std::uint64_t tree_size = 0;
  std::uint64_t roots = 0;
  std::uint64_t entries = 0;  // Read and in their form.
  std::uint64_t dropped = 0;  // Gone, as a record of retention says; their hashes are there.
  // Gone, and no record below log_size says so: a fault each. Of a log that is written meanwhile
  // one behind it may.
  std::vector<IndexRange> unexplained{};
  std::uint64_t roots_agreed = 0;  // Signed ones that the entries lead to.
  // What the entries below tree_size lead to; nullopt: the log ends before.
  std::optional<Sha256> root;
  std::optional<WallTime> newest;  // The latest time of an entry below tree_size.
  std::uint64_t intents = 0;
  std::uint64_t outcomes = 0;
  std::vector<LogGrammar::Open> open;
};

// How much the log is said to hold is not believed either: where 16 tiles that follow each other
// are missing, with all of their entries, it has ended.
Result<LogReport> verify_log(VerifyPlan plan);

}  // namespace holdfast::audit
