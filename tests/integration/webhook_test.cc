// What a webhook does with the answers it gets.
#include "officers/webhooks.h"

#include <atomic>
#include <vector>

#include "http/server.h"
#include "tests/integration/approval_fixture.h"

namespace holdfast::officers {
namespace {

using std::chrono::milliseconds;
using testing::ApprovalTest;

class Receiver final : public http::Handler {
 public:
  Receiver(const std::atomic<int>& status, std::atomic<int>& tries)
      : status_(status), tries_(tries) {}
  Task<http::Response> handle(http::Request) override {
    ++tries_;
    co_return http::Response{.status = status_};
  }
  Task<http::Response> refuse(http::Unreadable) override {
    co_return http::Response{.status = 400};
  }

 private:
  const std::atomic<int>& status_;
  std::atomic<int>& tries_;
};

class LateClock final : public Clock {
 public:
  WallTime now() const override { return system_clock().now() + late; }
  SteadyTime steady_now() const override { return system_clock().steady_now() + late; }
  std::chrono::minutes late{0};
};

class WebhookTest : public ApprovalTest {
 protected:
  void SetUp() override {
    ApprovalTest::SetUp();
    auto server = http::Server::start({}, [this](const boost::asio::any_io_executor&) {
      return std::make_unique<Receiver>(status_, tries_);
    });
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = *std::move(server);
    open("hook", "");
    file("a");
  }
  void open(const std::string& name, const std::string& app) {
    auto poster = audit::Poster::open(
        {.url = "http://127.0.0.1:" + std::to_string(server_->port()), .name = "webhook hook"});
    ASSERT_TRUE(poster.ok()) << poster.error().message;
    webhook_ = std::make_unique<Webhook>(
        Webhook::Options{
            .stream = {.database = {.database = database("holdfast_audit")},
                       .webhook = name,
                       .silence = std::chrono::minutes(1)},
            .target = {.name = name, .url = {}, .secret = "0123456789abcdef", .app = app},
            .links = {},
            .clock = clock_},
        *std::move(poster), failures_);
    ASSERT_TRUE(webhook_->step().ok()) << "it begins with what happens from now on";
  }
  void TearDown() override {
    webhook_.reset();
    server_.reset();
    ApprovalTest::TearDown();
  }

  // One step after the longest pause there is.
  Result<bool> try_again() {
    clock_.late += std::chrono::minutes(5);
    return webhook_->step();
  }

  LateClock clock_;
  std::atomic<int> status_{204};
  std::atomic<int> tries_{0};
  Counter failures_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<Webhook> webhook_;
};

TEST_F(WebhookTest, what_was_taken_is_not_sent_again) {
  EXPECT_TRUE(*webhook_->step());
  EXPECT_FALSE(*webhook_->step());
  EXPECT_EQ(tries_, 1);
  EXPECT_EQ(failures_.value(), 0U);
}

TEST_F(WebhookTest, what_another_app_asked_for_is_passed_over) {
  // The fixture's calls are of no app at all.
  open("of-an-app", "tenant/app");
  file("b");
  EXPECT_TRUE(*webhook_->step());
  EXPECT_FALSE(*webhook_->step());
  EXPECT_EQ(tries_, 0);
}

TEST_F(WebhookTest, what_fails_is_sent_again_after_a_pause) {
  status_ = 503;
  EXPECT_EQ(webhook_->step().error().message, "webhook hook answered 503");
  EXPECT_EQ(webhook_->step().error().message, "webhook hook answered 503");
  EXPECT_EQ(tries_, 1) << "not before the pause is over";
  clock_.late += std::chrono::minutes(3);
  EXPECT_GE(webhook_->oldest(), std::chrono::minutes(3));
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(try_again().ok());
  EXPECT_EQ(tries_, 21);
  EXPECT_EQ(failures_.value(), 21U);
  status_ = 200;
  EXPECT_TRUE(*try_again());
  EXPECT_FALSE(*webhook_->step());
  EXPECT_EQ(webhook_->oldest(), std::chrono::seconds(0));
}

TEST_F(WebhookTest, a_document_that_is_refused_again_and_again_lets_the_next_one_through) {
  status_ = 400;
  for (int i = 1; i < 8; ++i) EXPECT_FALSE(try_again().ok());
  EXPECT_TRUE(*try_again()) << "given up";
  EXPECT_EQ(tries_, 8);
  status_ = 200;
  file("b");
  EXPECT_TRUE(*webhook_->step());
  EXPECT_EQ(tries_, 9);
}

TEST_F(WebhookTest, a_refusal_counts_anew_after_a_failure_of_another_kind) {
  for (const int status : {400, 503, 400}) {
    status_ = status;
    for (int i = 1; i < (status == 400 ? 8 : 2); ++i) EXPECT_FALSE(try_again().ok()) << status;
  }
  EXPECT_TRUE(*try_again()) << "given up";
}

TEST_F(WebhookTest, a_clock_that_is_behind_makes_nothing_older_than_it_is) {
  clock_.late = -std::chrono::minutes(5);
  status_ = 503;
  EXPECT_FALSE(webhook_->step().ok());
  EXPECT_EQ(webhook_->oldest(), std::chrono::seconds(0));
}

TEST_F(WebhookTest, a_receiver_that_is_away_for_a_day_loses_what_is_older) {
  status_ = 500;
  EXPECT_FALSE(webhook_->step().ok());
  clock_.late = std::chrono::hours(24) - std::chrono::minutes(10);
  EXPECT_FALSE(webhook_->step().ok());
  clock_.late = std::chrono::hours(24) + std::chrono::minutes(1);
  EXPECT_TRUE(*webhook_->step());
  EXPECT_EQ(tries_, 3) << "tried once more before it was given up";
  EXPECT_FALSE(*webhook_->step());
  file("b");
  EXPECT_FALSE(webhook_->step().ok());
  EXPECT_EQ(tries_, 3) << "the pause of a receiver that is away goes on";
}

}  // namespace
}  // namespace holdfast::officers
