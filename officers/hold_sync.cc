#include "officers/hold_sync.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "base/encoding.h"
#include "base/files.h"
#include "base/log.h"
#include "officers/hold_pages.h"

namespace holdfast::officers {
namespace {

constexpr std::size_t kPageBytesMax = 4 * 1024 * 1024;
constexpr const char* kCases = "/v1.0/security/cases/ediscoveryCases";

std::string case_target(const std::string& id) {
  return std::string(kCases) + "/" + percent_encode(id);
}

// What whoever runs Holdfast can do about it.
Error refusal(int status, const std::string& target) {
  const std::string answered = "Graph answered " + std::to_string(status) + " to " + target;
  if (status == 401) {
    return {ErrorCode::kRefused, answered + ": renew the token or the secret of audit.hold_sync"};
  }
  if (status == 403) {
    return {ErrorCode::kRefused, answered +
                                     ": give the application of audit.hold_sync the permission "
                                     "eDiscovery.Read.All, and its role in Purview"};
  }
  if (status == 404) {
    return {ErrorCode::kNotFound,
            answered + ": correct audit.hold_sync.holds where it names what is gone"};
  }
  return {ErrorCode::kUnavailable, answered + "; it is asked again"};
}

// As another process may write it.
std::optional<WallTime> time_of(const std::string& path) {
  using namespace std::chrono;
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return WallTime(seconds(status.st_mtim.tv_sec) + microseconds(status.st_mtim.tv_nsec / 1000));
}

}  // namespace

HoldSync::HoldSync(HoldSyncOptions options, std::unique_ptr<identity::GraphCredential> credential,
                   const Clock& clock, Metrics& metrics)
    : options_(std::move(options)),
      credential_(std::move(credential)),
      clock_(clock),
      began_(clock.now()),
      failures_(metrics.counter("holdfast_hold_sync_failures_total",
                                "Tries to read eDiscovery's holds that failed.")),
      due_(clock.steady_now()) {
  metrics.gauge_from("holdfast_hold_sync_age_seconds",
                     "Since Graph was asked for what the list of eDiscovery's holds says.", {},
                     [this] { return age_s(); });
}

Status HoldSync::step() {
  if (clock_.steady_now() < due_) return {};
  Status done = sync();
  due_ = clock_.steady_now() +
         (done.ok() ? options_.interval : std::min(options_.interval, options_.retry));
  // What was broken off says nothing.
  if (!runner_.is_interrupted()) note(done);
  return done;
}

Status HoldSync::sync() {
  const Result<FileLock> lock = FileLock::take(options_.list_file + ".lock");
  if (!lock.ok()) {
    // Another process writes it just now.
    if (lock.error().code == ErrorCode::kRefused) return {};
    return lock.error();
  }
  // What Graph says is true of some time after this.
  const WallTime asked = clock_.now();
  Result<std::set<std::string>> mailboxes = Error{ErrorCode::kUnavailable, "broken off"};
  const auto ask = [&]() -> Task<void> { mailboxes = co_await read(); };
  runner_.run(ask());
  if (!mailboxes.ok()) return mailboxes.error();
  return publish_file(options_.list_file, hold_list(*mailboxes), asked);
}

void HoldSync::note(const Status& done) {
  if (!done.ok()) failures_.add();
  std::string problem = done.ok() ? "" : done.error().message;
  if (problem != problem_ && !done.ok()) {
    log_error("the list of eDiscovery's holds stays as it was, and grows old",
              {{"file", options_.list_file}, {"reason", problem}});
  } else if (problem != problem_) {
    log_info("the list of eDiscovery's holds is as Graph says again",
             {{"file", options_.list_file}});
  }
  problem_ = std::move(problem);
}

double HoldSync::age_s() const {
  const WallTime as_of = time_of(options_.list_file).value_or(began_);
  return std::chrono::duration<double>(clock_.now() - as_of).count();
}

Task<Result<std::set<std::string>>> HoldSync::read() {
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  const Result<identity::BearerToken> token = co_await credential_->token();
  if (!token.ok()) co_return token.error();
  http::Client client(executor, options_.graph);
  identity::HttpGraphLookup graph(client, options_.question_timeout, kPageBytesMax);
  Reading reading{.graph = graph, .token = token->text};
  std::vector<std::string> holds = options_.holds;
  if (holds.empty()) {
    Result<std::vector<std::string>> cases = co_await read_cases(reading);
    if (!cases.ok()) co_return cases.error();
    holds = *std::move(cases);
  }
  for (const std::string& hold : holds) {
    const std::size_t slash = std::min(hold.find('/'), hold.size());
    std::string case_id = hold.substr(0, slash);
    Status read;
    if (slash == hold.size()) {
      read = co_await read_case(reading, std::move(case_id));
    } else {
      std::string hold_id = hold.substr(slash + 1);
      read = co_await read_hold(reading, std::move(case_id), std::move(hold_id));
    }
    if (!read.ok()) co_return read.error();
  }
  co_return std::move(reading.mailboxes);
}

// Those that are not closed.
Task<Result<std::vector<std::string>>> HoldSync::read_cases(Reading& reading) {
  std::vector<std::string> open;
  bool any = false;
  Take take = [&](const nlohmann::json& value) -> Status {
    any = true;
    if (is_closed_case(value)) return {};
    Result<std::string> id = id_in(value);
    if (!id.ok()) return id.error();
    open.push_back(*std::move(id));
    return {};
  };
  const Status visited = co_await visit(reading, kCases, std::move(take));
  if (!visited.ok()) co_return visited.error();
  // Graph does not tell whoever may see none from where there are none.
  if (!any) {
    co_return Error{ErrorCode::kRefused,
                    "Graph shows no eDiscovery case at all: make the application of "
                    "audit.hold_sync an eDiscovery administrator in Purview, or name the holds"};
  }
  co_return open;
}

Task<Status> HoldSync::read_case(Reading& reading, std::string id) {
  std::vector<std::string> holds;
  Take take = [&](const nlohmann::json& value) -> Status {
    Result<std::string> hold = id_in(value);
    if (!hold.ok()) return hold.error();
    holds.push_back(*std::move(hold));
    return {};
  };
  std::string target = case_target(id) + "/legalHolds";
  const Status visited = co_await visit(reading, std::move(target), std::move(take));
  if (!visited.ok()) co_return visited;
  for (const std::string& hold : holds) {
    const Status read = co_await read_hold(reading, id, hold);
    if (!read.ok()) co_return read;
  }
  co_return Status{};
}

Task<Status> HoldSync::read_hold(Reading& reading, std::string case_id, std::string hold_id) {
  Take take = [&](const nlohmann::json& value) -> Status {
    Result<std::optional<std::string>> mailbox = held_mailbox(value);
    if (!mailbox.ok()) return mailbox.error();
    if (*mailbox) reading.mailboxes.insert(**std::move(mailbox));
    if (reading.mailboxes.size() <= options_.mailboxes_max) return {};
    return Error{ErrorCode::kLimit,
                 "more than " + std::to_string(options_.mailboxes_max) + " mailboxes are on hold"};
  };
  std::string target =
      case_target(case_id) + "/legalHolds/" + percent_encode(hold_id) + "/userSources";
  co_return co_await visit(reading, std::move(target), std::move(take));
}

// All values of a collection, over all its pages.
Task<Status> HoldSync::visit(Reading& reading, std::string target, Take take) {
  const Result<http::Origin> origin = http::parse_origin(options_.graph.origin);
  if (!origin.ok()) co_return origin.error();
  const std::string first = target;
  const http::Headers none;
  while (!target.empty()) {
    if (++reading.pages > options_.pages_max || !reading.seen.insert(target).second) {
      co_return Error{ErrorCode::kLimit, "Graph has more than " +
                                             std::to_string(options_.pages_max) +
                                             " pages of holds, or sends in circles: " + first};
    }
    const Result<identity::GraphAnswer> answer =
        co_await reading.graph.get(target, reading.token, none);
    if (!answer.ok()) {
      co_return Error{answer.error().code,
                      "Graph does not answer " + first + ": " + answer.error().message};
    }
    if (answer->status != 200) co_return refusal(answer->status, first);
    Result<HoldPage> page = read_hold_page(answer->body, *origin);
    if (!page.ok()) co_return Error{page.error().code, first + ": " + page.error().message};
    for (const nlohmann::json& value : page->values) {
      const Status taken = take(value);
      if (!taken.ok()) co_return Error{taken.error().code, first + ": " + taken.error().message};
    }
    target = std::move(page->next);
  }
  co_return Status{};
}

}  // namespace holdfast::officers
