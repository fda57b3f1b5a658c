// The audit log in PostgreSQL: group commit, and a spool for outcomes that the database cannot
// take.
//
// One thread does all appending: it takes everything that waits (no timer) and commits it in one
// statement, and sends the next one behind it as soon as enough has come; another one makes durable
// what is committed (FlushQueue) and then lets each waiting coroutine go on. A record that comes
// alone is spared the second one: its statement waits for the disk. What happens when any of it
// fails:
//   intent, decision, other   kUnavailable; where the commit is in doubt, kInDoubt, and the log
//                             itself ends such an intent as not_sent once the database is back
//   outcome                   synced to the spool; success with index -1
// While anything is in the spool nothing but outcomes is taken: health() says why.
//
// After a crash, the next LogPostgres with the same spool directory first brings the spool into the
// database and then ends what was left open as unknown. Its records do not have earlier times than
// those of the process before, whatever the clock says: where that was set back, they have the last
// one until it catches up; where a crash hid which that was, one of up to a lease later.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "audit/append_connection_postgres.h"
#include "audit/audit_log.h"
#include "audit/conninfo.h"
#include "audit/entry.h"
#include "audit/flush_queue.h"
#include "audit/socket_watchdog.h"
#include "audit/spool.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/wakeup.h"

namespace holdfast::audit {

struct LogOptions {
  Database database;
  WriterRole role = WriterRole::kProxy;
  std::string spool_dir;  // Needed by a proxy; without one the writer's id is of this process only.
  std::chrono::milliseconds lease{15'000};
  // How long an append may wait for its turn, and a statement for its answer.
  std::chrono::milliseconds append_timeout{5'000};
  std::chrono::milliseconds retry_interval{
      500};  // Between two looks at an idle database, and two attempts to reach it.
  std::size_t batch_max = kBatchMax;
  std::size_t queue_max = 10'000;                     // Waiting records, outcomes not counted.
  PersonalData personal_data = PersonalData::kClear;  // Of all records.
};

class LogPostgres final : public AuditLog {
 public:
  // Takes the spool and starts the thread; does not wait for the database. Errors: see Spool::open.
  static Result<std::unique_ptr<LogPostgres>> open(LogOptions options,
                                                   const Clock& clock = system_clock());

  // As stop().
  ~LogPostgres() override;

  // Takes nothing new, finishes what waits, ends the thread. Every append has been answered by
  // then. The executors of waiting coroutines must still exist.
  void stop();

  Task<Result<Receipt>> append_intent(Record intent, OutboundRequest request) override;
  Task<Result<RecordRef>> append_outcome(Record outcome) override;
  Task<Result<RecordRef>> append(Record record) override;
  LogHealth health() const override;

  const Writer& writer() const { return writer_; }

 private:
  using Done = std::function<void(Result<RecordRef>)>;
  using Batch = std::vector<PendingEntry>;

  // A batch whose statement has not been answered.
  struct Sent {
    Batch batch;
    Commit commit;
    SteadyTime begun;  // When it was sent, and the one before it was answered.
  };

  LogPostgres(LogOptions options, std::unique_ptr<Spool> spool, const Clock& clock);

  SteadyTime lease_until() const;
  Task<Result<RecordRef>> submit(Record record);
  void enqueue(Result<Entry> entry, Done done);
  void note_flush();

  // All below: the appender thread.
  void run();
  void connect_and_recover();
  Status recover();
  Status reach_earlier_times();
  Status drain_backlog();
  Result<std::vector<const Entry*>> late_among(std::span<const Entry* const> entries,
                                               const std::vector<Placed>& placed);
  Status settle_leftovers();
  Status append_own(std::vector<Entry> entries);
  bool is_stopped() const;
  Batch take_batch();
  bool is_enough() const HOLDFAST_REQUIRES(mutex_);
  std::size_t wanted() const HOLDFAST_REQUIRES(mutex_);
  bool has_work() const HOLDFAST_REQUIRES(mutex_);
  bool take_wakeup() HOLDFAST_REQUIRES(mutex_);
  void wait();
  void append_batch(Batch batch);
  bool is_answered();
  void take_answer();
  void take_answers();
  void fail(Batch batch, const Error& error);
  void wait_again(Batch batch);
  bool comes_alone(std::size_t batch);
  void append_one_by_one(Batch batch);
  void accept(Batch batch, const std::vector<Placed>& placed, Commit commit);
  void refuse(PendingEntry pending, const Placed& placed);
  void decline(Batch batch, const Error& error);
  void decline_in_doubt(Batch batch, const Error& error);
  void reconcile_late(PendingEntry pending);
  void keep(Entry entry, const Done& done);
  void end_unsent(const Entry& intent);
  void renew_if_due();
  Status renew_lease();
  void drop_connection(const std::string& reason);
  void close_connection();
  void set_online(bool online, std::string reason);

  const LogOptions options_;
  const Writer writer_;
  const Clock& clock_;

  // The appender thread's own.
  std::unique_ptr<Spool> spool_;
  SocketWatchdog watchdog_;
  std::unique_ptr<AppendConnection> connection_;
  std::deque<Sent> sent_;       // Oldest first.
  std::size_t last_batch_ = 0;  // How many entries it had.
  std::vector<Entry> backlog_;  // What the database still lacks; also in the spool.
  bool times_reached_ = false;  // Those that an earlier process gave.
  bool leftovers_settled_ = false;
  SteadyTime renew_at_;
  RisingTimes times_;
  std::string last_reported_;

  mutable Mutex mutex_;
  std::deque<PendingEntry> queue_ HOLDFAST_GUARDED_BY(mutex_);
  bool waits_ HOLDFAST_GUARDED_BY(mutex_) = false;      // The thread, and it is to be woken.
  bool takes_more_ HOLDFAST_GUARDED_BY(mutex_) = true;  // Another batch may be sent.
  // Entries of the oldest batch that is sent.
  std::size_t running_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  // By the last answered statement.
  SteadyTime::duration append_took_ HOLDFAST_GUARDED_BY(mutex_){};
  bool stopping_ HOLDFAST_GUARDED_BY(mutex_) = false;
  bool online_ HOLDFAST_GUARDED_BY(mutex_) = false;     // Connected, and nothing in the spool.
  SteadyTime lease_until_ HOLDFAST_GUARDED_BY(mutex_);  // At least until then, by this clock.
  bool spare_partition_ HOLDFAST_GUARDED_BY(mutex_) = true;
  std::string reason_ HOLDFAST_GUARDED_BY(mutex_) = "connecting to the database";
  std::size_t spooled_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  std::size_t spool_bytes_ HOLDFAST_GUARDED_BY(mutex_) = 0;

  Wakeup wakeup_;
  FlushQueue flush_queue_;  // The appender thread's own, but for what it tells.
  std::thread thread_;
};

}  // namespace holdfast::audit
