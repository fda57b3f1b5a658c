#include "approval/rule_watcher.h"

#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <tuple>
#include <utility>

#include "approval/loosening.h"
#include "approval/rule_model.h"
#include "approval/tightened.h"
#include "base/json.h"
#include "base/log.h"

namespace holdfast::approval {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFollowEvery{500};
constexpr milliseconds kFollowFirstEvery{50};  // While no generation is in force.
constexpr int kAttempts = 10;                  // Others may change the rules at the same time.

// What a change of a file changes: replaced by a rename or written in place.
std::string look_of(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return path + " -\n";
  return path + " " + std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) +
         "\n";
}

template <class T>
Status status_of(const Result<T>& result) {
  return result.ok() ? Status{} : Status{result.error()};
}

GenerationName name_of(const Generation& generation) {
  return {.number = generation.number,
          .revision = generation.rules.revision(),
          .sha256 = generation.rules.sha256()};
}

// Of the active one, which may not load here: then it has no revision.
Result<GenerationName> name_of_active(const Result<Generation>& active,
                                      const Generations::Standing& standing) {
  if (active.ok()) return name_of(*active);
  if (active.error().code != ErrorCode::kInvalid) return active.error();
  return GenerationName{
      .number = standing.active, .revision = {}, .sha256 = standing.active_sha256};
}

std::string label_of(std::int64_t number) {
  return "generation " + std::to_string(number) + " of the rules";
}

std::string none_in_force(const Generations::InForce& now) {
  if (now.waiting == 0) return "no rules are in force yet";
  return label_of(now.waiting) + " waits for an admin's approval, and none is in force";
}

}  // namespace

RuleWatcher::RuleWatcher(RuleStore& store, audit::AuditLog& log, Generations& generations,
                         RuleWatcherOptions options, const Clock& clock)
    : store_(store),
      log_(log),
      generations_(generations),
      options_(std::move(options)),
      clock_(clock),
      thread_([this] { run(); }) {}

RuleWatcher::~RuleWatcher() {
  stopping_ = true;
  generations_.interrupt();
  store_.want_newer();
  thread_.join();
  MutexLock lock(mutex_);
  for (std::promise<Status>& reload : reloads_) {
    reload.set_value(Error{ErrorCode::kUnavailable, "stopping"});
  }
}

std::future<Status> RuleWatcher::reload() {
  std::promise<Status> promise;
  std::future<Status> answer = promise.get_future();
  {
    MutexLock lock(mutex_);
    reloads_.push_back(std::move(promise));
  }
  store_.want_newer();
  return answer;
}

Status RuleWatcher::read_again() {
  failure_.clear();  // Whoever asks is told again.
  const std::int64_t before = followed_.active;
  Status loaded = read_files();
  follow();
  if (loaded.ok() && followed_.active == before) {
    log_info("rules read again, the same are in force", {{"generation", before}});
  }
  return loaded;
}

void RuleWatcher::run() {
  while (!stopping_) {
    answer_reloads();
    look();
    store_.wait_until_wanted(store_.current() ? kFollowEvery : kFollowFirstEvery);
  }
}

void RuleWatcher::answer_reloads() {
  std::vector<std::promise<Status>> reloads;
  {
    MutexLock lock(mutex_);
    reloads.swap(reloads_);
  }
  if (reloads.empty()) return;
  const Status read = read_again();
  for (std::promise<Status>& reload : reloads) reload.set_value(read);
}

void RuleWatcher::look() {
  const SteadyTime now = clock_.steady_now();
  const bool is_first = seen_.empty();
  // The log says itself why it is not ready; nothing can be offered until it is.
  if (log_.health().ready && (is_first || (options_.interval.count() > 0 && now >= look_at_))) {
    look_at_ = now + options_.interval;
    const bool due = !failure_.empty() || look_of_all() != seen_;
    if (due) std::ignore = read_files();
  }
  follow();
  note_stale_lists();
}

std::string RuleWatcher::look_of_all() const {
  std::string all = look_of(options_.path);
  for (const std::string& file : list_files_) all += look_of(file);
  return all;
}

Status RuleWatcher::read_files() {
  // Looked at before they are read: a change in between is seen next time.
  std::string seen = look_of_all();
  Result<RuleSet> own = load_rules(options_.path, clock_.now());
  Status done = status_of(own);
  if (own.ok()) {
    list_files_ = own->data().list_files;
    done = offer(*own);
  }
  if (!done.ok() && done.error().message != failure_) {
    log_error("rules not reloaded, the old ones stay", {{"reason", done.error().message}});
  }
  failure_ = done.ok() ? "" : done.error().message;
  store_.note_files(done.ok());
  // The new rules may name other lists: those are looked at from now on, and read once more.
  seen_ = std::move(seen);
  return done;
}

bool RuleWatcher::is_known(const RuleSet& own, const Generations::Standing& standing) const {
  if (standing.active_sha256 == own.sha256()) return true;
  if (standing.same == 0) return false;
  if (standing.same_state == "pending" || standing.same_state == "rejected") return true;
  // They were in force once. Only who changes the files says that they are to be so again.
  return standing.source.empty() || standing.source == own.sha256();
}

Status RuleWatcher::offer(const RuleSet& own) {
  if (Status kept = generations_.keep(*own.data().sources); !kept.ok()) return kept;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Result<Generations::Standing> standing =
        generations_.standing(options_.writer, own.sha256());
    if (!standing.ok()) return standing.error();
    const Result<bool> changed = tighten(own, *standing);
    if (!changed.ok() && changed.error().code != ErrorCode::kRefused) return changed.error();
    // What is new is judged by what is in force now.
    if (!changed.ok() || *changed) continue;
    if (is_known(own, *standing)) {
      note_difference(own, *standing);
      return generations_.note_source(options_.writer, own.sha256());
    }
    std::optional<GenerationName> active;
    std::vector<std::string> loosens = {"there are no rules in force"};
    if (standing->active != 0) {
      const Result<Generation> now = load(standing->active);
      const Result<GenerationName> name = name_of_active(now, *standing);
      if (!name.ok()) return name.error();
      active = *name;
      loosens = {"the rules in force do not load here, so nothing can be said"};
      if (now.ok()) loosens = loosenings(now->rules, own);
    }
    const Status offered =
        append(generation_offer(standing->newest + 1, own, loosens, options_.people, active));
    if (offered.ok()) {
      log_info("rules offered", {{"generation", standing->newest + 1},
                                 {"revision", own.revision()},
                                 {"sha256", own.sha256()},
                                 {"loosens", loosens}});
      return {};
    }
    if (offered.error().code != ErrorCode::kRefused) {
      return Error{offered.error().code,
                   "the audit log cannot take the record of it: " + offered.error().message};
    }
  }
  return Error{ErrorCode::kUnavailable, "others keep changing the rules"};
}

Result<bool> RuleWatcher::tighten(const RuleSet& own, const Generations::Standing& standing) {
  if (options_.people == PeopleNeeded::kOne || standing.active == 0) return false;
  if (standing.active_sha256 == own.sha256()) return false;
  const Result<Generation> active = load(standing.active);
  if (!active.ok()) {
    if (active.error().code == ErrorCode::kInvalid) return false;
    return active.error();
  }
  if (loosenings(active->rules, own).empty()) return false;
  const RuleSet tighter = tightened(active->rules, own, clock_.now());
  const bool is_same = tighter.sha256() == standing.active_sha256;
  // Files that were in force once are no offer, and their lists are not either.
  if (!is_same && standing.same_state == "superseded" && is_known(own, standing)) return false;
  // A list with nothing new in it is as new as this proxy's own, and is believed for as long.
  if (Status kept = generations_.keep(*tighter.data().sources); !kept.ok()) return kept.error();
  if (is_same) return false;
  const GenerationName before = name_of(*active);
  const Status appended =
      append(generation_offer(standing.newest + 1, tighter, {}, options_.people, before));
  if (!appended.ok()) {
    if (appended.error().code == ErrorCode::kRefused) return appended.error();
    return Error{appended.error().code,
                 "the audit log cannot take the record of it: " + appended.error().message};
  }
  log_info("names that lists gained are in force, the rest of what is new is judged by itself",
           {{"generation", standing.newest + 1}, {"sha256", tighter.sha256()}});
  return true;
}

// Once for each difference: a list that is kept fresh is read again and again.
void RuleWatcher::note_difference(const RuleSet& own, const Generations::Standing& standing) {
  std::tuple<std::int64_t, std::string, std::int64_t> difference;
  if (standing.active_sha256 != own.sha256()) {
    difference = {standing.same, standing.same_state, standing.active};
  }
  if (difference == difference_) return;
  difference_ = difference;
  if (standing.active_sha256 == own.sha256()) return;
  log_warning(
      "this proxy's rule files are not what is in force",
      {{"generation", standing.same}, {"state", standing.same_state}, {"active", standing.active}});
}

Result<Generation> RuleWatcher::load(std::int64_t number) {
  const std::optional<Generation> held = store_.current();
  if (held && held->number == number) return *held;
  const Result<SourceFiles> files = generations_.files(number);
  if (!files.ok()) return files.error();
  Result<RuleSet> rules = load_rules(*files, label_of(number), clock_.now());
  if (!rules.ok()) return Error{ErrorCode::kInvalid, rules.error().message};
  return Generation{.number = number, .rules = *std::move(rules)};
}

void RuleWatcher::follow() {
  const Result<Generations::InForce> now = generations_.in_force();
  Status followed = status_of(now);
  if (now.ok()) followed = take(*now);
  // Also where what is in force does not load: that may be why.
  Status recovered;
  if (now.ok() && now->recovered != 0) recovered = recover(*now);
  if (!recovered.ok() && recovered.error().message != recover_failure_) {
    log_error("rules not recovered", {{"reason", recovered.error().message}});
  }
  recover_failure_ = recovered.ok() ? "" : recovered.error().message;
  if (!followed.ok() && followed.error().message != follow_failure_) {
    log_error("the rules in force cannot be followed", {{"reason", followed.error().message}});
  }
  follow_failure_ = followed.ok() ? "" : followed.error().message;
  // A database that is away is no reason of its own: nothing is recorded then either.
  const bool is_behind = now.ok() && !followed.ok();
  if (is_behind || !store_.current()) {
    store_.set_problem(followed.ok() ? none_in_force(*now) : followed.error().message);
  }
}

Status RuleWatcher::take(const Generations::InForce& now) {
  if (now.active == 0) return {};
  if (now.active != followed_.active || now.files_modified != followed_.files_modified) {
    const Result<SourceFiles> files = generations_.files(now.active);
    if (!files.ok()) return files.error();
    Result<RuleSet> rules = load_rules(*files, label_of(now.active), clock_.now());
    if (!rules.ok()) return rules.error();
    if (now.active != followed_.active) {
      log_info("rules in force", {{"generation", now.active},
                                  {"revision", rules->revision()},
                                  {"sha256", rules->sha256()}});
    }
    store_.replace({.number = now.active, .rules = *std::move(rules)});
  }
  followed_ = now;
  store_.set_problem("");
  return {};
}

// What whoever owns the database lets take effect does so by a record like any other.
Status RuleWatcher::recover(const Generations::InForce& now) {
  const Result<Generations::Standing> standing =
      generations_.standing(options_.writer, now.recovered_sha256);
  if (!standing.ok()) return standing.error();
  std::optional<GenerationName> active;
  if (standing->active != 0) {
    const Result<GenerationName> name = name_of_active(load(standing->active), *standing);
    if (!name.ok()) return name.error();
    active = *name;
  }
  const Result<Generation> waiting = load(now.recovered);
  if (!waiting.ok()) return waiting.error();
  Result<nlohmann::json> recovery = parse_json(now.recovery);
  if (!recovery.ok()) return recovery.error();
  nlohmann::json change = generation_change("recovered", name_of(*waiting), active);
  change["recovery"] = *std::move(recovery);
  Status done = append(std::move(change));
  // Another replica was first.
  if (!done.ok() && done.error().code == ErrorCode::kRefused) return {};
  return done;
}

// Durable when it returns well.
Status RuleWatcher::append(nlohmann::json change) {
  audit::Record record{.kind = audit::Kind::kRules};
  record.content["rules"] = std::move(change);
  Status recorded = Error{ErrorCode::kInternal, "nobody answered"};
  boost::asio::io_context context;
  const auto ask = [&]() -> Task<void> {
    const Result<audit::RecordRef> appended = co_await log_.append(std::move(record));
    recorded = status_of(appended);
  };
  boost::asio::co_spawn(context, ask, boost::asio::detached);
  context.run();
  return recorded;
}

void RuleWatcher::note_stale_lists() {
  const std::optional<Generation> generation = store_.current();
  if (!generation) return;
  std::set<std::string> stale;
  for (std::string& line : stale_lists(generation->rules, clock_.now())) {
    if (!stale_.contains(line)) log_error("a list is too old to be believed", {{"list", line}});
    stale.insert(std::move(line));
  }
  stale_ = std::move(stale);
}

}  // namespace holdfast::approval
