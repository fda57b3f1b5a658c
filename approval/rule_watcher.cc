#include "approval/rule_watcher.h"

#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
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

nlohmann::json naming(const RuleSet& rules) {
  return {{"revision", rules.revision()}, {"sha256", rules.sha256()}};
}

// Durable when it returns well.
Status record_change(audit::AuditLog& log, const RuleSet& before, const RuleSet& after) {
  audit::Record record{.kind = audit::Kind::kRules};
  record.content["rules"] = naming(after);
  record.content["rules"]["before"] = naming(before);
  Status recorded = Error{ErrorCode::kInternal, "nobody answered"};
  boost::asio::io_context context;
  const auto append = [&]() -> Task<void> {
    const Result<audit::RecordRef> appended = co_await log.append(std::move(record));
    recorded = appended.ok() ? Status{} : Status{appended.error()};
  };
  boost::asio::co_spawn(context, append, boost::asio::detached);
  context.run();
  return recorded;
}

}  // namespace

RuleWatcher::RuleWatcher(RuleStore& store, audit::AuditLog& log, const Clock& clock,
                         std::chrono::milliseconds interval)
    : store_(store), log_(log), clock_(clock) {
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
  Result<RuleSet> read = load_rules(store_.path(), clock_.now());
  Status loaded = read.ok() ? take_in_force(*std::move(read)) : Status{read.error()};
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
  return {};
}

Status RuleWatcher::take_in_force(RuleSet rules) {
  const RuleSet before = store_.current();
  const bool changes = rules.sha256() != before.sha256();
  if (changes) {
    const Status recorded = record_change(log_, before, rules);
    if (!recorded.ok()) {
      return Error{recorded.error().code,
                   "the audit log cannot take the record of it: " + recorded.error().message};
    }
  }
  store_.replace(rules);
  if (changes) {
    log_info(
        "rules reloaded",
        {{"revision", rules.revision()}, {"sha256", rules.sha256()}, {"before", before.sha256()}});
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
