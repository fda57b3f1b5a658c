#include "officers/hold_sync.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "base/files.h"
#include "http/server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_credential.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::officers {
namespace {

using namespace std::chrono_literals;

constexpr const char* kCases = "/v1.0/security/cases/ediscoveryCases";

// eDiscovery as a table of targets; what is not in it is a 404. One status for all where it is set;
// -1: it says nothing at all.
class Ediscovery {
 public:
  using Pages = std::map<std::string, std::string>;

  Pages pages() const {
    const std::lock_guard lock(mutex_);
    return pages_;
  }
  void show(Pages pages) {
    const std::lock_guard lock(mutex_);
    pages_ = std::move(pages);
  }
  void show(const std::string& target, const std::string& page) {
    const std::lock_guard lock(mutex_);
    pages_[target] = page;
  }

  std::atomic<int> status = 200;
  std::atomic<int> asked = 0;
  testing::FakeClock* clock = nullptr;  // Where it is: each question takes ten seconds.

 private:
  mutable std::mutex mutex_;
  Pages pages_;  // Read by the server's thread.
};

class EdiscoveryHandler final : public http::Handler {
 public:
  explicit EdiscoveryHandler(Ediscovery& graph) : graph_(graph) {}
  Task<http::Response> handle(http::Request request) override {
    ++graph_.asked;
    if (graph_.clock != nullptr) graph_.clock->advance(10s);
    if (graph_.status == -1) {
      boost::asio::steady_timer forever(co_await boost::asio::this_coro::executor);
      forever.expires_at(boost::asio::steady_timer::time_point::max());
      co_await forever.async_wait(boost::asio::use_awaitable);
    }
    http::Response response;
    const Ediscovery::Pages pages = graph_.pages();
    const auto page = pages.find(request.head.target);
    response.status = page == pages.end() ? 404 : graph_.status.load();
    if (page != pages.end()) response.content = page->second;
    co_return response;
  }
  Task<http::Response> refuse(http::Unreadable request) override {
    http::Response response;
    response.status = request.status;
    co_return response;
  }

 private:
  Ediscovery& graph_;
};

class HoldSyncTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = http::Server::start({}, [this](const boost::asio::any_io_executor&) {
      return std::make_unique<EdiscoveryHandler>(graph_);
    });
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
    origin_ = "http://127.0.0.1:" + std::to_string(server_->port());
    page(kCases, R"({"id":"c1","status":"active"},{"id":"c2","status":"closed"})", "?$skip=2");
    page(std::string(kCases) + "?$skip=2", R"({"id":"c3","status":"closing"})");
    page(holds("c1"), R"({"id":"h1"})", "?$skip=1");
    page(holds("c1") + "?$skip=1", R"({"id":"h2"})");
    page(holds("c3"), "");
    page(sources("c1", "h1"), R"({"email":"held@contoso.com"},{"email":"B@contoso.com"})",
         "?$skip=2");
    page(sources("c1", "h1") + "?$skip=2", R"({"email":"c@contoso.com"})");
    page(sources("c1", "h2"), R"({"email":"Held@contoso.com"})");
  }

  static std::string holds(const std::string& id) {
    return std::string(kCases) + "/" + id + "/legalHolds";
  }
  static std::string sources(const std::string& id, const std::string& hold) {
    return holds(id) + "/" + hold + "/userSources";
  }
  void page(const std::string& target, const std::string& values, const std::string& next = "") {
    std::string link;
    if (!next.empty()) {
      link = R"(,"@odata.nextLink":")" + origin_ + target.substr(0, target.find('?')) + next + "\"";
    }
    graph_.show(target, R"({"value":[)" + values + "]" + link + "}");
  }

  Status step(std::vector<std::string> named = {}, std::size_t pages_max = 100,
              std::size_t mailboxes_max = 100) {
    HoldSync sync({.graph = {.origin = origin_},
                   .list_file = file_,
                   .holds = std::move(named),
                   .pages_max = pages_max,
                   .mailboxes_max = mailboxes_max},
                  std::make_unique<testing::FakeCredential>(no_credential_), clock_, metrics_);
    return sync.step();
  }
  std::string problem(std::vector<std::string> named = {}) {
    const Status done = step(std::move(named));
    return done.ok() ? "none" : done.error().message;
  }
  std::string names() const {
    std::ifstream file(file_);
    std::string all;
    for (std::string line; std::getline(file, line);) {
      if (line.find('@') != std::string::npos) all += line + " ";
    }
    return all;
  }
  WallTime modified() const {
    struct stat status{};
    EXPECT_EQ(::stat(file_.c_str(), &status), 0);
    return WallTime(std::chrono::seconds(status.st_mtim.tv_sec) +
                    std::chrono::microseconds(status.st_mtim.tv_nsec / 1000));
  }

  Ediscovery graph_;
  std::unique_ptr<http::Server> server_;
  std::string origin_;
  std::optional<Error> no_credential_;
  testing::FakeClock clock_;
  Metrics metrics_;
  testing::TemporaryDirectory folder_;
  const std::string file_ = folder_.path() + "/hold.csv";
};

TEST_F(HoldSyncTest, all_holds_of_all_cases_that_are_not_closed) {
  ASSERT_EQ(problem(), "none");
  EXPECT_EQ(names(), "b@contoso.com c@contoso.com held@contoso.com ");
  struct stat status{};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST_F(HoldSyncTest, those_that_are_named) {
  ASSERT_EQ(problem({"c1/h2"}), "none");
  EXPECT_EQ(names(), "held@contoso.com ");
  ASSERT_EQ(problem({"c3", "c1"}), "none");
  EXPECT_EQ(names(), "b@contoso.com c@contoso.com held@contoso.com ");
}

TEST_F(HoldSyncTest, the_same_again_is_only_newer) {
  ASSERT_EQ(problem(), "none");
  const WallTime first = modified();
  EXPECT_EQ(first, clock_.now());
  const auto bytes = read_file(file_, 10'000, Readers::kAnyone);
  clock_.advance(90s);
  ASSERT_EQ(problem(), "none");
  EXPECT_EQ(modified() - first, 90s);
  EXPECT_EQ(*read_file(file_, 10'000, Readers::kAnyone), *bytes);
}

TEST_F(HoldSyncTest, the_list_is_as_old_as_the_first_question) {
  graph_.clock = &clock_;
  const WallTime began = clock_.now();
  ASSERT_EQ(problem(), "none");
  EXPECT_EQ(modified(), began);
  EXPECT_GT(clock_.now(), began);
}

// One row for each way in which Graph does not say everything.
TEST_F(HoldSyncTest, fault_whatever_is_missing_leaves_the_list_as_it_was) {
  ASSERT_EQ(problem(), "none");
  const std::string before = names();
  const WallTime as_of = modified();
  const Ediscovery::Pages whole = graph_.pages();
  clock_.advance(60s);
  for (const auto& [target, body] : whole) {
    for (const std::string odd :
         {"", "{}", R"({"value":[{}]})", R"({"value":[],"@odata.nextLink":"x"})"}) {
      graph_.show(target, odd);
      EXPECT_NE(problem(), "none") << target << " " << odd;
    }
    Ediscovery::Pages without = whole;
    without.erase(target);
    graph_.show(std::move(without));
    EXPECT_NE(problem(), "none") << target;
    graph_.show(whole);
  }
  for (const int status : {401, 403, 404, 429, 500, 503, 204, 302}) {
    graph_.status = status;
    EXPECT_NE(problem().find(std::to_string(status)), std::string::npos) << status;
  }
  graph_.status = 200;
  no_credential_ = Error{ErrorCode::kRefused, "no token"};
  EXPECT_EQ(problem(), "no token");
  no_credential_.reset();
  EXPECT_NE(problem({"c1", "gone"}), "none");
  EXPECT_EQ(names(), before);
  EXPECT_EQ(modified(), as_of);
  EXPECT_GT(metrics_.counter("holdfast_hold_sync_failures_total", "").value(), 20U);
  EXPECT_EQ(problem(), "none");
  EXPECT_EQ(modified(), clock_.now());
}

TEST_F(HoldSyncTest, a_case_or_a_hold_without_an_id_is_not_skipped) {
  page(kCases, R"({"id":"c1"},{"status":"active"})");
  EXPECT_NE(problem().find("without an id"), std::string::npos);
  page(kCases, R"({"id":"c1"})");
  page(holds("c1"), R"({"displayName":"Board"})");
  EXPECT_NE(problem().find("without an id"), std::string::npos);
}

TEST_F(HoldSyncTest, no_case_at_all_may_be_a_role_that_is_missing) {
  page(kCases, "");
  EXPECT_NE(problem().find("eDiscovery administrator"), std::string::npos);
  page(kCases, R"({"id":"c2","status":"closed"})");
  EXPECT_EQ(problem(), "none");
  EXPECT_EQ(names(), "");
}

TEST_F(HoldSyncTest, neither_circles_nor_endless_answers_are_followed) {
  graph_.show(sources("c1", "h1"),
              R"({"value":[],"@odata.nextLink":")" + origin_ + sources("c1", "h1") + "\"}");
  const int before = graph_.asked;
  EXPECT_NE(problem().find("circles"), std::string::npos);
  EXPECT_LT(graph_.asked - before, 10) << "long before there are too many pages";
  page(sources("c1", "h1"), R"({"email":"held@contoso.com"})");
  EXPECT_TRUE(step({}, 7).ok());
  EXPECT_EQ(step({}, 6).error().code, ErrorCode::kLimit);
  page(sources("c1", "h1"), R"({"email":"a@contoso.com"},{"email":"b@contoso.com"})");
  EXPECT_TRUE(step({"c1/h1"}, 100, 2).ok());
  EXPECT_EQ(step({"c1/h1"}, 100, 1).error().code, ErrorCode::kLimit);
}

TEST_F(HoldSyncTest, a_page_may_be_long) {
  std::string many;
  for (int i = 0; i < 3000; ++i) {
    many +=
        (i == 0 ? "" : ",") + (R"({"siteWebUrl":"https://contoso-my.sharepoint.com","email":"u)" +
                               std::to_string(i) + R"(@contoso.com"})");
  }
  page(sources("c1", "h2"), many);
  const Status done = step({"c1/h2"}, 100, 3000);
  EXPECT_TRUE(done.ok()) << done.error().message;
}

TEST_F(HoldSyncTest, one_process_at_a_time_writes_a_list) {
  ASSERT_EQ(problem(), "none");
  const int asked = graph_.asked;
  {
    const Result<FileLock> other = FileLock::take(file_ + ".lock");
    ASSERT_TRUE(other.ok());
    EXPECT_EQ(problem(), "none");
    EXPECT_EQ(graph_.asked, asked);
  }
  EXPECT_EQ(problem(), "none");
  EXPECT_GT(graph_.asked, asked);
}

TEST_F(HoldSyncTest, fault_a_folder_that_is_gone_is_said) {
  std::filesystem::remove_all(folder_.path());
  EXPECT_NE(problem().find(file_), std::string::npos);
}

TEST_F(HoldSyncTest, it_asks_every_interval_and_sooner_after_a_failure) {
  HoldSync sync({.graph = {.origin = origin_}, .list_file = file_, .interval = 5min, .retry = 30s},
                std::make_unique<testing::FakeCredential>(no_credential_), clock_, metrics_);
  const auto asks_after = [&](std::chrono::seconds time) {
    clock_.advance(time);
    const int before = graph_.asked;
    std::ignore = sync.step();
    return graph_.asked > before;
  };
  EXPECT_TRUE(asks_after(0s));
  EXPECT_FALSE(asks_after(299s));
  graph_.status = 503;
  EXPECT_TRUE(asks_after(1s));
  EXPECT_FALSE(asks_after(29s));
  EXPECT_TRUE(asks_after(1s));
  graph_.status = 200;
  EXPECT_TRUE(asks_after(30s));
  EXPECT_FALSE(asks_after(30s));
}

TEST_F(HoldSyncTest, its_age_is_that_of_the_file_whoever_wrote_it) {
  HoldSync sync({.graph = {.origin = origin_}, .list_file = file_},
                std::make_unique<testing::FakeCredential>(no_credential_), clock_, metrics_);
  clock_.advance(30s);
  EXPECT_EQ(sync.age_s(), 30);
  ASSERT_EQ(problem(), "none");
  clock_.advance(5s);
  EXPECT_EQ(sync.age_s(), 5);
}

TEST_F(HoldSyncTest, an_interrupted_step_ends_and_writes_nothing) {
  graph_.status = -1;
  HoldSync sync({.graph = {.origin = origin_}, .list_file = file_},
                std::make_unique<testing::FakeCredential>(no_credential_), clock_, metrics_);
  std::thread loop([&] { EXPECT_FALSE(sync.step().ok()); });
  while (graph_.asked == 0) std::this_thread::yield();
  sync.interrupt();
  loop.join();
  EXPECT_FALSE(std::filesystem::exists(file_));
  EXPECT_EQ(metrics_.counter("holdfast_hold_sync_failures_total", "").value(), 0U);
}

}  // namespace
}  // namespace holdfast::officers
