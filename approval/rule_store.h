// The generation of rules in force, and its replacement while calls are being decided.
//
//   RuleStore store;
//   if (const std::optional<Generation> generation = store.current()) {     // any thread
//     Decision d = decide(generation->rules, facts);
//   }
//   store.replace({7, *load_rules(files, label, clock.now())});             // rule_watcher.h does
//
// Rules are replaced whole. Nothing is kept on disk.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "approval/rules.h"
#include "base/mutex.h"
#include "base/task.h"

namespace holdfast::approval {

struct Generation {
  std::int64_t number = 0;  // From 1 on.
  RuleSet rules;
};

// Every method may be called from any thread.
class RuleStore {
 public:
  RuleStore() = default;
  explicit RuleStore(Generation initial) : generation_(std::move(initial)), problem_() {}

  // A snapshot; it stays valid and unchanged for as long as it is held. Costs a shared_ptr copy.
  // nullopt, and only at the beginning: none is in force yet, and no guarded call may pass.
  std::optional<Generation> current() const;

  void replace(Generation generation);

  // Why none is in force, or why the one that is may not be the newest; empty: all is well.
  std::string problem() const;
  void set_problem(std::string problem);

  // Whether this proxy's own files were read, and what they offer taken, when it last looked. The
  // rules in force do not hang on that, and a change that somebody waits for does.
  bool files_are_well() const { return files_are_well_; }
  void note_files(bool well) { files_are_well_ = well; }

  // For a call that was decided by a generation that is over: waits for the next one, at most
  // `patience`. Whether there is one.
  Task<bool> wait_beyond(std::int64_t number, std::chrono::milliseconds patience);

  // For who replaces them: waits until somebody does wait, at most `patience`.
  void wait_until_wanted(std::chrono::milliseconds patience);
  void want_newer();

 private:
  mutable Mutex mutex_;
  holdfast::Condition wanted_;
  std::optional<Generation> generation_ HOLDFAST_GUARDED_BY(mutex_);
  std::string problem_ HOLDFAST_GUARDED_BY(mutex_) = "the rules in force are not known yet";
  bool is_wanted_ HOLDFAST_GUARDED_BY(mutex_) = false;
  std::atomic<bool> files_are_well_{true};
};

}  // namespace holdfast::approval
