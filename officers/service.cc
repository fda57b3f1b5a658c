#include "officers/service.h"

#include <unistd.h>

#include <array>
#include <limits>
#include <tuple>

#include "audit/log_metrics.h"
#include "audit/settle_postgres.h"
#include "audit/unsettled_postgres.h"
#include "base/clock.h"

namespace holdfast::officers {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kDeriveBatch = 2000;
constexpr milliseconds kDeriveInterval{200};
constexpr std::int64_t kIndexBatch = 5000;
constexpr milliseconds kIndexInterval{500};
constexpr milliseconds kPartitionInterval{10'000};
constexpr milliseconds kSettleInterval{2'000};
constexpr milliseconds kReconcileInterval{1'000};
constexpr milliseconds kExpireInterval{2'000};
constexpr milliseconds kHoldSyncInterval{100};  // It knows itself when it is due.
constexpr milliseconds kTreeInterval{100};      // A checkpoint is at most a second late.
constexpr milliseconds kLoopStatementTimeout{60'000};

// A loop around one SQL statement, on a connection of its own. It goes on at once while the
// statement's number is at least `more_from`.
std::unique_ptr<Loop> sql_loop(std::string name, milliseconds interval,
                               const audit::Database& database, const std::string& statement,
                               std::int64_t more_from) {
  const audit::DatabaseAccess access{.database = database,
                                     .statement_timeout = kLoopStatementTimeout};
  auto call = std::make_shared<audit::DatabaseCall>(access, statement);
  auto step = [call, more_from]() -> Result<bool> {
    const Result<std::int64_t> number = call->run();
    if (!number.ok()) return number.error();
    return *number >= more_from;
  };
  return std::make_unique<Loop>(LoopWork{
      .name = std::move(name), .interval = interval, .step = std::move(step), .interrupt = [call] {
        call->interrupt();
      }});
}

// Ends what dead proxies left open.
std::unique_ptr<Loop> settling_loop(const ServiceOptions& options) {
  auto settler = std::make_shared<audit::Settler>(
      audit::AppendConnection::Options{.database = options.database,
                                       .writer = {},
                                       .lease = options.lease,
                                       .deadline = options.append_timeout});
  auto step = [settler]() -> Result<bool> {
    const Result<std::size_t> settled = settler->settle_expired();
    if (!settled.ok()) return settled.error();
    return *settled > 0;
  };
  return std::make_unique<Loop>(LoopWork{
      .name = "settling", .interval = kSettleInterval, .step = std::move(step), .interrupt = [] {
      }});  // A step is short by itself.
}

// Asks Graph what became of operations whose outcome is unknown.
std::unique_ptr<Loop> reconciling_loop(Reconciler& reconciler) {
  return std::make_unique<Loop>(LoopWork{.name = "reconciling",
                                         .interval = kReconcileInterval,
                                         .step = [&reconciler] { return reconciler.step(); },
                                         .interrupt = [&reconciler] { reconciler.interrupt(); }});
}

// Keeps a list of the rules as eDiscovery's holds are. What fails there is no reason to turn
// officers away: the sync says so itself, and the list's age restricts.
std::unique_ptr<Loop> hold_sync_loop(HoldSync& sync) {
  auto step = [&sync]() -> Result<bool> {
    std::ignore = sync.step();
    return false;
  };
  return std::make_unique<Loop>(LoopWork{.name = "hold_sync",
                                         .interval = kHoldSyncInterval,
                                         .step = std::move(step),
                                         .interrupt = [&sync] { sync.interrupt(); }});
}

// Records which approvals have run out.
std::unique_ptr<Loop> expiry_loop(const ServiceOptions& options) {
  auto expirer = std::make_shared<approval::ApprovalExpirer>(
      audit::AppendConnection::Options{.database = options.database,
                                       .writer = {},
                                       .lease = options.lease,
                                       .deadline = options.append_timeout});
  auto step = [expirer]() -> Result<bool> {
    const Result<std::size_t> expired = expirer->expire_due();
    if (!expired.ok()) return expired.error();
    return *expired > 0;
  };
  return std::make_unique<Loop>(LoopWork{
      .name = "approvals", .interval = kExpireInterval, .step = std::move(step), .interrupt = [] {
      }});  // A step is short by itself.
}

// Notes which reviews have become overdue.
std::unique_ptr<Loop> review_loop(approval::ReviewWatch& watch) {
  return std::make_unique<Loop>(LoopWork{.name = "reviews",
                                         .interval = kExpireInterval,
                                         .step = [&watch] { return watch.step(); },
                                         .interrupt = [&watch] { watch.interrupt(); }});
}

// Adds to the tree and signs, or watches who does.
std::unique_ptr<Loop> tree_loop(audit::TreeKeeper& keeper) {
  auto step = [&keeper]() -> Result<bool> {
    Result<bool> more = keeper.step();
    if (more.ok() || more.error().code != ErrorCode::kRefused) return more;
    return Error{more.error().code, "frozen, nothing is signed: " + more.error().message};
  };
  return std::make_unique<Loop>(LoopWork{
      .name = "tree", .interval = kTreeInterval, .step = std::move(step), .interrupt = [&keeper] {
        keeper.interrupt();
      }});
}

// This process among others that could lead.
std::string process_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return std::to_string(::getpid()) + "@" + host.data();
}

}  // namespace

Result<std::unique_ptr<Service>> Service::start(ServiceOptions options) {
  std::unique_ptr<Service> service(
      new Service(std::move(options.tokens), std::move(options.sign_in)));
  Result<std::unique_ptr<audit::LogPostgres>> log =
      audit::LogPostgres::open({.database = options.database,
                                .role = audit::WriterRole::kAudit,
                                .spool_dir = {},
                                .lease = options.lease,
                                .append_timeout = options.append_timeout});
  if (!log.ok()) return log.error();
  service->log_ = *std::move(log);
  service->records_ = std::make_unique<audit::PostgresRecordSource>(
      audit::RecordSourceOptions{.access = {.database = options.database}});
  service->tree_ = std::make_unique<audit::PostgresTreeSource>(service->records_->workers());
  service->approvals_ =
      std::make_unique<approval::PostgresApprovalSource>(service->records_->workers());
  service->reviews_ =
      std::make_unique<approval::PostgresReviewSource>(service->records_->workers());
  service->generations_ =
      std::make_unique<approval::PostgresGenerationSource>(service->records_->workers());
  service->stored_tokens_ = std::make_unique<PostgresTokenSource>(service->records_->workers());
  service->holds_ = std::make_unique<PostgresHoldSource>(service->records_->workers());
  service->origin_ = options.origin;
  Result<std::unique_ptr<Anchors>> anchors =
      Anchors::open(options.anchors, options.database, options.origin,
                    [self = service.get()] { return self->tree_role().status; });
  if (!anchors.ok()) return anchors.error();
  service->anchors_ = *std::move(anchors);
  Result<std::unique_ptr<Webhooks>> webhooks =
      Webhooks::open(options.webhooks, options.database, options.notice_links, service->metrics_);
  if (!webhooks.ok()) return webhooks.error();
  service->webhooks_ = *std::move(webhooks);
  if (!options.signers.empty()) {
    Result<std::unique_ptr<audit::TreeKeeper>> keeper = audit::TreeKeeper::open(
        {.database = options.database,
         .origin = options.origin,
         .signers = std::move(options.signers),
         .checkpoint_file = options.checkpoint_file,
         .name = process_name(),
         .held_outside = service->anchors_->held(),
         .opinion = [anchors = service->anchors_.get()](
                        std::uint64_t leadership) { return anchors->opinion(leadership); },
         .partition_records = options.partition_records});
    if (!keeper.ok()) return keeper.error();
    service->keeper_ = *std::move(keeper);
  }
  service->start_loops(options);
  service->expose_loops();
  service->anchors_->expose(service->api_metrics_);
  audit::expose_health(*service->log_, service->metrics_);
  if (options.credential) service->start_reconciling(options);
  if (options.hold_credential) service->start_hold_sync(options);
  const ApiServices services{
      .records = *service->records_,
      .tree = *service->tree_,
      .log = *service->log_,
      .approvals = *service->approvals_,
      .reviews = *service->reviews_,
      .generations = *service->generations_,
      .tokens = service->tokens_,
      .stored_tokens = *service->stored_tokens_,
      .holds = *service->holds_,
      .sign_in = service->sign_in_.get(),
      .clock = system_clock(),
      .metrics = service->api_metrics_,
      .metrics_from = std::move(options.metrics_from),
      .problems = [self = service.get()] { return self->loop_problems(); },
      .tree_role = [self = service.get()] { return self->tree_role(); },
      .entry_readers = options.entry_readers,
      .reconcile_role = [self = service.get()] { return self->reconcile_role(); },
      .token_approvals = options.token_approvals};
  options.server.metrics = &service->metrics_;
  options.server.needs_no_place = is_probe;
  Result<std::unique_ptr<http::Server>> server =
      http::Server::start(std::move(options.server),
                          [services](boost::asio::any_io_executor) { return make_api(services); });
  if (!server.ok()) return server.error();
  service->server_ = *std::move(server);
  return service;
}

void Service::start_loops(const ServiceOptions& options) {
  const audit::Database& database = options.database;
  loops_.push_back(sql_loop("search", kDeriveInterval, database,
                            "SELECT holdfast.derive_search(" + std::to_string(kDeriveBatch) + ")",
                            kDeriveBatch));
  constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  // Search does not wait for it. With a pause after each batch, which takes about as long: while
  // the log is written at its fastest, that has the processors first.
  loops_.push_back(sql_loop("search_index", kIndexInterval, database,
                            "SELECT holdfast.index_search(" + std::to_string(kIndexBatch) + ")",
                            kNever));
  loops_.push_back(sql_loop("partitions", kPartitionInterval, database,
                            "SELECT holdfast.ensure_partitions()", kNever));
  loops_.push_back(settling_loop(options));
  loops_.push_back(expiry_loop(options));
  review_watch_ = std::make_unique<approval::ReviewWatch>(
      audit::DatabaseAccess{.database = database, .statement_timeout = kLoopStatementTimeout});
  loops_.push_back(review_loop(*review_watch_));
  if (keeper_) loops_.push_back(tree_loop(*keeper_));
  anchors_->start();
  webhooks_->start();
}

void Service::start_reconciling(ServiceOptions& options) {
  auto source = std::make_unique<audit::PostgresUnsettled>(audit::DatabaseAccess{
      .database = options.database, .statement_timeout = kLoopStatementTimeout});
  reconciler_ = std::make_unique<Reconciler>(std::move(options.reconcile), std::move(source),
                                             std::move(options.credential), *log_, system_clock());
  loops_.push_back(reconciling_loop(*reconciler_));
}

void Service::start_hold_sync(ServiceOptions& options) {
  hold_sync_ = std::make_unique<HoldSync>(
      std::move(options.hold_sync), std::move(options.hold_credential), system_clock(), metrics_);
  loops_.push_back(hold_sync_loop(*hold_sync_));
}

ReconcileRole Service::reconcile_role() const {
  if (!reconciler_) return {};
  return {.asks = true, .problem = reconciler_->problem()};
}

TreeRole Service::tree_role() const {
  TreeRole role{.origin = origin_, .keys = {}, .status = {}, .anchors = anchors_->status()};
  if (!keeper_) return role;
  for (const audit::VerifierKey& key : keeper_->keys()) role.keys.push_back(key.text());
  role.status = keeper_->status();
  return role;
}

void Service::expose_loops() {
  metrics_.gauge_from("holdfast_reviews_overdue",
                      "Calls that went past their approval and nobody reviewed in time.", {},
                      [this] { return static_cast<double>(review_watch_->overdue()); });
  metrics_.gauge_from("holdfast_review_oldest_overdue_seconds",
                      "Since the oldest of them became overdue; 0: none.", {},
                      [this] { return static_cast<double>(review_watch_->oldest_s()); });
  for (const auto& loop : loops_) {
    metrics_.gauge_from("holdfast_loop_ok", "1 while a background task does its work, else 0.",
                        {{"loop", loop->name()}},
                        [task = loop.get()] { return task->problem() ? 0.0 : 1.0; });
  }
}

std::vector<std::string> Service::loop_problems() const {
  std::vector<std::string> problems;
  for (const auto& loop : loops_) {
    if (auto problem = loop->problem()) problems.push_back(*std::move(problem));
  }
  return problems;
}

bool Service::drain(milliseconds timeout) {
  return server_->drain(timeout);
}

Service::~Service() {
  // Whoever still waits is answered while its worker exists; only then do the workers end.
  for (const auto& loop : loops_) loop->stop();
  if (anchors_) anchors_->stop();
  if (webhooks_) webhooks_->stop();
  if (records_) records_->stop();
  if (log_) log_->stop();
  server_.reset();
}

}  // namespace holdfast::officers
