#include "proxy/service.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/log.h"
#include "proxy/pipeline.h"
#include "proxy/source_address.h"

namespace holdfast::proxy {
namespace {

constexpr std::chrono::seconds kCountedRefusalsEvery{10};
constexpr std::chrono::milliseconds kUrgencyAskedEvery{20};
// The database's connection, the spool, certificates, event loops and the program's own files.
constexpr std::size_t kOwnDescriptors = 128;

// What everything but clients may open.
std::size_t descriptors_needed(const ServiceOptions& options) {
  const auto workers = static_cast<std::size_t>(std::max(1, options.server.threads));
  const http::ClientOptions& upstream = options.upstream;
  return kOwnDescriptors +
         workers * (upstream.connections_max + upstream.guarded_connections_max + 8);
}

Task<void> record_counted_refusals(PipelineParts parts) {
  const std::optional<UnrecordedRefusals> count = parts.refusals.take_unrecorded();
  if (!count) co_return;
  const Result<audit::RecordRef> recorded =
      co_await parts.log.append(counted_refusals_record(*count, parts.clock.now()));
  if (!recorded.ok()) parts.refusals.restore(*count);
}

Task<void> record_counted_refusals_regularly(PipelineParts parts) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  for (;;) {
    timer.expires_after(kCountedRefusalsEvery);
    co_await timer.async_wait(boost::asio::use_awaitable);
    co_await record_counted_refusals(parts);
  }
}

// One worker's handler together with the client that it and its lookups send over.
class Worker final : public http::Handler {
 public:
  Worker(const boost::asio::any_io_executor& executor, const http::ClientOptions& upstream,
         std::chrono::milliseconds probe_timeout, std::chrono::milliseconds answer_timeout,
         const PipelineParts& parts)
      : client_(executor, upstream),
        pipeline_(parts, std::make_unique<GraphUpstream>(client_, answer_timeout),
                  std::make_unique<identity::HttpGraphLookup>(client_, probe_timeout)) {}

  Task<http::Response> handle(http::Request request) override {
    return pipeline_.handle(std::move(request));
  }
  Task<http::Response> refuse(http::Unreadable request) override {
    return pipeline_.refuse(std::move(request));
  }
  void give_up() override { client_.abandon(); }

 private:
  http::Client client_;
  Pipeline pipeline_;
};

}  // namespace

struct Service::Shared {
  Shared(const Clock& clock, const ServiceOptions& options)
      : certificates(options.certificates),
        verifier(clock),
        mailboxes(clock, options.mailbox_names_age_max),
        refusals(options.refusal_rates, clock),
        probes(options.probe_rates, clock),
        guarded_in_flight(options.guarded_in_flight_max),
        buffered_bodies(options.buffered_bodies_bytes_max, options.buffered_body_bytes_max) {}

  // While this lives.
  void expose(Metrics& metrics) const {
    metrics.gauge_from("holdfast_guarded_in_flight", "Guarded calls being answered.", {},
                       [this] { return static_cast<double>(guarded_in_flight.used()); });
    metrics.gauge_from("holdfast_buffered_body_bytes", "Request bodies held in memory.", {},
                       [this] { return static_cast<double>(buffered_bodies.used()); });
  }

  const std::optional<identity::CertificateApps> certificates;
  identity::Verifier verifier;
  identity::MailboxDirectory mailboxes;
  RefusalBudget refusals;
  std::atomic<bool> draining{false};
  identity::ProbeBudget probes;
  Budget guarded_in_flight;
  SharedBudget buffered_bodies;  // One address can always have one body.
  std::optional<PipelineParts> parts;
};

Service::Service(std::unique_ptr<Shared> shared, std::unique_ptr<http::Server> server,
                 std::chrono::milliseconds settle_timeout)
    : shared_(std::move(shared)), server_(std::move(server)), settle_timeout_(settle_timeout) {}

Service::~Service() = default;

Result<std::unique_ptr<Service>> Service::start(ServiceOptions options, audit::AuditLog& log,
                                                approval::RuleStore& rules,
                                                approval::ApprovalSource& approvals,
                                                Metrics& metrics, const Clock& clock) {
  Result<LinkSettings> links = link_settings(options.upstream.origin, options.public_origin);
  if (!links.ok()) return links.error();
  auto shared = std::make_unique<Shared>(clock, options);
  shared->expose(metrics);
  shared->parts.emplace(
      PipelineParts{.log = log,
                    .rules = rules,
                    .approvals = approvals,
                    .verifier = shared->verifier,
                    .mailboxes = shared->mailboxes,
                    .refusals = shared->refusals,
                    .probes = shared->probes,
                    .guarded_in_flight = shared->guarded_in_flight,
                    .buffered_bodies = shared->buffered_bodies,
                    .metrics = metrics,
                    .clock = clock,
                    .draining = shared->draining,
                    .certificates = shared->certificates ? &*shared->certificates : nullptr,
                    .trusted_proxies = options.trusted_proxies,
                    .metrics_from = options.metrics_from,
                    .buffered_body_bytes_max = options.buffered_body_bytes_max,
                    .facts_timeout = options.facts_timeout,
                    .audit_url = options.audit_url,
                    .links = *std::move(links)});
  options.upstream.metrics = &metrics;
  const auto make_worker = [parts = *shared->parts, upstream = options.upstream,
                            probe_timeout = options.probe_timeout,
                            answer_timeout = options.guarded_answer_timeout](
                               const boost::asio::any_io_executor& executor) mutable {
    if (parts.worker == 0) {
      boost::asio::co_spawn(executor, record_counted_refusals_regularly(parts),
                            boost::asio::detached);
    }
    auto worker =
        std::make_unique<Worker>(executor, upstream, probe_timeout, answer_timeout, parts);
    ++parts.worker;
    return worker;
  };
  if (options.proxy_protocol) {
    options.server.sends_proxy_header = [trusted =
                                             options.trusted_proxies](const std::string& address) {
      return approval::is_in_any(address, trusted);
    };
  }
  options.server.metrics = &metrics;
  options.server.shares_address = [trusted = options.trusted_proxies](const std::string& address) {
    return approval::is_in_any(address, trusted);
  };
  options.server.needs_no_place = is_probe;
  options.server.descriptors_reserved = descriptors_needed(options);
  Result<std::unique_ptr<http::Server>> server =
      http::Server::start(std::move(options.server), make_worker);
  if (!server.ok()) return server.error();
  return std::unique_ptr<Service>(
      new Service(std::move(shared), std::move(*server), options.settle_timeout));
}

Status Service::reload_tls() {
  return server_->reload_tls();
}

std::uint16_t Service::port() const {
  return server_->port();
}

void Service::announce_drain() {
  shared_->draining = true;
}

bool Service::drain(std::chrono::milliseconds timeout, const std::function<bool()>& is_urgent) {
  announce_drain();
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  bool finished = server_->drain(kUrgencyAskedEvery);
  while (!finished && std::chrono::steady_clock::now() < deadline && !is_urgent()) {
    finished = server_->drain(kUrgencyAskedEvery);
  }
  if (!finished) {
    log_warning("requests are still running at the end of the drain; they are ended");
    server_->give_up();
    finished = server_->drain(settle_timeout_);
  }
  boost::asio::io_context context;
  boost::asio::co_spawn(context, record_counted_refusals(*shared_->parts), boost::asio::detached);
  context.run();
  return finished;
}

}  // namespace holdfast::proxy
