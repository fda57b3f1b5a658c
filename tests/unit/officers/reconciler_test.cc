#include "officers/reconciler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "http/server.h"
#include "tests/support/fake_audit_log.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_credential.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// Graph with one answer for every item; where it has none, it says nothing at all.
struct Graph {
  std::atomic<int> status = 404;
  std::atomic<int> asked = 0;
};

class GraphHandler final : public http::Handler {
 public:
  explicit GraphHandler(Graph& graph) : graph_(graph) {}
  Task<http::Response> handle(http::Request) override {
    ++graph_.asked;
    if (graph_.status == 0) {
      boost::asio::steady_timer forever(co_await boost::asio::this_coro::executor);
      forever.expires_at(boost::asio::steady_timer::time_point::max());
      co_await forever.async_wait(boost::asio::use_awaitable);
    }
    http::Response response;
    response.status = graph_.status;
    response.headers = {{"request-id", "r1"}};
    response.content = R"({"error":{"code":"ErrorItemNotFound"}})";
    co_return response;
  }
  Task<http::Response> refuse(http::Unreadable request) override {
    http::Response response;
    response.status = request.status;
    co_return response;
  }

 private:
  Graph& graph_;
};

// Operations in memory, all of them old enough.
class FakeUnsettled final : public audit::UnsettledSource {
 public:
  explicit FakeUnsettled(std::vector<audit::Unsettled>& all) : all_(all) {}
  Result<std::size_t> visit(const audit::UnsettledRange& range, const Work& work) override {
    std::vector<audit::Unsettled> found;
    for (const audit::Unsettled& one : all_) {
      if (one.outcome_index >= range.from && found.size() < range.at_most) found.push_back(one);
    }
    if (!found.empty()) work(found);
    return found.size();
  }
  void interrupt() override {}

 private:
  const std::vector<audit::Unsettled>& all_;
};

class ReconcilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = http::Server::start({}, [this](const boost::asio::any_io_executor&) {
      return std::make_unique<GraphHandler>(graph_);
    });
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
    reconciler_ = std::make_unique<Reconciler>(
        ReconcileOptions{.graph = {.origin = "http://127.0.0.1:" + std::to_string(server_->port())},
                         .retry_min = 1min,
                         .retry_max = 3min},
        std::make_unique<FakeUnsettled>(all_),
        std::make_unique<testing::FakeCredential>(no_credential_), log_, clock_);
  }

  void add(int count) {
    for (int i = 0; i < count; ++i) {
      const auto index = static_cast<std::int64_t>(all_.size());
      all_.push_back({.operation_id = make_uuid_v4(),
                      .outcome_index = index,
                      .content = {{"operation",
                                   {{"action", "permanentDelete"},
                                    {"resource", "message"},
                                    {"mailbox", {{"kind", "user"}, {"key", "a@contoso.com"}}},
                                    {"item", "AAMk" + std::to_string(index)}}}}});
    }
  }
  void step() {
    const Result<bool> more = reconciler_->step();
    ASSERT_TRUE(more.ok());
    more_ = *more;
  }

  Graph graph_;
  std::unique_ptr<http::Server> server_;
  std::vector<audit::Unsettled> all_;
  std::optional<Error> no_credential_;
  audit::FakeAuditLog log_;
  testing::FakeClock clock_;
  std::unique_ptr<Reconciler> reconciler_;
  bool more_ = false;
};

TEST_F(ReconcilerTest, goes_through_all_of_them_and_records_each) {
  add(45);
  step();
  EXPECT_TRUE(more_);
  step();
  EXPECT_TRUE(more_);
  step();
  EXPECT_FALSE(more_);
  EXPECT_EQ(graph_.asked, 45);
  ASSERT_EQ(log_.entries().size(), 45U);
  EXPECT_EQ(log_.entries()[44].record.operation_id, all_[44].operation_id);
  // Until search has caught up the same ones are seen again, and left alone.
  step();
  EXPECT_EQ(graph_.asked, 45);
}

TEST_F(ReconcilerTest, asks_again_less_and_less_often) {
  add(1);
  graph_.status = 503;
  const auto asked_after = [this](std::chrono::seconds time) {
    clock_.advance(time);
    step();
    return graph_.asked.load();
  };
  EXPECT_EQ(asked_after(0s), 1);
  EXPECT_EQ(asked_after(59s), 1);
  EXPECT_EQ(asked_after(1s), 2);
  EXPECT_EQ(asked_after(119s), 2);
  EXPECT_EQ(asked_after(1s), 3);
  EXPECT_EQ(asked_after(180s), 4);
  EXPECT_EQ(asked_after(180s), 5);
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(ReconcilerTest, fault_without_a_credential_nobody_is_asked_and_the_reason_is_told) {
  add(2);
  no_credential_ = Error{ErrorCode::kRefused, "the authority answered 401 invalid_client"};
  step();
  EXPECT_EQ(graph_.asked, 0);
  EXPECT_EQ(reconciler_->problem(), "the authority answered 401 invalid_client");
  no_credential_.reset();
  clock_.advance(1min);
  step();
  EXPECT_EQ(reconciler_->problem(), "");
  EXPECT_EQ(log_.entries().size(), 2U);
}

TEST_F(ReconcilerTest, fault_a_refused_credential_ends_the_asking) {
  add(3);
  graph_.status = 401;
  step();
  EXPECT_EQ(graph_.asked, 1);
  EXPECT_NE(reconciler_->problem(), "");
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(ReconcilerTest, fault_a_finding_that_cannot_be_recorded_is_told_and_found_again) {
  add(1);
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  step();
  EXPECT_NE(reconciler_->problem(), "");
  clock_.advance(1min);
  step();
  EXPECT_EQ(log_.entries().size(), 1U);
  EXPECT_EQ(reconciler_->problem(), "");
}

TEST_F(ReconcilerTest, fault_a_silent_graph_does_not_keep_it_from_stopping) {
  add(1);
  graph_.status = 0;
  std::jthread loop([this] { step(); });
  while (graph_.asked == 0) std::this_thread::yield();
  reconciler_->interrupt();
  loop.join();
  EXPECT_TRUE(log_.entries().empty());
}

}  // namespace
}  // namespace holdfast::officers
