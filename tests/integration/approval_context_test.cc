// What an officer is shown beside an approval, out of the log, the limits and the legal holds.
#include "tests/integration/approval_fixture.h"

namespace holdfast::approval {
namespace {

using audit::ApprovalStep;
using audit::Kind;
using nlohmann::json;
using testing::ApprovalTest;

constexpr const char* kAsker = "Bot-App";

class ApprovalContextTest : public ApprovalTest {
 protected:
  static json operation(const std::string& item) {
    return {{"action", "permanentDelete"},
            {"resource", "message"},
            {"mailbox", {{"kind", "user"}, {"key", "id-1"}, {"names", {"CEO@contoso.com"}}}},
            {"item", item}};
  }
  // A call of an app, let through: one is open then.
  void reject(const Uuid& code) {
    const auto rejected = decide(
        ApprovalStep::kReject, approval::reject(approval_of(code), testing::officer(1), "no case"));
    EXPECT_TRUE(rejected.ok()) << rejected.error().message;
  }
  void let_through(const std::string& item, const std::string& app = kAsker,
                   const std::string& action = "permanentDelete",
                   const std::string& resource = "message") {
    audit::Record made = testing::record(Kind::kIntent, testing::new_operation());
    made.content["operation"] = operation(item);
    made.content["operation"]["action"] = action;
    made.content["operation"]["resource"] = resource;
    made.content["actor"] = {{"app", app}};
    made.content["decision"]["limits"] = json::array({limit()});
    made.is_limited = true;
    const auto receipt = runner_.run(replica_->append_intent(std::move(made), request("")));
    EXPECT_TRUE(receipt.ok()) << receipt.error().message;
  }
  static json limit() {
    return {{"rule", "few"}, {"key", "few|k"}, {"count", 99}, {"per_s", 3600}, {"mailbox", "id-1"}};
  }
  Uuid file_call(const std::string& sent = "item") {
    const Uuid code = make_uuid_v4();
    audit::Record record = file_record(code, sent);
    record.content["operation"] = operation("m1");
    record.content["actor"] = {{"app", kAsker}};
    record.content["decision"]["effect"] = "require_approval";
    record.content["preimage"] = {{"size_bytes", 7}, {"sent", nullptr}};
    record.content["approval"]["limits"] = json::array({limit()});
    const auto filed = runner_.run(replica_->append(std::move(record)));
    EXPECT_TRUE(filed.ok()) << filed.error().message;
    return code;
  }
  void change_hold(const Uuid& hold, const std::string& event, const std::string& who) {
    audit::Record record = testing::record(Kind::kSystem, Uuid());
    record.content["system"] = {
        {"event", event},
        {"by", {{"person", who}}},
        {"hold",
         {{"id", to_string(hold)}, {"mailboxes", {"ceo@contoso.com"}}, {"reason", "CASE-7"}}}};
    const auto placed = runner_.run(officers_->append(std::move(record)));
    EXPECT_TRUE(placed.ok()) << placed.error().message;
  }
  json context(const Uuid& code) {
    const Result<json> found = runner_.run(source_->context(code));
    EXPECT_TRUE(found.ok()) << found.error().message;
    return found.ok() ? *found : json();
  }
  void derive() const { sql("holdfast_audit", "SELECT holdfast.derive_search(1000)"); }
};

TEST_F(ApprovalContextTest, limits_are_shown_with_what_is_used_now) {
  EXPECT_FALSE(context(file("without")).contains("limits"));
  const Uuid code = file_call();
  EXPECT_EQ(context(code)["limits"][0]["used"], 0);
  let_through("m2");
  const json used = context(code)["limits"];
  EXPECT_EQ(
      used,
      json::array(
          {{{"rule", "few"}, {"count", 99}, {"per_s", 3600}, {"used", 1}, {"used_mailboxes", 1}}}));
  sql("postgres", "UPDATE holdfast.limit_uses SET at = at - interval '2 hours'");
  EXPECT_EQ(context(code)["limits"][0]["used"], 0) << "no longer";
}

TEST_F(ApprovalContextTest, holds_in_force_on_the_mailbox_are_shown) {
  const Uuid code = file_call();
  EXPECT_EQ(context(code)["holds"], json::array());
  const Uuid hold = make_uuid_v4();
  change_hold(hold, "hold_placed", "t/alice");
  EXPECT_EQ(context(code)["holds"],
            json::array({{{"id", to_string(hold)}, {"state", "placed"}, {"reason", "CASE-7"}}}));
  change_hold(hold, "hold_lift_asked", "t/alice");
  EXPECT_EQ(context(code)["holds"][0]["state"], "lifting");
  change_hold(hold, "hold_lifted", "t/bob");
  EXPECT_EQ(context(code)["holds"], json::array());
  EXPECT_EQ(context(file("another mailbox"))["holds"], json::array());
}

TEST_F(ApprovalContextTest, the_item_is_shown_as_it_was_read_also_before_search_has_it) {
  const Uuid code = file_call();
  EXPECT_EQ(context(code)["preimage"], json({{"size_bytes", 7}}));
  derive();
  EXPECT_EQ(context(code)["preimage"], json({{"size_bytes", 7}}));
  EXPECT_FALSE(context(file("not read")).contains("preimage"));
}

TEST_F(ApprovalContextTest, similar_calls_are_those_of_the_same_caller_and_kind) {
  let_through("m2");
  let_through("m3", "other-app");
  let_through("m4", kAsker, "recall");
  let_through("m5", kAsker, "permanentDelete", "event");
  for (int i = 0; i < 10; ++i) let_through("n" + std::to_string(i));
  const Uuid code = file_call();
  derive();
  const json similar = context(code)["similar"];
  EXPECT_EQ(similar["count"], 11);
  ASSERT_EQ(similar["newest"].size(), 10U);
  EXPECT_EQ(similar["newest"][0]["item"], "n9");
  EXPECT_EQ(similar["newest"][0]["mailbox"], "id-1");
  EXPECT_EQ(similar["newest"][9]["item"], "n0");
}

TEST_F(ApprovalContextTest, what_became_of_approvals_of_the_same_item_is_shown) {
  const Uuid rejected = file_call();
  reject(rejected);
  const Uuid other = file("another item");
  const Uuid code = file_call("again");
  for (const bool searched : {false, true}) {
    SCOPED_TRACE(searched);
    if (searched) derive();
    const json earlier = context(code)["earlier"];
    ASSERT_EQ(earlier.size(), 1U) << earlier;
    EXPECT_EQ(earlier[0]["code"], to_string(rejected));
    EXPECT_EQ(earlier[0]["state"], "REJECTED");
    EXPECT_EQ(earlier[0]["reason"], "no case");
  }
  EXPECT_EQ(context(rejected)["earlier"], json::array()) << "only those before it";
  EXPECT_EQ(context(other)["earlier"], json::array());
}

TEST_F(ApprovalContextTest, a_rejection_stands_for_its_item_and_requester_until_its_time_is_over) {
  audit::QueryWorkers workers(audit::RecordSourceOptions{
      .access = {.database = database("holdfast_proxy")}, .connections = 1});
  PostgresApprovalSource source(workers);
  const auto standing = [&](const std::string& item, const std::string& requester) {
    const auto found = runner_.run(source.rejection(operation(item).dump(), requester));
    EXPECT_TRUE(found.ok()) << found.error().message;
    return found.ok() && found->has_value() ? to_string((*found)->code) : "none";
  };
  const Uuid code = file_call();
  const std::string requester = value("SELECT filing ->> 'requester' FROM holdfast.approvals");
  EXPECT_EQ(standing("m1", requester), "none") << "nobody has decided";
  reject(code);
  EXPECT_EQ(standing("m1", requester), to_string(code)) << "also before search has it";
  derive();
  EXPECT_EQ(standing("m1", requester), to_string(code));
  EXPECT_EQ(standing("m2", requester), "none");
  EXPECT_EQ(standing("m1", "another"), "none");
  sql("postgres", "UPDATE holdfast.approvals SET decide_by = now() - interval '1 second'");
  EXPECT_EQ(standing("m1", requester), "none");
  workers.stop();
}

TEST_F(ApprovalContextTest, only_officers_may_ask) {
  const std::string asked = "SELECT holdfast.approval_context('" + to_string(file_call()) + "')";
  EXPECT_EQ(refusal("holdfast_audit", asked), "");
  EXPECT_THAT(refusal("holdfast_proxy", asked), ::testing::HasSubstr("permission denied"));
  EXPECT_EQ(context(make_uuid_v4()), json::object()) << "there is no such approval";
}

}  // namespace
}  // namespace holdfast::approval
