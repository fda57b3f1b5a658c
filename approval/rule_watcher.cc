#include "approval/rule_watcher.h"

#include <sys/stat.h>

#include <tuple>
#include <utility>

#include "approval/rule_model.h"
#include "base/log.h"

namespace holdfast::approval {
namespace {

// What a change of a file changes: replaced by a rename or written in place.
std::string look_of(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return path + " -\n";
  return path + " " + std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) +
         "\n";
}

std::string look_of_all(const RuleStore& store) {
  std::string all = look_of(store.path());
  for (const std::string& file : store.current().data().list_files) all += look_of(file);
  return all;
}

}  // namespace

RuleWatcher::RuleWatcher(RuleStore& store, const Clock& clock, std::chrono::milliseconds interval)
    : store_(store), clock_(clock) {
  {
    MutexLock lock(mutex_);
    seen_ = look_of_all(store_);
    note_stale_lists();
  }
  if (interval.count() > 0) {
    thread_ = std::thread([this, interval] { run(interval); });
  }
}

RuleWatcher::~RuleWatcher() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status RuleWatcher::reload() {
  MutexLock lock(mutex_);
  failure_.clear();  // Whoever asks is told again.
  const std::string before = store_.current().sha256();
  Status loaded = reload_locked();
  if (loaded.ok() && store_.current().sha256() == before) {
    log_info("rules read again, and as they were", {{"sha256", before}});
  }
  return loaded;
}

bool RuleWatcher::look() {
  MutexLock lock(mutex_);
  const bool due = !failure_.empty() || look_of_all(store_) != seen_;
  const std::string before = store_.current().sha256();
  if (due) std::ignore = reload_locked();
  note_stale_lists();
  return store_.current().sha256() != before;
}

Status RuleWatcher::reload_locked() {
  // Looked at before they are read: a change in between is seen next time.
  std::string seen = look_of_all(store_);
  const std::string before = store_.current().sha256();
  Status loaded = store_.reload(clock_.now());
  if (!loaded.ok()) {
    if (loaded.error().message != failure_) {
      log_error("rules not reloaded, the old ones stay", {{"reason", loaded.error().message}});
    }
    failure_ = loaded.error().message;
    seen_ = std::move(seen);
    return loaded;
  }
  failure_.clear();
  // The new rules may name other lists: those are looked at from now on, and read once more.
  seen_ = std::move(seen);
  const RuleSet current = store_.current();
  if (current.sha256() != before) {
    log_info("rules reloaded",
             {{"revision", current.revision()}, {"sha256", current.sha256()}, {"before", before}});
  }
  return {};
}

void RuleWatcher::note_stale_lists() {
  std::set<std::string> stale;
  for (std::string& line : stale_lists(store_.current(), clock_.now())) {
    if (!stale_.contains(line)) log_error("a list is too old to be believed", {{"list", line}});
    stale.insert(std::move(line));
  }
  stale_ = std::move(stale);
}

void RuleWatcher::run(std::chrono::milliseconds interval) {
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (!stopping_) stopped_.wait_for(mutex_, interval);
      if (stopping_) return;
    }
    look();
  }
}

}  // namespace holdfast::approval
