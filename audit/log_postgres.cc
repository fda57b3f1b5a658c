#include "audit/log_postgres.h"

#include <algorithm>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "audit/wal_flush_postgres.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"

namespace holdfast::audit {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr std::size_t kSentMax = 2;  // One that the database works at, and the next.
constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();
constexpr std::string_view kInDoubtReason =
    "the commit of the intent was in doubt, so the request was not sent";
constexpr std::string_view kLeftoverReason = "the process ended before the outcome was known";

Error log_unavailable(std::string why) {
  return {ErrorCode::kUnavailable, "audit log: " + std::move(why)};
}

bool must_be_kept(Kind kind) {
  return kind == Kind::kOutcome || kind == Kind::kReconciliation;
}

// Whether `logged` leaves nothing to say of an outcome whose operation is not open.
bool is_done(const Entry& outcome, const std::vector<LoggedOutcome>& logged) {
  const Sha256 hash = leaf_hash(outcome.bytes);
  bool was_ended = false;
  for (const LoggedOutcome& other : logged) {
    if (other.operation_id != outcome.operation_id) continue;
    if (other.leaf_hash == bytes_of(hash)) return true;
    was_ended = true;
  }
  // Of an intent whose commit was in doubt, and that the log does not have either.
  return !was_ended && text_at(content_of(outcome), "/outcome/reason") == kInDoubtReason;
}

}  // namespace

Result<std::unique_ptr<LogPostgres>> LogPostgres::open(LogOptions options, const Clock& clock) {
  std::unique_ptr<Spool> spool;
  if (!options.spool_dir.empty()) {
    Result<std::unique_ptr<Spool>> opened = Spool::open(options.spool_dir);
    if (!opened.ok()) return opened.error();
    spool = *std::move(opened);
  } else if (options.role == WriterRole::kProxy) {
    return Error{ErrorCode::kInvalid, "a proxy needs a spool directory"};
  }
  options.batch_max = std::clamp<std::size_t>(options.batch_max, 1, kBatchMax);
  return std::unique_ptr<LogPostgres>(new LogPostgres(std::move(options), std::move(spool), clock));
}

LogPostgres::LogPostgres(LogOptions options, std::unique_ptr<Spool> spool, const Clock& clock)
    : options_(std::move(options)),
      writer_{.id = spool ? spool->writer() : make_uuid_v4(), .role = options_.role},
      clock_(clock),
      spool_(std::move(spool)),
      times_(clock),
      flush_queue_([this] { note_flush(); }, clock) {
  if (spool_) {
    for (std::string& bytes : spool_->take_found()) {
      Result<Entry> entry = read_spooled(std::move(bytes));
      if (!entry.ok()) continue;
      if (const Result<WallTime> time = parse_rfc3339(entry->time()); time.ok())
        times_.reach(*time);
      backlog_.push_back(*std::move(entry));
    }
    spooled_ = backlog_.size();
    spool_bytes_ = spool_->bytes();
  }
  thread_ = std::thread([this] { run(); });
}

LogPostgres::~LogPostgres() {
  stop();
}

void LogPostgres::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wakeup_.notify();
  if (thread_.joinable()) thread_.join();
}

Task<Result<Receipt>> LogPostgres::append_intent(Record intent, OutboundRequest request) {
  if (intent.kind != Kind::kIntent || intent.operation_id == Uuid{}) {
    co_return Error{ErrorCode::kInvalid, "append_intent: not an intent with an operation"};
  }
  const Uuid operation_id = intent.operation_id;
  // The lease as it was before: one that is renewed after it had run out covers no older intent.
  const SteadyTime send_before = lease_until();
  const Result<RecordRef> committed = co_await submit(std::move(intent));
  if (!committed.ok()) co_return committed.error();
  // The one place where the program gets leave to send.
  co_return issue_receipt(operation_id, *committed, std::move(request), send_before);
}

Task<Result<RecordRef>> LogPostgres::append_outcome(Record outcome) {
  if (outcome.kind != Kind::kOutcome || outcome.operation_id == Uuid{} ||
      writer_.role != WriterRole::kProxy) {
    co_return Error{ErrorCode::kInvalid, "append_outcome: not an outcome of an own operation"};
  }
  co_return co_await submit(std::move(outcome));
}

Task<Result<RecordRef>> LogPostgres::append(Record record) {
  if (record.kind == Kind::kIntent || record.kind == Kind::kOutcome) {
    co_return Error{ErrorCode::kInvalid, "append: intents and outcomes have their own ways in"};
  }
  co_return co_await submit(std::move(record));
}

SteadyTime LogPostgres::lease_until() const {
  MutexLock lock(mutex_);
  return lease_until_;
}

LogHealth LogPostgres::health() const {
  MutexLock lock(mutex_);
  LogHealth health{.ready = false, .reason = {}, .spooled = spooled_, .spool_bytes = spool_bytes_};
  if (stopping_) {
    health.reason = "stopping";
  } else if (!online_) {
    health.reason = reason_;
  } else if (!spare_partition_) {
    health.reason = "the log has no spare partition; is holdfast audit running?";
  } else {
    health.ready = true;
  }
  return health;
}

Task<Result<RecordRef>> LogPostgres::submit(Record record) {
  if (!may_write(writer_.role, record.kind)) {
    co_return Error{ErrorCode::kInvalid, "this role does not write records of that kind"};
  }
  if (options_.personal_data == PersonalData::kSealed) record.personal_data = PersonalData::kSealed;
  Result<Entry> entry = make_entry(std::move(record), make_uuid_v7(clock_.now()), writer_);
  const auto initiate = [this, &entry](auto handler) {
    // Resumes the coroutine where it runs, and keeps that place alive until then.
    auto executor = asio::get_associated_executor(handler);
    auto work = asio::make_work_guard(executor);
    auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
    enqueue(std::move(entry), [executor, work, waiting](Result<RecordRef> result) {
      asio::post(executor, [waiting, result = std::move(result)]() mutable {
        std::move (*waiting)(std::move(result));
      });
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<RecordRef>)>(
      initiate, asio::use_awaitable);
}

void LogPostgres::enqueue(Result<Entry> entry, Done done) {
  if (!entry.ok()) return done(entry.error());
  std::string refusal;
  bool wakes = false;
  {
    MutexLock lock(mutex_);
    if (stopping_) {
      refusal = "stopping";
    } else if (!must_be_kept(entry->kind) && !online_) {
      refusal = reason_;
    } else if (!must_be_kept(entry->kind) &&
               queue_.size() + flush_queue_.size() >= options_.queue_max) {
      refusal = "too many records are waiting";
    } else {
      queue_.push_back({.entry = *std::move(entry),
                        .deadline = clock_.steady_now() + options_.append_timeout,
                        .done = std::exchange(done, nullptr)});
      wakes = take_wakeup();
    }
  }
  if (wakes) wakeup_.notify();
  if (done) done(log_unavailable(refusal));
}

void LogPostgres::run() {
  while (true) {
    // All that have come: with one, the next one may have been read from the socket.
    while (!sent_.empty() && is_answered()) take_answer();
    if (flush_queue_.has_failed()) drop_connection("what was appended could not be made durable");
    if (connection_ == nullptr) connect_and_recover();
    renew_if_due();
    if (Batch batch = take_batch(); !batch.empty()) {
      append_batch(std::move(batch));
      continue;
    }
    if (sent_.empty()) {
      if (is_stopped()) break;
      // Without this, readiness would learn of a lost database from the next call only.
      if (connection_ != nullptr && (connection_->is_lost() || flush_queue_.is_lost())) {
        drop_connection("the database closed the connection");
        continue;
      }
    }
    wait();
  }
  // The next process of this writer is to begin where this one ends.
  renew_at_ = SteadyTime::min();
  renew_if_due();
  close_connection();
}

bool LogPostgres::is_stopped() const {
  MutexLock lock(mutex_);
  return stopping_ && queue_.empty();
}

void LogPostgres::connect_and_recover() {
  Result<std::unique_ptr<AppendConnection>> opened =
      AppendConnection::open({.database = options_.database,
                              .writer = writer_,
                              .lease = options_.lease,
                              .deadline = options_.append_timeout},
                             watchdog_);
  if (!opened.ok()) {
    return drop_connection(opened.error().message);
  }
  connection_ = *std::move(opened);
  if (const Status recovered = recover(); !recovered.ok()) {
    return drop_connection(recovered.error().message);
  }
  set_online(true, "");
  log_info("audit log ready", {{"writer", to_string(writer_.id)}});
}

// The epoch is raised: nothing that an earlier connection sent can be committed any more. So what
// is refused as closed from here on and was sent before is in the log now or never will be.
Status LogPostgres::recover() {
  if (!times_reached_) {
    if (Status reached = reach_earlier_times(); !reached.ok()) return reached;
  }
  if (Status renewed = renew_lease(); !renewed.ok()) return renewed;
  if (Status drained = drain_backlog(); !drained.ok()) return drained;
  if (!leftovers_settled_) {
    if (Status settled = settle_leftovers(); !settled.ok()) return settled;
  }
  Result<std::unique_ptr<WalFlush>> flush =
      WalFlush::open(options_.database, options_.append_timeout, connection_->backend());
  if (!flush.ok()) return flush.error();
  flush_queue_.open(*std::move(flush));
  return {};
}

// One writer's times never go back, although the clock of its next process may have been set back.
Status LogPostgres::reach_earlier_times() {
  const Result<std::optional<WallTime>> reached = connection_->time_reached();
  if (!reached.ok()) return reached.error();
  times_reached_ = true;
  if (!*reached) return {};
  times_.reach(**reached);
  const auto ahead = std::chrono::duration_cast<std::chrono::seconds>(**reached - clock_.now());
  if (ahead > options_.lease) {
    log_warning("the clock was set back: records have the time of the last one until it catches up",
                {{"behind_s", ahead.count()}});
  }
  return {};
}

// Brings into the database what it could not take before. Entries that are in it already are
// refused and found there, so that doing this twice does no harm.
Status LogPostgres::drain_backlog() {
  if (backlog_.empty()) return {};
  // What is brought as it was sent may have come behind what was made later.
  std::ranges::sort(backlog_, {}, &Entry::time);
  std::vector<Entry> late;
  for (std::size_t start = 0; start < backlog_.size(); start += options_.batch_max) {
    const std::size_t count = std::min(options_.batch_max, backlog_.size() - start);
    std::vector<const Entry*> part;
    for (std::size_t i = start; i < start + count; ++i) part.push_back(&backlog_[i]);
    const Result<std::vector<Placed>> placed = connection_->append(part);
    if (!placed.ok()) return placed.error();
    const Result<std::vector<const Entry*>> too_late = late_among(part, *placed);
    if (!too_late.ok()) return too_late.error();
    for (const Entry* outcome : *too_late) {
      Result<Entry> entry = make_entry(late_outcome(outcome->operation_id, content_of(*outcome)),
                                       make_uuid_v7(clock_.now()), writer_);
      log_error("outcome came after its operation had been settled",
                {{"operation_id", to_string(outcome->operation_id)}});
      if (!entry.ok()) return entry.error();
      late.push_back(*std::move(entry));
    }
  }
  if (Status appended = append_own(std::move(late)); !appended.ok()) return appended;
  if (spool_) {
    if (Status cleared = spool_->clear(); !cleared.ok()) return cleared;
  }
  log_info("spool drained", {{"entries", backlog_.size()}});
  backlog_.clear();
  MutexLock lock(mutex_);
  spooled_ = 0;
  spool_bytes_ = 0;
  return {};
}

// What the database knows of an operation that is not open is not enough to let its result go:
// either the log has this very outcome, or what it says is late.
Result<std::vector<const Entry*>> LogPostgres::late_among(std::span<const Entry* const> entries,
                                                          const std::vector<Placed>& placed) {
  std::vector<const Entry*> late;
  std::vector<const Entry*> closed;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (placed[i].placement == Placement::kSettled) late.push_back(entries[i]);
    if (placed[i].placement == Placement::kClosed) closed.push_back(entries[i]);
  }
  if (closed.empty()) return late;
  const Result<std::vector<LoggedOutcome>> logged = connection_->outcomes_of(closed);
  if (!logged.ok()) return logged.error();
  std::ranges::copy_if(closed, std::back_inserter(late),
                       [&logged](const Entry* entry) { return !is_done(*entry, *logged); });
  return late;
}

// What an earlier process of this writer began and did not end, nobody can end truthfully any more.
Status LogPostgres::settle_leftovers() {
  const Result<std::vector<OpenOperation>> open = connection_->open_operations();
  if (!open.ok()) return open.error();
  std::vector<Entry> entries;
  for (const OpenOperation& left : *open) {
    // Not by Entry::time(): with its sealed values back in it, it is other JSON of the same.
    if (const Result<nlohmann::json> said = parse_json(left.intent); said.ok()) {
      if (const Result<WallTime> time = parse_rfc3339(text_at(*said, "/time")); time.ok())
        times_.reach(*time);
    }
    const Entry intent{.operation_id = left.operation_id, .bytes = left.intent};
    Result<Entry> entry = make_settled(intent, CallResult::kUnknown, kLeftoverReason,
                                       make_uuid_v7(clock_.now()), writer_);
    if (!entry.ok()) return entry.error();
    entries.push_back(*std::move(entry));
  }
  if (!entries.empty()) log_warning("operations left open", {{"count", entries.size()}});
  if (Status appended = append_own(std::move(entries)); !appended.ok()) return appended;
  leftovers_settled_ = true;
  return {};
}

Status LogPostgres::append_own(std::vector<Entry> entries) {
  for (std::size_t start = 0; start < entries.size(); start += options_.batch_max) {
    const std::size_t count = std::min(options_.batch_max, entries.size() - start);
    std::vector<const Entry*> part;
    for (std::size_t i = start; i < start + count; ++i) {
      entries[i].set_time(times_.next());
      part.push_back(&entries[i]);
    }
    const Result<std::vector<Placed>> placed = connection_->append(part);
    if (!placed.ok()) return placed.error();
  }
  return {};
}

// What waits, once it is worth a statement.
LogPostgres::Batch LogPostgres::take_batch() {
  Batch batch;
  const bool takes_more =
      sent_.empty() || (sent_.size() < kSentMax && sent_.front().commit == Commit::kWritten &&
                        clock_.steady_now() < renew_at_);
  MutexLock lock(mutex_);
  takes_more_ = takes_more;
  running_ = sent_.empty() ? 0 : sent_.front().batch.size();
  if (!is_enough()) return batch;
  while (!queue_.empty() && batch.size() < options_.batch_max) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

bool LogPostgres::is_enough() const {
  if (queue_.empty()) return false;
  return queue_.size() >= wanted() || (stopping_ && running_ == 0);
}

// Whether whoever asks is to wake the thread: where it waits and has work, and once.
bool LogPostgres::take_wakeup() {
  return waits_ && has_work() && std::exchange(waits_, false);
}

bool LogPostgres::has_work() const {
  return flush_queue_.has_failed() || is_enough();
}

void LogPostgres::note_flush() {
  bool wakes = false;
  {
    MutexLock lock(mutex_);
    wakes = take_wakeup();
  }
  if (wakes) wakeup_.notify();
}

// With how many waiting the next statement is sent. Behind one that is not answered yet they are
// sent so that the database need not wait for this process; but then whoever comes later waits for
// both.
std::size_t LogPostgres::wanted() const {
  if (!takes_more_) return kNever;
  if (running_ == 0) {
    return std::clamp<std::size_t>(flush_queue_.worth_appending(append_took_), 1,
                                   options_.batch_max);
  }
  const std::optional<std::size_t> worth = flush_queue_.worth_sending_behind(running_);
  return worth ? std::min(*worth, options_.batch_max) : kNever;
}

// Until there is enough to append, an answer, the lease to renew, or the connection to be tried
// again or looked after.
void LogPostgres::wait() {
  SteadyTime::duration limit = options_.retry_interval;
  if (!sent_.empty()) {
    limit = sent_.front().begun + options_.append_timeout - clock_.steady_now();
  } else if (connection_ != nullptr) {
    limit = std::clamp<SteadyTime::duration>(renew_at_ - clock_.steady_now(), milliseconds(1),
                                             options_.retry_interval);
  }
  {
    MutexLock lock(mutex_);
    if (has_work()) return;
    waits_ = true;
  }
  wakeup_.wait(limit, sent_.empty() ? std::nullopt : std::optional(connection_->socket()));
  MutexLock lock(mutex_);
  waits_ = false;
}

void LogPostgres::append_batch(Batch batch) {
  const SteadyTime now = clock_.steady_now();
  Batch waiting = std::exchange(batch, {});
  for (PendingEntry& pending : waiting) {
    if (must_be_kept(pending.entry.kind) || pending.deadline > now) {
      batch.push_back(std::move(pending));
    } else {
      pending.done(log_unavailable("the database is too slow"));
    }
  }
  if (batch.empty()) return;
  if (connection_ == nullptr) {
    return decline(std::move(batch),
                   Error{ErrorCode::kUnavailable, "the database cannot be reached"});
  }

  std::vector<const Entry*> entries;
  for (PendingEntry& pending : batch) {
    pending.entry.set_time(times_.next());
    entries.push_back(&pending.entry);
  }
  const Commit commit = comes_alone(batch.size()) ? Commit::kFlushed : Commit::kWritten;
  connection_->send(entries, commit);
  sent_.push_back({.batch = std::move(batch), .commit = commit, .begun = now});
}

bool LogPostgres::is_answered() {
  return connection_->has_answer() ||
         clock_.steady_now() >= sent_.front().begun + options_.append_timeout;
}

void LogPostgres::take_answer() {
  Sent sent = std::move(sent_.front());
  sent_.pop_front();
  const Result<std::vector<Placed>> placed = connection_->receive();
  const SteadyTime now = clock_.steady_now();
  if (!sent_.empty()) sent_.front().begun = now;
  {
    MutexLock lock(mutex_);
    append_took_ = now - sent.begun;
  }
  if (placed.ok()) return accept(std::move(sent.batch), *placed, sent.commit);
  // Whoever was first is told first. What was sent behind it has not been tried, unless that is as
  // much in doubt, or only the wait for a standby failed.
  std::deque<Sent> behind = std::exchange(sent_, {});
  std::vector<std::pair<Batch, Error>> failed;
  failed.emplace_back(std::move(sent.batch), placed.error());
  for (Sent& next : behind) {
    const Result<std::vector<Placed>> also = connection_->receive();
    if (also.ok()) {
      accept(std::move(next.batch), *also, next.commit);
    } else if (also.error().code == ErrorCode::kRefused) {
      wait_again(std::move(next.batch));
    } else {
      failed.emplace_back(std::move(next.batch), also.error());
    }
  }
  for (auto& [batch, error] : failed) fail(std::move(batch), error);
}

void LogPostgres::fail(Batch batch, const Error& error) {
  if (error.code == ErrorCode::kInvalid) {
    if (batch.size() > 1) return append_one_by_one(std::move(batch));
    log_error("the database refuses an entry", {{"why", error.message}});
    if (!must_be_kept(batch.front().entry.kind)) {
      return batch.front().done(Error{ErrorCode::kInternal, error.message});
    }
    // An outcome is never lost: it waits in the spool until somebody has found out why.
  }
  drop_connection(error.message);
  if (error.code == ErrorCode::kInDoubt) {
    decline_in_doubt(std::move(batch), error);
  } else {
    decline(std::move(batch), error);
  }
}

// Before what has come since.
void LogPostgres::wait_again(Batch batch) {
  MutexLock lock(mutex_);
  queue_.insert(queue_.begin(), std::make_move_iterator(batch.begin()),
                std::make_move_iterator(batch.end()));
}

void LogPostgres::take_answers() {
  while (!sent_.empty()) take_answer();
}

// One entry that the database refuses must not take its neighbours down.
void LogPostgres::append_one_by_one(Batch batch) {
  for (PendingEntry& pending : batch) {
    Batch single;
    single.push_back(std::move(pending));
    append_batch(std::move(single));
    take_answers();
  }
}

// Where nobody else writes, waiting for the disk within the statement saves a round trip.
bool LogPostgres::comes_alone(std::size_t batch) {
  return std::max(std::exchange(last_batch_, batch), batch) <= 1 && sent_.empty() &&
         flush_queue_.size() == 0;
}

void LogPostgres::accept(Batch batch, const std::vector<Placed>& placed, Commit commit) {
  std::vector<AppendedEntry> appended;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (placed[i].placement != Placement::kAppended) continue;
    PendingEntry& pending = batch[i];
    if (commit == Commit::kWritten) {
      appended.push_back({.pending = std::move(pending), .index = placed[i].index});
    } else {
      pending.done(RecordRef{.id = pending.entry.id, .index = placed[i].index});
    }
  }
  if (!appended.empty()) flush_queue_.push(std::move(appended));
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (placed[i].placement != Placement::kAppended) refuse(std::move(batch[i]), placed[i]);
  }
}

void LogPostgres::refuse(PendingEntry pending, const Placed& placed) {
  switch (placed.placement) {
    case Placement::kAppended:
      return;
    case Placement::kLeaseExpired:
      renew_at_ = SteadyTime{};
      return pending.done(log_unavailable("the lease had run out"));
    case Placement::kAlreadyOpen:
      return pending.done(Error{ErrorCode::kInvalid, "the operation is open already"});
    case Placement::kSettled:
    case Placement::kClosed:
      return reconcile_late(std::move(pending));
    case Placement::kNotExpired:
      return pending.done(Error{ErrorCode::kRefused, "the operation's writer is alive"});
    case Placement::kApproval:
      return pending.done(Error{ErrorCode::kRefused, "the approval has changed"});
    case Placement::kToken:
      return pending.done(Error{ErrorCode::kNotFound, "the token was revoked or has expired"});
    case Placement::kOutdated:
      return pending.done(
          Error{pending.entry.kind == Kind::kIntent ? ErrorCode::kNotFound : ErrorCode::kRefused,
                "other rules are in force"});
    case Placement::kLimit:
      return pending.done(Error{ErrorCode::kLimit, placed.rule});
  }
}

void LogPostgres::reconcile_late(PendingEntry pending) {
  log_error("outcome came after its operation had been settled",
            {{"operation_id", to_string(pending.entry.operation_id)}});
  Result<Entry> entry =
      make_entry(late_outcome(pending.entry.operation_id, content_of(pending.entry)),
                 make_uuid_v7(clock_.now()), writer_);
  if (!entry.ok()) return pending.done(entry.error());
  PendingEntry late{.entry = *std::move(entry),
                    .deadline = clock_.steady_now() + options_.append_timeout,
                    .done = [done = std::move(pending.done)](const Result<RecordRef>& recorded) {
                      if (!recorded.ok()) return done(recorded.error());
                      done(Error{ErrorCode::kRefused, "the operation had been ended already"});
                    }};
  MutexLock lock(mutex_);
  queue_.push_back(std::move(late));
}

// Nothing of the batch is in the database.
void LogPostgres::decline(Batch batch, const Error& error) {
  for (PendingEntry& pending : batch) {
    if (must_be_kept(pending.entry.kind)) {
      pending.entry.set_time(times_.next());
      keep(std::move(pending.entry), pending.done);
    } else {
      pending.done(log_unavailable(error.message));
    }
  }
}

// Everything of the batch may be in the database, and then some of it may not: one statement is
// all or nothing, but single entries may have been refused.
void LogPostgres::decline_in_doubt(Batch batch, const Error& error) {
  for (PendingEntry& pending : batch) {
    if (must_be_kept(pending.entry.kind)) {
      // As it was sent: if it is in the database, the same bytes are refused there as closed.
      keep(std::move(pending.entry), pending.done);
      continue;
    }
    if (pending.entry.kind == Kind::kIntent) end_unsent(pending.entry);
    pending.done(Error{ErrorCode::kInDoubt, "audit log: " + error.message});
  }
}

void LogPostgres::end_unsent(const Entry& intent) {
  Result<Entry> entry = make_settled(intent, CallResult::kNotSent, kInDoubtReason,
                                     make_uuid_v7(clock_.now()), writer_);
  if (!entry.ok()) return;  // Not even without what the intent says, which cannot be too large.
  entry->set_time(times_.next());
  keep(*std::move(entry), nullptr);
}

// Makes an entry durable without the database, and remembers to bring it there.
void LogPostgres::keep(Entry entry, const Done& done) {
  const RecordRef ref{.id = entry.id, .index = -1};
  Status spooled = spool_ ? spool_->append(spooled_form(entry))
                          : Status(Error{ErrorCode::kUnavailable, "this role has no spool"});
  if (!spooled.ok()) {
    log_error("outcome is durable nowhere",
              {{"operation_id", to_string(entry.operation_id)}, {"why", spooled.error().message}});
  }
  backlog_.push_back(std::move(entry));
  {
    MutexLock lock(mutex_);
    spooled_ = backlog_.size();
    spool_bytes_ = spool_ ? spool_->bytes() : 0;
    online_ = false;
  }
  if (!done) return;
  if (!spooled.ok()) {
    return done(Error{ErrorCode::kInternal,
                      "audit log: neither database nor spool: " + spooled.error().message});
  }
  done(ref);
}

void LogPostgres::renew_if_due() {
  if (connection_ == nullptr || !sent_.empty() || clock_.steady_now() < renew_at_) return;
  if (const Status renewed = renew_lease(); !renewed.ok()) drop_connection(renewed.error().message);
}

Status LogPostgres::renew_lease() {
  const SteadyTime asked = clock_.steady_now();
  const Result<AppendConnection::Room> room = connection_->renew_lease(times_.next());
  if (!room.ok()) return room.error();
  renew_at_ = asked + options_.lease / 3;
  MutexLock lock(mutex_);
  spare_partition_ = room->spare;
  lease_until_ = asked + options_.lease;
  return {};
}

void LogPostgres::drop_connection(const std::string& reason) {
  close_connection();
  set_online(false, reason);
}

void LogPostgres::close_connection() {
  take_answers();
  FlushQueue::InDoubt in_doubt = flush_queue_.close();
  connection_.reset();
  if (!in_doubt.entries.empty()) decline_in_doubt(std::move(in_doubt.entries), in_doubt.error);
}

void LogPostgres::set_online(bool online, std::string reason) {
  if (!online && reason != last_reported_) log_warning("audit log away", {{"why", reason}});
  last_reported_ = reason;
  MutexLock lock(mutex_);
  online_ = online;
  reason_ = std::move(reason);
}

}  // namespace holdfast::audit
