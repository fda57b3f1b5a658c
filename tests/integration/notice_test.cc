// What receivers outside are told of approvals: in order, each thing until it is settled, by one
// process at a time.
#include "approval/notices_postgres.h"
#include "tests/integration/approval_fixture.h"

namespace holdfast::approval {
namespace {

using audit::ApprovalStep;
using audit::CallResult;
using std::chrono::minutes;
using testing::ApprovalTest;
using testing::new_operation;
using testing::officer;
using testing::requester;
using testing::terms;

class NoticeTest : public ApprovalTest {
 protected:
  std::unique_ptr<NoticeStream> stream(const std::string& webhook = "hook",
                                       minutes warn = minutes(30)) {
    return std::make_unique<NoticeStream>(
        NoticeStream::Options{.database = {.database = database("holdfast_audit")},
                              .webhook = webhook,
                              .warn = warn,
                              .silence = minutes(1)});
  }

  static std::optional<Notice> next(NoticeStream& stream) {
    Result<std::optional<Notice>> found = stream.next();
    EXPECT_TRUE(found.ok()) << found.error().message;
    return found.ok() ? *std::move(found) : std::nullopt;
  }

  // Every event that the stream tells, in order, each settled.
  static std::string told(NoticeStream& stream) {
    std::string events;
    while (const std::optional<Notice> notice = next(stream)) {
      events += (events.empty() ? "" : ",") + notice->event;
      const Status settled = stream.settle(*notice);
      EXPECT_TRUE(settled.ok()) << settled.error().message;
      if (!settled.ok()) break;
    }
    return events;
  }

  Result<audit::RecordRef> reject(const Uuid& code) {
    return decide(ApprovalStep::kReject,
                  approval::reject(approval_of(code), officer(1), "no case"));
  }
};

TEST_F(NoticeTest, what_happened_before_a_webhook_was_there_is_not_told) {
  file("before");
  const auto hook = stream();
  EXPECT_EQ(told(*hook), "");
  const Uuid code = file("after");
  const std::optional<Notice> first = next(*hook);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->event, "pending");
  EXPECT_EQ(first->code, to_string(code));
  EXPECT_EQ(first->state, "PENDING");
  EXPECT_EQ(first->until, approval_of(code).decide_by);
  EXPECT_EQ(first->filing.at("requested_by").at("name"), "requester");
}

TEST_F(NoticeTest, decisions_are_told_in_order_and_claims_are_not) {
  const auto hook = stream();
  EXPECT_EQ(told(*hook), "");
  const Uuid used = file("a", terms({{.from = "compliance", .group = "g1", .count = 2}}));
  ASSERT_TRUE(consent(used, officer(1)).ok());
  ASSERT_TRUE(consent(used, officer(2)).ok());
  const std::optional<Uuid> operation = claim(approval_of(used));
  ASSERT_TRUE(operation);
  end(used, *operation, CallResult::kExecuted, 204);
  const Uuid rejected = file("b");
  ASSERT_TRUE(reject(rejected).ok());
  const Uuid revoked = file("c");
  ASSERT_TRUE(consent(revoked, officer(1)).ok());
  ASSERT_TRUE(decide(ApprovalStep::kRevoke,
                     approval::revoke(approval_of(revoked), officer(1), "second thoughts"))
                  .ok());
  EXPECT_EQ(told(*hook), "pending,approved,pending,rejected,pending,approved,revoked");
}

TEST_F(NoticeTest, fault_nobody_is_told_of_what_a_crash_takes_away) {
  auto hook = stream();
  EXPECT_EQ(told(*hook), "");
  audit::SocketWatchdog watchdog;
  const audit::Writer writer{.id = make_uuid_v4(), .role = audit::WriterRole::kProxy};
  const auto connection = audit::AppendConnection::open(
      {.database = database("holdfast_proxy"), .writer = writer}, watchdog);
  ASSERT_TRUE(connection.ok()) << connection.error().message;
  const Uuid code = make_uuid_v4();
  auto entry = audit::make_entry(file_record(code, "a", terms()), new_operation(), writer);
  ASSERT_TRUE(entry.ok()) << entry.error().message;
  entry->set_time(system_clock().now());
  const audit::Entry* entries[] = {&*entry};
  ASSERT_TRUE((*connection)->append(entries, audit::Commit::kWritten).ok());
  const std::optional<Notice> notice = next(*hook);
  ASSERT_TRUE(notice);
  EXPECT_EQ(notice->code, to_string(code));
  control("kill");
  control("start");
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.approvals"), "1");
}

TEST_F(NoticeTest, a_notice_comes_again_until_it_is_settled) {
  const auto hook = stream();
  EXPECT_EQ(told(*hook), "");
  const Uuid code = file("a");
  ASSERT_TRUE(reject(code).ok());
  EXPECT_EQ(next(*hook)->event, "pending");
  EXPECT_EQ(next(*hook)->event, "pending");
  ASSERT_TRUE(hook->settle(*next(*hook)).ok());
  EXPECT_EQ(next(*hook)->event, "rejected");
  EXPECT_EQ(next(*hook)->content.at("reason"), "no case");
}

TEST_F(NoticeTest, one_process_at_a_time_has_the_turn_and_the_next_goes_on) {
  auto first = stream();
  EXPECT_EQ(told(*first), "");
  const auto second = stream();
  const auto other_hook = stream("other");
  EXPECT_EQ(told(*other_hook), "");
  ASSERT_TRUE(reject(file("a")).ok());
  EXPECT_FALSE(next(*second)) << "it is the first one's turn";
  const std::optional<Notice> pending = next(*first);
  ASSERT_TRUE(pending);
  ASSERT_TRUE(first->settle(*pending).ok());
  first.reset();
  ASSERT_TRUE(testing::eventually([&] { return next(*second).has_value(); }));
  EXPECT_EQ(told(*second), "rejected");
  EXPECT_EQ(told(*other_hook), "pending,rejected") << "each hook has a place of its own";
}

TEST_F(NoticeTest, who_lost_the_turn_meanwhile_settles_nothing) {
  auto first = stream();
  EXPECT_EQ(told(*first), "");
  ASSERT_TRUE(reject(file("a")).ok());
  const std::optional<Notice> pending = next(*first);
  ASSERT_TRUE(pending);
  sql("postgres", "UPDATE holdfast.webhooks SET position = position + 1");
  EXPECT_EQ(first->settle(*pending).error().code, ErrorCode::kRefused);
}

TEST_F(NoticeTest, a_broken_session_gives_the_turn_away) {
  const auto first = stream();
  EXPECT_EQ(told(*first), "");
  file("a");
  sql("postgres",
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = "
      "'holdfast_audit' AND query LIKE '%approval_notices%' AND datname = current_database()");
  const auto second = stream();
  ASSERT_TRUE(testing::eventually([&] { return next(*second).has_value(); }));
  EXPECT_EQ(first->next().error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(next(*first));
  EXPECT_EQ(told(*second), "pending");
}

TEST_F(NoticeTest, what_runs_out_is_warned_of_once_in_each_state) {
  const auto hook = stream();
  EXPECT_EQ(told(*hook), "");
  const Uuid code = file("a");  // An hour to decide, an hour to use it.
  EXPECT_EQ(told(*hook), "pending");
  let_pass("29 minutes");
  EXPECT_EQ(told(*hook), "");
  let_pass("2 minutes");
  const std::optional<Notice> warning = next(*hook);
  ASSERT_TRUE(warning);
  EXPECT_EQ(warning->event, "expiring");
  EXPECT_EQ(warning->state, "PENDING");
  EXPECT_EQ(warning->until, approval_of(code).decide_by);
  const auto other_hook = stream("other");
  EXPECT_EQ(told(*other_hook), "") << "warned before it was there";
  EXPECT_EQ(told(*hook), "expiring");
  EXPECT_EQ(told(*hook), "");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  EXPECT_EQ(told(*hook), "approved");
  let_pass("31 minutes");
  EXPECT_EQ(told(*hook), "expiring");
  let_pass("30 minutes");
  EXPECT_EQ(told(*hook), "") << "nobody has recorded it yet";
  ApprovalExpirer expirer({.database = database("holdfast_audit"),
                           .writer = {},
                           .lease = std::chrono::seconds(15),
                           .deadline = std::chrono::seconds(5)});
  const Result<std::size_t> expired = expirer.expire_due();
  ASSERT_TRUE(expired.ok()) << expired.error().message;
  EXPECT_EQ(*expired, 1U);
  EXPECT_EQ(told(*hook), "expired");
}

TEST_F(NoticeTest, a_warning_waits_for_the_lock_of_all_steps) {
  const auto hook = stream();
  EXPECT_EQ(told(*hook), "");
  file("a");
  EXPECT_EQ(told(*hook), "pending");
  let_pass("31 minutes");
  EXPECT_TRUE(waits_for_the_lock_of_all_steps([&] { return next(*hook).has_value(); }));
}

TEST_F(NoticeTest, a_webhook_moves_forwards_only) {
  const auto hook = stream();
  EXPECT_EQ(told(*hook), "");
  file("a");
  EXPECT_EQ(told(*hook), "pending");
  const std::string position = value("SELECT position FROM holdfast.webhooks");
  const auto move = [&](const std::string& onto) {
    return value("SELECT holdfast.move_webhook('hook', " + position + ", " + onto + ")",
                 "holdfast_audit");
  };
  EXPECT_EQ(move(position + " - 1"), "f");
  EXPECT_EQ(move(position), "f");
  EXPECT_EQ(value("SELECT position FROM holdfast.webhooks"), position);
}

TEST_F(NoticeTest, a_warning_leaves_at_least_half_of_the_time_quiet) {
  const auto hook = stream("hook", minutes(24 * 60));
  EXPECT_EQ(told(*hook), "");
  const Uuid code = file("a");
  EXPECT_EQ(told(*hook), "pending");
  let_pass("29 minutes");
  EXPECT_EQ(told(*hook), "");
  let_pass("2 minutes");
  EXPECT_EQ(told(*hook), "expiring");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  EXPECT_EQ(told(*hook), "approved");
  let_pass("29 minutes");
  EXPECT_EQ(told(*hook), "");
  let_pass("2 minutes");
  EXPECT_EQ(told(*hook), "expiring");
}

TEST_F(NoticeTest, what_has_run_out_is_not_about_to) {
  const auto hook = stream();
  EXPECT_EQ(told(*hook), "");
  file("a");
  EXPECT_EQ(told(*hook), "pending");
  let_pass("61 minutes");
  EXPECT_EQ(told(*hook), "");
}

TEST_F(NoticeTest, the_roles_move_nothing_themselves) {
  told(*stream());
  for (const char* role : {"holdfast_audit", "holdfast_proxy"}) {
    EXPECT_NE(refusal(role, "UPDATE holdfast.webhooks SET position = 0"), "");
    EXPECT_NE(refusal(role, "INSERT INTO holdfast.approval_warnings VALUES (NULL, '', now(), 1)"),
              "");
  }
  EXPECT_NE(refusal("holdfast_proxy", "SELECT holdfast.webhook_position('hook')"), "");
  EXPECT_NE(refusal("holdfast_proxy", "SELECT holdfast.approval_notices(0, 1)"), "");
}

}  // namespace
}  // namespace holdfast::approval
