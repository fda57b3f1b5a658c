// What a witness's anchor makes of the answers that it gets.
#include <deque>

#include "audit/anchors_postgres.h"
#include "http/body.h"
#include "http/server.h"
#include "tests/integration/tree_fixture.h"
#include "tests/support/fake_witness.h"

namespace holdfast::audit {
namespace {

using testing::FakeWitness;
using ::testing::HasSubstr;
using testing::TreeTest;

constexpr const char* kSizeType = "text/x.tlog.size";

// Answers one question after the other as it was told to, and cosigns when it was told nothing.
class WitnessServer {
 public:
  explicit WitnessServer(const FakeWitness& witness) : witness_(witness) {}

  void tell(Posted answer) {
    MutexLock lock(mutex_);
    answers_.push_back(std::move(answer));
  }
  // The first lines of the questions: "old 300".
  std::vector<std::string> asked() const {
    MutexLock lock(mutex_);
    return asked_;
  }
  Posted answer(const std::string& question) {
    MutexLock lock(mutex_);
    asked_.push_back(question.substr(0, question.find('\n')));
    if (!answers_.empty()) {
      Posted next = std::move(answers_.front());
      answers_.pop_front();
      return next;
    }
    const std::string note = question.substr(question.find("\n\n") + 2);
    return {.status = 200,
            .content_type = "text/plain",
            .body = signature_line(witness_.cosign(parse_note(note)->text, 7))};
  }

 private:
  const FakeWitness& witness_;
  mutable Mutex mutex_;
  std::deque<Posted> answers_ HOLDFAST_GUARDED_BY(mutex_);
  std::vector<std::string> asked_ HOLDFAST_GUARDED_BY(mutex_);
};

class WitnessHandler final : public http::Handler {
 public:
  explicit WitnessHandler(WitnessServer& server) : server_(server) {}
  Task<http::Response> handle(http::Request request) override {
    const Result<std::string> question = co_await http::read_all(*request.body, 65'536);
    Posted answer = server_.answer(question.ok() ? *question : "");
    http::Response response;
    response.status = answer.status;
    response.headers.add("Content-Type", std::move(answer.content_type));
    response.content = std::move(answer.body);
    co_return response;
  }
  Task<http::Response> refuse(http::Unreadable) override {
    co_return http::Response{.status = 400};
  }

 private:
  WitnessServer& server_;
};

class WitnessAnchorTest : public TreeTest {
 protected:
  void SetUp() override {
    TreeTest::SetUp();
    auto server = http::Server::start({}, [this](const boost::asio::any_io_executor&) {
      return std::make_unique<WitnessHandler>(answers_);
    });
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = *std::move(server);
    fill(300);
    ASSERT_TRUE(run(*keeper("a")).ok());
    anchor_ = open();
  }
  void TearDown() override {
    anchor_.reset();
    server_.reset();
    TreeTest::TearDown();
  }

  // The anchor of a process that has just begun to lead, and has no cosignature by heart.
  std::unique_ptr<WitnessAnchor> open() {
    auto poster = Poster::open({.url = "http://127.0.0.1:" + std::to_string(server_->port())});
    EXPECT_TRUE(poster.ok()) << poster.error().message;
    AnchorOptions options;
    options.database = {.database = database("holdfast_audit")};
    options.tree = [] {
      TreeStatus leads;
      leads.leading = true;
      leads.leadership = 1;
      return leads;
    };
    options.retry_min = options.retry_max = std::chrono::milliseconds(0);
    return std::make_unique<WitnessAnchor>(std::move(options), *std::move(poster), witness_.key(),
                                           std::chrono::milliseconds(0));
  }
  // Steps until there is no more to ask.
  Status ask() {
    Result<bool> more = true;
    while (more.ok() && *more) more = anchor_->step();
    return more.ok() ? Status{} : Status{more.error()};
  }
  void expect_objection(const std::string& why) {
    const Status opinion = anchor_->opinion(1);
    ASSERT_FALSE(opinion.ok());
    EXPECT_EQ(opinion.error().code, ErrorCode::kRefused) << opinion.error().message;
    EXPECT_THAT(opinion.error().message, HasSubstr(why));
  }

  FakeWitness witness_{"north.example/w1"};
  WitnessServer answers_{witness_};
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<WitnessAnchor> anchor_;
};

TEST_F(WitnessAnchorTest, one_that_cosigns_has_no_objection) {
  EXPECT_EQ(anchor_->opinion(1).error().code, ErrorCode::kUnavailable);
  answers_.tell({.status = 409, .content_type = kSizeType, .body = "256\n"});
  ASSERT_TRUE(ask().ok());
  EXPECT_EQ(answers_.asked(), (std::vector<std::string>{"old 0", "old 256"}));
  EXPECT_TRUE(anchor_->opinion(1).ok());
  EXPECT_EQ(anchor_->status().head, newest("a"));
}

TEST_F(WitnessAnchorTest, fault_one_whose_tree_does_not_lead_to_the_databases_objects) {
  answers_.tell({.status = 409, .content_type = kSizeType, .body = "256\n"});
  answers_.tell({.status = 422, .content_type = "text/plain", .body = ""});
  EXPECT_EQ(ask().error().code, ErrorCode::kRefused);
  expect_objection("another tree of 256 records");
}

struct Conflict {
  std::string name;
  std::string content_type;
  std::string body;
};

TEST_F(WitnessAnchorTest, fault_one_with_another_tree_of_the_same_size_objects) {
  const std::vector<Conflict> conflicts = {{"nothing told", "text/plain", "conflict"},
                                           {"its size told", kSizeType, "300\n"},
                                           {"with a parameter", "Text/X.TLog.Size ; q=1", "300\n"},
                                           {"not a size", kSizeType, ""}};
  for (const Conflict& conflict : conflicts) {
    SCOPED_TRACE(conflict.name);
    anchor_ = open();
    answers_.tell({.status = 409, .content_type = kSizeType, .body = "300\n"});
    answers_.tell({.status = 409, .content_type = conflict.content_type, .body = conflict.body});
    EXPECT_EQ(ask().error().code, ErrorCode::kRefused);
    expect_objection("another tree of 300 records");
    EXPECT_EQ(answers_.asked().back(), "old 300");
  }
  // It is asked again, and heard.
  ASSERT_TRUE(ask().ok());
  EXPECT_TRUE(anchor_->opinion(1).ok());
}

TEST_F(WitnessAnchorTest, fault_one_that_has_seen_a_larger_tree_objects) {
  for (const std::string type : {kSizeType, "text/x.tlog.size; charset=utf-8"}) {
    anchor_ = open();
    answers_.tell({.status = 409, .content_type = type, .body = "301\n"});
    EXPECT_EQ(ask().error().code, ErrorCode::kRefused);
    expect_objection("has cosigned a tree of 301 records");
  }
}

TEST_F(WitnessAnchorTest, fault_answers_that_say_nothing_of_the_tree_are_no_objection) {
  for (const int status : {404, 409, 500}) {
    anchor_ = open();
    answers_.tell({.status = status, .content_type = "text/plain", .body = "300\n"});
    EXPECT_EQ(ask().error().code, ErrorCode::kUnavailable) << status;
    EXPECT_TRUE(anchor_->opinion(1).ok()) << status;
  }
}

}  // namespace
}  // namespace holdfast::audit
