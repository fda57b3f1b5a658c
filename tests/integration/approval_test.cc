// The life of approvals in the database: every step with its record, and what may not happen.
#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "tests/integration/approval_fixture.h"
#include "tests/integration/held_lock.h"
#include "tests/support/fake_clock.h"

namespace holdfast::approval {
namespace {

using audit::ApprovalStep;
using audit::CallResult;
using audit::Kind;
using testing::account;
using testing::ApprovalTest;
using testing::officer;
using testing::terms;

TEST_F(ApprovalTest, lives_from_filing_to_execution_with_a_record_for_each_step) {
  const Uuid code = file("item");
  EXPECT_EQ(state(code), "PENDING");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  EXPECT_EQ(state(code), "APPROVED");
  const std::optional<Uuid> operation = claim(approval_of(code));
  ASSERT_TRUE(operation);
  EXPECT_EQ(state(code), "CLAIMED");
  end(code, *operation, CallResult::kExecuted, 204);
  EXPECT_EQ(state(code), "EXECUTED");
  EXPECT_EQ(steps(code), "file,approve,claim,end");
  EXPECT_EQ(kinds(), "decision,approval,intent,outcome");
  // Each step names the record that tells of it.
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.find_approval('" + to_string(code) +
                  "', NULL) d, jsonb_array_elements(d -> 'history') h JOIN holdfast.log l ON "
                  "convert_from(l.entry, 'UTF8')::json ->> 'id' = h ->> 'record'"),
            "4");
  EXPECT_FALSE(claim(approval_of(code)));
}

TEST_F(ApprovalTest, every_stage_needs_its_count_of_different_people) {
  const Uuid code = file("item", terms({{.from = "compliance", .group = "g1", .count = 2},
                                        {.from = "legal", .group = "g2", .count = 1}}));
  ASSERT_TRUE(consent(code, officer(1)).ok());
  EXPECT_EQ(consent(code, officer(1)).error().message,
            "You can't approve this because you have approved it already, and each stage needs "
            "others.");
  ASSERT_TRUE(consent(code, officer(2)).ok());
  EXPECT_EQ(state(code), "PENDING");
  EXPECT_EQ(consent(code, officer(3)).error().message,
            "You can't approve this because it still needs legal to approve, and you are not one "
            "of them.");
  ASSERT_TRUE(consent(code, officer(4, {"g2"})).ok());
  EXPECT_EQ(state(code), "APPROVED");
}

TEST_F(ApprovalTest, who_belongs_to_two_stages_counts_for_the_one_that_lacks_somebody) {
  const ApprovalTerms both = terms({{.from = "compliance", .group = "g1", .count = 1},
                                    {.from = "legal", .group = "g2", .count = 1}});
  for (const bool both_first : {true, false}) {
    SCOPED_TRACE(both_first);
    const Uuid code = file(both_first ? "item" : "another item", both);
    const Approver of_both = officer(1, {"g1", "g2"});
    const Approver of_one = officer(2, {"g1"});
    ASSERT_TRUE(consent(code, both_first ? of_both : of_one).ok());
    EXPECT_EQ(state(code), "PENDING");
    const auto last = consent(code, both_first ? of_one : of_both);
    ASSERT_TRUE(last.ok()) << last.error().message;
    EXPECT_EQ(state(code), "APPROVED");
    EXPECT_EQ(consents_of(approval_of(code), 0), 1U);
    EXPECT_EQ(consents_of(approval_of(code), 1), 1U);
    EXPECT_TRUE(claim(approval_of(code)));
  }
}

// An approver's step as somebody might write it who does not ask approval::approve.
nlohmann::json forged_step(const Uuid& code, const std::string& person, const char* to,
                           std::int64_t step) {
  return {{"by",
           {{"person", person},
            {"accounts", {person}},
            {"name", "x"},
            {"names", nlohmann::json::array()}}},
          {"code", to_string(code)},
          {"stage", 0},
          {"state", to},
          {"step", step}};
}

TEST_F(ApprovalTest, the_database_itself_judges_whether_the_stages_have_who_they_need) {
  const Uuid code = file("item", terms({{.from = "a", .group = "g1", .count = 1},
                                        {.from = "b", .group = "g2", .count = 1},
                                        {.from = "c", .group = "g3", .count = 1}}));
  const auto forged = [&](int person, const char* to, std::int64_t step,
                          const nlohmann::json& stages) {
    nlohmann::json content = forged_step(code, account(person), to, step);
    if (!stages.is_null()) content["stages"] = stages;
    return decide(ApprovalStep::kApprove, std::move(content)).ok();
  };
  using nlohmann::json;
  EXPECT_FALSE(forged(1, "APPROVED", 2, json::array({0, 1, 2}))) << "one place for one person";
  ASSERT_TRUE(forged(1, "PENDING", 2, json::array({0, 1})));
  ASSERT_TRUE(forged(2, "PENDING", 3, json::array({1, 2})));
  EXPECT_FALSE(forged(3, "APPROVED", 4, json::array({7}))) << "no such stage";
  ASSERT_TRUE(forged(4, "PENDING", 4, json::array())) << "of none";
  // With a third one of the first stage the others move: to the second and the third.
  EXPECT_FALSE(forged(3, "PENDING", 5, json::array({0})));
  EXPECT_FALSE(forged(3, "PENDING", 5, nullptr));
  ASSERT_TRUE(forged(3, "APPROVED", 5, nullptr)) << "a record without stages has one";
  EXPECT_EQ(steps(code), "file,approve,approve,approve,approve");
  EXPECT_EQ(value("SELECT use_by > now() FROM holdfast.approvals"), "t");
}

TEST_F(ApprovalTest, three_of_two_stages_that_only_one_of_them_fills_are_not_enough) {
  const Uuid code = file("item", terms({{.from = "a", .group = "g1", .count = 1},
                                        {.from = "b", .group = "g2", .count = 2}}));
  ASSERT_TRUE(consent(code, officer(1, {"g1"})).ok());
  for (const int person : {2, 3}) {
    nlohmann::json content = forged_step(code, account(person), "APPROVED", person + 1);
    content["stages"] = nlohmann::json::array({0});
    EXPECT_FALSE(decide(ApprovalStep::kApprove, content).ok());
    content["state"] = "PENDING";
    ASSERT_TRUE(decide(ApprovalStep::kApprove, content).ok());
  }
  // Nobody is in the way of those who are needed, whatever was written.
  ASSERT_TRUE(consent(code, officer(4, {"g1", "g2"})).ok());
  ASSERT_TRUE(consent(code, officer(5, {"g2"})).ok());
  EXPECT_EQ(state(code), "APPROVED");
}

// Cases of a few stages and people; the last one's record is the one that is judged.
nlohmann::json random_cases(std::mt19937& random, int count) {
  const auto up_to = [&](unsigned most) { return static_cast<std::size_t>(random() % (most + 1)); };
  nlohmann::json cases = nlohmann::json::array();
  for (int i = 0; i < count; ++i) {
    nlohmann::json stages = nlohmann::json::array();
    for (std::size_t left = 1 + up_to(3); left > 0; --left) {
      stages.push_back(nlohmann::json::object({{"count", 1 + up_to(1)}}));
    }
    nlohmann::json people = nlohmann::json::array();
    for (std::size_t left = 1 + up_to(6); left > 0; --left) {
      nlohmann::json content = {{"stage", up_to(3)}};
      if (up_to(3) != 0) content["stages"] = nlohmann::json::array();
      for (std::size_t stage = 0; content.contains("stages") && stage < 5; ++stage) {
        if (up_to(1) == 0) content["stages"].push_back(stage);
      }
      people.push_back(std::move(content));
    }
    cases.push_back(
        {{"code", to_string(make_uuid_v4())}, {"stages", stages}, {"people", std::move(people)}});
  }
  return cases;
}

bool all_places_filled(const nlohmann::json& drawn) {
  std::vector<std::size_t> places;
  for (const nlohmann::json& stage : drawn["stages"]) {
    places.push_back(stage["count"].get<std::size_t>());
  }
  std::vector<StageIndexes> people;
  for (const nlohmann::json& content : drawn["people"]) {
    people.push_back(content.contains("stages")
                         ? content["stages"].get<StageIndexes>()
                         : StageIndexes{content["stage"].get<std::size_t>()});
  }
  const auto counted = fill_places(places, people);
  const auto filled = std::ranges::count_if(counted, [](const auto& s) { return s.has_value(); });
  return std::cmp_equal(filled, std::accumulate(places.begin(), places.end(), std::size_t{0}));
}

TEST_F(ApprovalTest, the_database_judges_completeness_as_the_code_does) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const nlohmann::json cases = random_cases(random, 500);
  const std::string drawn =
      "(SELECT c.value, (c.value ->> 'code')::uuid AS code, c.ordinality "
      "FROM jsonb_array_elements('" +
      cases.dump() + "') WITH ORDINALITY AS c) d";
  sql("postgres",
      "INSERT INTO holdfast.approvals "
      "(code, binding, state, step, filed_at, decide_by, use_within, filing) "
      "SELECT d.code, sha256(d.code::text::bytea), 'PENDING', 1, now(), now() + interval '1h', "
      "interval '1h', d.value FROM " +
          drawn);
  sql("postgres",
      "INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content) "
      "SELECT d.code, p.ordinality, 'approve', 'PENDING', now(), d.code, p.value FROM " +
          drawn + ", jsonb_array_elements((d.value -> 'people') - -1) WITH ORDINALITY AS p");
  const pqxx::result verdicts =
      sql("postgres", "SELECT holdfast.approval_is_complete(a, d.value #> '{people,-1}') FROM " +
                          drawn +
                          " JOIN holdfast.approvals a ON a.code = d.code ORDER BY d.ordinality");
  std::size_t judged = 0;
  int complete = 0;
  for (const pqxx::row& row : verdicts) {
    const nlohmann::json& one = cases[judged++];
    const bool verdict = row[0].as<bool>();
    EXPECT_EQ(verdict, all_places_filled(one)) << one.dump();
    complete += verdict ? 1 : 0;
  }
  EXPECT_EQ(judged, cases.size());
  // Both verdicts are among them, in any sample.
  EXPECT_GT(complete, 50);
  EXPECT_LT(complete, 450);
}

TEST_F(ApprovalTest, the_database_itself_refuses_what_must_never_happen) {
  const Uuid code = file("item", terms({{.from = "compliance", .group = "g1", .count = 2}}));
  const auto forged = [&](const std::string& person, const char* to, std::int64_t step) {
    return decide(ApprovalStep::kApprove, forged_step(code, person, to, step));
  };
  EXPECT_FALSE(forged(account(99), "PENDING", 2).ok()) << "who asked";
  EXPECT_FALSE(forged(account(1), "APPROVED", 2).ok()) << "one of two";
  EXPECT_FALSE(forged(account(1), "PENDING", 3).ok()) << "on a state nobody has seen";
  ASSERT_TRUE(forged(account(1), "PENDING", 2).ok());
  EXPECT_FALSE(forged(account(1), "APPROVED", 3).ok()) << "the same person again";
  ASSERT_TRUE(forged(account(2), "APPROVED", 3).ok());
  EXPECT_EQ(steps(code), "file,approve,approve");
}

TEST_F(ApprovalTest, the_database_itself_refuses_bindings_that_are_none) {
  for (const std::string& binding : {std::string(), std::string(62, 'a'), std::string(66, 'a')}) {
    audit::Record filing = file_record(make_uuid_v4(), "item");
    filing.content["approval"]["binding"] = binding;
    EXPECT_FALSE(runner_.run(replica_->append(std::move(filing))).ok()) << binding.size();
  }
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.approvals"), "0");
}

TEST_F(ApprovalTest, the_database_itself_refuses_claims_of_something_else) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  const auto claims = [&](const char* member, const std::string& value) {
    const approval::Approval approved = approval_of(code);
    nlohmann::json content = approval::claim(code, approved.binding.digest());
    content[member] = value;
    const auto receipt = runner_.run(replica_->append_intent(
        step_record(Kind::kIntent, ApprovalStep::kClaim, std::move(content)), request("")));
    return receipt.ok();
  };
  EXPECT_FALSE(claims("binding", to_hex(binding("another item").digest())));
  EXPECT_FALSE(claims("state", "APPROVED")) << "the log would say what is not so";
  EXPECT_FALSE(claims("code", to_string(make_uuid_v4())));
  EXPECT_EQ(steps(code), "file,approve");
  EXPECT_TRUE(claims("code", to_string(code)));
}

TEST_F(ApprovalTest, a_claim_that_was_given_back_is_kept_beside_the_next) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  end(code, *claim(approval_of(code)), CallResult::kRefused, 429);
  EXPECT_EQ(state(code), "APPROVED");
  EXPECT_EQ(steps(code), "file,approve,claim,end");
  const std::optional<Uuid> operation = claim(approval_of(code));
  ASSERT_TRUE(operation);
  EXPECT_EQ(steps(code), "file,approve,claim,end,claim");
  end(code, *operation, CallResult::kExecuted, 204);
  EXPECT_EQ(steps(code), "file,approve,claim,end,claim,end");
  const nlohmann::json history = approval_of(code).document["history"];
  EXPECT_EQ(history[3]["content"]["outcome"]["status"], 429);
  EXPECT_EQ(history[5]["content"]["outcome"]["status"], 204);
  EXPECT_NE(history[2]["record"], history[4]["record"]);
  EXPECT_EQ(approval_of(code).claim_record, parse_uuid(history[4]["record"].get<std::string>()));
}

TEST_F(ApprovalTest, what_was_given_back_runs_out_like_others) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  end(code, *claim(approval_of(code)), CallResult::kNotSent);
  const char* expired = "SELECT count(*) FROM holdfast.expired_approvals(10)";
  EXPECT_EQ(value(expired), "0");
  let_pass("2 hours");
  EXPECT_EQ(value(expired), "1");
}

TEST_F(ApprovalTest, evidence_ends_a_claim_whose_outcome_was_unknown) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  const std::optional<Uuid> operation = claim(approval_of(code));
  ASSERT_TRUE(operation);
  end(code, *operation, CallResult::kUnknown);
  EXPECT_EQ(state(code), "UNKNOWN");
  audit::Record evidence = testing::record(Kind::kReconciliation, *operation);
  evidence.content["outcome"] = {{"result", "executed"}};
  ASSERT_TRUE(runner_.run(officers_->append(std::move(evidence))).ok());
  EXPECT_EQ(state(code), "EXECUTED");
  EXPECT_EQ(steps(code), "file,approve,claim,end,reconcile");
  EXPECT_EQ(approval_of(code).document["history"][3]["state"], "UNKNOWN");
}

TEST_F(ApprovalTest, an_outcome_ends_the_claim_of_its_own_call_alone) {
  const Uuid mine = file("mine");
  const Uuid other = file("other");
  for (const Uuid& code : {mine, other}) ASSERT_TRUE(consent(code, officer(1)).ok());
  const std::optional<Uuid> operation = claim(approval_of(mine));
  ASSERT_TRUE(operation && claim(approval_of(other)));
  end(other, *operation, CallResult::kNotSent);
  EXPECT_EQ(state(other), "CLAIMED");
  EXPECT_EQ(state(mine), "CLAIMED");
}

TEST_F(ApprovalTest, a_claim_that_history_has_already_ends_like_others) {
  for (const CallResult result :
       {CallResult::kExecuted, CallResult::kNotSent, CallResult::kUnknown}) {
    const Uuid code = file(std::string(to_string(result)));
    ASSERT_TRUE(consent(code, officer(1)).ok());
    const std::optional<Uuid> operation = claim(approval_of(code));
    ASSERT_TRUE(operation);
    // As an earlier version left it.
    sql("postgres", "SELECT holdfast.keep_claim('" + to_string(code) + "')");
    EXPECT_EQ(steps(code), "file,approve,claim");
    end(code, *operation, result);
    EXPECT_EQ(steps(code), "file,approve,claim,end");
    if (result == CallResult::kNotSent) {
      EXPECT_TRUE(claim(approval_of(code)));
      EXPECT_EQ(steps(code), "file,approve,claim,end,claim");
    }
    if (result == CallResult::kUnknown) {
      audit::Record evidence = testing::record(Kind::kReconciliation, *operation);
      evidence.content["outcome"] = {{"result", "not_executed"}};
      ASSERT_TRUE(runner_.run(officers_->append(std::move(evidence))).ok());
      EXPECT_EQ(state(code), "FAILED");
      EXPECT_EQ(steps(code), "file,approve,claim,end,reconcile");
    }
  }
}

TEST_F(ApprovalTest, the_database_reads_of_an_entry_what_it_says_of_its_claim) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  end(code, *claim(approval_of(code)), CallResult::kExecuted, 204);
  // As it stands in the log, and spelt as PostgreSQL does, which is parsed whole.
  const std::string found =
      "SELECT count(*) FROM holdfast.log l, "
      "LATERAL (SELECT convert_from(l.entry, 'UTF8')::jsonb AS document) d, "
      "LATERAL (VALUES (l.entry), (convert_to(d.document::text, 'UTF8'))) e (entry), "
      "LATERAL (SELECT holdfast.claim_members(e.entry, l.kind) AS members) f "
      "WHERE l.kind IN ('intent', 'outcome') AND ";
  EXPECT_EQ(value(found + "NOT EXISTS (SELECT FROM unnest('{id,operation_id,approval,outcome}'"
                          "::text[]) m WHERE f.members -> m IS DISTINCT FROM d.document -> m)"),
            "4");
  EXPECT_EQ(value(found + "f.members ? 'request'"), "2");
  // What is not as long, or not in the order, as Holdfast writes it is parsed whole, too.
  for (const std::string& odd : {R"({"approval":{"code":")" + std::string(2000, 'x') + R"("},)",
                                 std::string(R"({"request":{},"approval":{"code":"x"},)")}) {
    const std::string entry =
        odd +
        R"("id":"12345678-0000-4000-8000-000000000000","kind":"outcome","operation_id":"y",)" +
        R"("outcome":{"result":"z"}})";
    EXPECT_EQ(value("SELECT holdfast.claim_members(convert_to('" + entry +
                    "', 'UTF8'), 'outcome') "
                    "#>> '{outcome,result}'"),
              "z");
  }
  // So is one with a member that Holdfast does not write before the outcome.
  const std::string more =
      R"({"approval":{"code":"x"},"id":"12345678-0000-4000-8000-000000000000","kind":"outcome",)"
      R"("operation_id":"12345678-0000-4000-8000-000000000001","other":{"a":1,"request":{}},)"
      R"("outcome":{"result":"z"},"request":{}})";
  EXPECT_EQ(value("SELECT holdfast.claim_members(convert_to('" + more +
                  "', 'UTF8'), 'outcome') #>> '{outcome,result}'"),
            "z");
}

TEST_F(ApprovalTest, a_proxy_is_told_of_what_people_approve_from_now_on) {
  approval::ApprovedCalls calls(system_clock());
  approval::ApprovalFollower follower({.database = database("holdfast_proxy")}, calls);
  const auto told_of = [&](const std::string& item) {
    const auto more = follower.step();
    EXPECT_TRUE(more.ok()) << more.error().message;
    return calls.take(binding(item).digest());
  };
  ASSERT_TRUE(consent(file("before"), officer(1)).ok());
  EXPECT_FALSE(told_of("before")) << "it may be one of a million";
  const Uuid code = file("item", terms({{.from = "compliance", .group = "g1", .count = 2}}));
  ASSERT_TRUE(consent(code, officer(1)).ok());
  EXPECT_FALSE(told_of("item"));
  ASSERT_TRUE(consent(code, officer(2)).ok());
  const std::optional<approval::ApprovedCall> told = told_of("item");
  ASSERT_TRUE(told);
  const approval::ApprovedCall read = approval::approved_call(approval_of(code));
  EXPECT_EQ(told->code, code);
  EXPECT_EQ(told->binding, read.binding);
  EXPECT_EQ(told->stages.size(), 1U);
  EXPECT_EQ(told->stages[0].count, 2);
  EXPECT_EQ(told->use_within, read.use_within);
  EXPECT_EQ(told->approved_at, read.approved_at);
  EXPECT_FALSE(told_of("item")) << "once";

  // A database that has lost its newest steps: from there on.
  sql("postgres",
      "SET session_replication_role = replica; "
      "ALTER TABLE holdfast.approval_history DISABLE TRIGGER approval_history_refuse_change; "
      "UPDATE holdfast.approval_history SET position = -position; "
      "ALTER SEQUENCE holdfast.notice_positions RESTART WITH 1");
  EXPECT_FALSE(told_of("item"));
  ASSERT_TRUE(consent(file("after"), officer(1)).ok());
  EXPECT_TRUE(told_of("after"));

  const Uuid over = file("over");
  ASSERT_TRUE(consent(over, officer(1)).ok());
  ASSERT_TRUE(decide(ApprovalStep::kRevoke, revoke(approval_of(over), officer(1), "no")).ok());
  EXPECT_FALSE(told_of("over"));
}

TEST_F(ApprovalTest, history_is_kept) {
  const Uuid code = file("item");
  for (const std::string table : {"holdfast.approval_history", "holdfast.approvals"}) {
    EXPECT_THAT(idle_triggers(table, table), ::testing::IsEmpty());
  }
  for (const std::string role : {"holdfast_proxy", "holdfast_audit"}) {
    EXPECT_NE(refusal(role, "UPDATE holdfast.approvals SET state = 'APPROVED'"), "") << role;
    EXPECT_NE(
        refusal(role, "SELECT holdfast.note_approval_step('" + to_string(code) +
                          "', 'approve', 'APPROVED', now(), '" + to_string(code) + "', '{}')"),
        "")
        << role;
  }
}

TEST_F(ApprovalTest, a_proxy_takes_no_officers_step) {
  const Uuid code = file("item");
  audit::Record record =
      step_record(Kind::kDecision, ApprovalStep::kApprove,
                  *approve(approval_of(code), officer(1), TokenApprovals::kRefused, ""));
  EXPECT_FALSE(runner_.run(replica_->append(std::move(record))).ok());
  EXPECT_EQ(state(code), "PENDING");
}

TEST_F(ApprovalTest, one_binding_has_one_approval_at_a_time) {
  const Uuid code = file("item");
  const auto again = runner_.run(replica_->append(file_record(make_uuid_v4(), "item")));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kRefused);
  ASSERT_TRUE(decide(ApprovalStep::kReject, reject(approval_of(code), officer(1), "no")).ok());
  EXPECT_FALSE(runner_.run(replica_->append(file_record(make_uuid_v4(), "item"))).ok());
  let_pass("2 hours");  // A rejection answers until its time to decide is over.
  EXPECT_TRUE(runner_.run(replica_->append(file_record(make_uuid_v4(), "item"))).ok());
  file("another item");
}

TEST_F(ApprovalTest, what_has_run_out_is_over_at_once_and_recorded_later) {
  const Uuid undecided = file("undecided");
  const Uuid unused = file("unused");
  ASSERT_TRUE(consent(unused, officer(1)).ok());
  const Approval approved = approval_of(unused);
  const Approval pending = approval_of(undecided);
  let_pass("2 hours");
  EXPECT_EQ(state(undecided), "EXPIRED");
  EXPECT_EQ(state(unused), "EXPIRED");
  EXPECT_FALSE(claim(approved));
  EXPECT_FALSE(
      decide(ApprovalStep::kApprove, approve(pending, officer(1), TokenApprovals::kRefused, ""))
          .ok());
  ApprovalExpirer expirer({.database = database("holdfast_audit"), .writer = {}});
  EXPECT_EQ(*expirer.expire_due(), 2U);
  EXPECT_EQ(*expirer.expire_due(), 0U);
  EXPECT_EQ(steps(undecided), "file,expire");
  EXPECT_EQ(steps(unused), "file,approve,expire");
}

TEST_F(ApprovalTest, times_of_expiries_do_not_follow_a_clock_backwards) {
  testing::FakeClock clock;
  ApprovalExpirer expirer({.database = database("holdfast_audit"), .writer = {}}, clock);
  for (const char* item : {"one", "another"}) {
    file(item);
    let_pass("2 hours");
    ASSERT_EQ(*expirer.expire_due(), 1U);
    clock.advance(std::chrono::seconds(-60));
  }
  EXPECT_EQ(steps_back_in_time(), "0");
}

TEST_F(ApprovalTest, a_claim_comes_back_only_when_graph_did_not_look) {
  struct Case {
    CallResult result;
    int status;
    const char* state;
  };
  for (const Case& row :
       {Case{CallResult::kRefused, 401, "APPROVED"}, Case{CallResult::kRefused, 429, "APPROVED"},
        Case{CallResult::kNotSent, 0, "APPROVED"}, Case{CallResult::kRefused, 404, "FAILED"},
        Case{CallResult::kRefused, 403, "FAILED"}, Case{CallResult::kUnknown, 503, "UNKNOWN"},
        Case{CallResult::kExecuted, 204, "EXECUTED"}}) {
    const Uuid code = file(std::string(audit::to_string(row.result)) + std::to_string(row.status));
    ASSERT_TRUE(consent(code, officer(1)).ok());
    const std::optional<Uuid> operation = claim(approval_of(code));
    ASSERT_TRUE(operation);
    end(code, *operation, row.result, row.status);
    EXPECT_EQ(state(code), row.state) << row.status;
    EXPECT_EQ(claim_ended(code, row.result, row.status)["state"], row.state);
    EXPECT_EQ(claim(approval_of(code)).has_value(), std::string(row.state) == "APPROVED");
  }
}

TEST_F(ApprovalTest, late_evidence_settles_an_unknown_claim) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  const std::optional<Uuid> operation = claim(approval_of(code));
  ASSERT_TRUE(operation);
  expire_leases();
  audit::Settler settler({.database = database("holdfast_audit"), .writer = {}});
  ASSERT_EQ(*settler.settle_expired(), 1U);
  EXPECT_EQ(state(code), "UNKNOWN");
  // Its own writer's result comes after all.
  audit::Record outcome = testing::record(Kind::kOutcome, *operation);
  outcome.approval_step = ApprovalStep::kEnd;
  outcome.content["approval"] = claim_ended(code, CallResult::kExecuted, 204);
  EXPECT_EQ(runner_.run(replica_->append_outcome(std::move(outcome))).error().code,
            ErrorCode::kRefused);
  EXPECT_EQ(state(code), "EXECUTED");
  EXPECT_EQ(steps(code), "file,approve,claim,end,reconcile");
}

TEST_F(ApprovalTest, evidence_changes_only_what_is_unknown_and_only_when_it_is_certain) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  const std::optional<Uuid> operation = claim(approval_of(code));
  ASSERT_TRUE(operation);
  const auto reconcile = [&](const char* result) {
    audit::Record made = testing::record(Kind::kReconciliation, *operation);
    made.content["outcome"] = {{"result", result}};
    EXPECT_TRUE(runner_.run(officers_->append(std::move(made))).ok());
    return state(code);
  };
  EXPECT_EQ(reconcile("executed"), "CLAIMED");
  end(code, *operation, CallResult::kUnknown);
  EXPECT_EQ(reconcile("indeterminate"), "UNKNOWN");
  EXPECT_EQ(reconcile("not_executed"), "FAILED");
  EXPECT_EQ(steps(code), "file,approve,claim,end,reconcile");
}

TEST_F(ApprovalTest, officers_and_requesters_and_rules_can_end_it) {
  const Uuid rejected = file("rejected");
  ASSERT_TRUE(
      decide(ApprovalStep::kReject, reject(approval_of(rejected), officer(1), "no case")).ok());
  EXPECT_EQ(approval_of(rejected).closing_reason, "no case");
  EXPECT_EQ(consent(rejected, officer(2)).error().message,
            "You can't approve this because it was rejected.");

  const Uuid revoked = file("revoked");
  ASSERT_TRUE(consent(revoked, officer(1)).ok());
  const Approval approved = approval_of(revoked);
  ASSERT_TRUE(decide(ApprovalStep::kRevoke, revoke(approved, officer(2), "")).ok());
  EXPECT_FALSE(claim(approved));

  const Uuid cancelled = file("cancelled");
  ASSERT_TRUE(runner_
                  .run(replica_->append(step_record(Kind::kDecision, ApprovalStep::kCancel,
                                                    *cancel(approval_of(cancelled)))))
                  .ok());
  EXPECT_EQ(state(cancelled), "CANCELLED");

  for (const bool is_approved : {false, true}) {
    const Uuid code = file("forbidden" + std::to_string(is_approved));
    if (is_approved) {
      ASSERT_TRUE(consent(code, officer(1)).ok());
    }
    ASSERT_TRUE(runner_
                    .run(replica_->append(step_record(Kind::kDecision, ApprovalStep::kInvalidate,
                                                      invalidation(approval_of(code), "hold"))))
                    .ok());
    EXPECT_EQ(state(code), "INVALIDATED");
  }
}

TEST_F(ApprovalTest, one_spent_approval_never_refuses_its_batch_mates) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  const Approval approved = approval_of(code);
  // All of them wait together while the log's head is held.
  pqxx::connection holder(database("postgres").url);
  pqxx::work hold(holder);
  hold.exec("SELECT FROM holdfast.log_head FOR UPDATE");
  std::vector<std::future<Result<audit::Receipt>>> plain;
  std::vector<std::future<Result<audit::Receipt>>> claims;
  for (int i = 0; i < 20; ++i) {
    plain.push_back(runner_.start(replica_->append_intent(
        testing::record(Kind::kIntent, testing::new_operation()), request(""))));
    if (i % 5 == 0) {
      claims.push_back(runner_.start(replica_->append_intent(claim_record(approved), request(""))));
    }
  }
  hold.commit();
  for (auto& receipt : plain) EXPECT_TRUE(receipt.get().ok());
  int claimed = 0;
  for (auto& receipt : claims) claimed += receipt.get().ok() ? 1 : 0;
  EXPECT_EQ(claimed, 1);
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.open_operations"), "21");
}

TEST_F(ApprovalTest, a_claim_that_is_refused_takes_nothing_of_a_limit) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  const Approval approved = approval_of(code);
  ASSERT_TRUE(claim(approved));
  audit::Record late = claim_record(approved);
  late.is_limited = true;
  late.content["decision"]["limits"] = {
      {{"rule", "a"}, {"key", "a|k"}, {"count", 9}, {"per_s", 3600}, {"mailbox", "m"}}};
  const auto receipt = runner_.run(replica_->append_intent(std::move(late), request("")));
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(receipt.error().code, ErrorCode::kRefused) << receipt.error().message;
  EXPECT_EQ(value("SELECT count(*) FROM holdfast.limit_uses"), "0");
}

// One record gives the approval back, the next one of the same batch wants it.
TEST_F(ApprovalTest, a_claim_of_the_batch_that_gives_the_approval_back_comes_too_early) {
  const Uuid code = file("item");
  ASSERT_TRUE(consent(code, officer(1)).ok());
  const Approval approved = approval_of(code);
  const std::optional<Uuid> operation = claim(approved);
  ASSERT_TRUE(operation);
  testing::HeldLock head(database("postgres").url, testing::kLogHead);
  auto before = runner_.start(replica_->append_intent(
      testing::record(Kind::kIntent, testing::new_operation()), request("")));
  EXPECT_TRUE(head.is_met_by(1));
  auto ended =
      std::async(std::launch::async, [&] { end(code, *operation, CallResult::kRefused, 429); });
  auto early = runner_.start(replica_->append_intent(claim_record(approved), request("")));
  auto filed = runner_.start(replica_->append(file_record(make_uuid_v4(), "another item")));
  head.release();
  EXPECT_TRUE(before.get().ok());
  ended.get();
  EXPECT_TRUE(filed.get().ok());
  const bool came_later = early.get().ok();  // Or in a batch of its own, on a slow machine.
  EXPECT_EQ(state(code), came_later ? "CLAIMED" : "APPROVED");
  EXPECT_EQ(steps(code), came_later ? "file,approve,claim,end,claim" : "file,approve,claim,end");
  EXPECT_EQ(claim(approval_of(code)).has_value(), !came_later);
}

}  // namespace
}  // namespace holdfast::approval
