// Generations of rules on a real database: who offers what, when it takes effect, and that all
// replicas have the same.
#include "approval/rule_model.h"
#include "tests/integration/generation_fixture.h"

namespace holdfast::testing {
namespace {

using ::testing::HasSubstr;

TEST_F(GenerationTest, one_person_is_enough_where_the_configuration_says_so) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  ASSERT_TRUE(eventually([&] { return proxy.number() == 1; }));
  proxy.write(rules_text("b", kAllow));
  ASSERT_TRUE(become("1 superseded, 2 active"));
  ASSERT_TRUE(eventually([&] { return proxy.revision() == "b"; }));
  EXPECT_EQ(events(), "activated,activated");
  EXPECT_EQ(proxy.store().problem(), "");
}

TEST_F(GenerationTest, nothing_is_in_force_until_an_admin_has_approved_the_first) {
  Replica& proxy = first(rules_text("a", kAllow));
  ASSERT_TRUE(become("1 pending"));
  ASSERT_TRUE(eventually([&] {
    return proxy.store().problem() ==
           "generation 1 of the rules waits for an admin's approval, and none is in force";
  }));
  EXPECT_FALSE(proxy.store().current());
  EXPECT_TRUE(decide(1, "approved").ok());
  EXPECT_TRUE(eventually([&] { return proxy.revision() == "a"; }));
  EXPECT_EQ(states(), "1 active");
  EXPECT_EQ(events(), "offered,approved");
}

TEST_F(GenerationTest, what_loosens_waits_and_what_does_not_takes_effect) {
  Replica& proxy = first(rules_text("a", kHold, kHolds), kOne);
  ASSERT_TRUE(become("1 active"));
  proxy.stop();
  proxy.start(kTwo);
  proxy.list("held@contoso.com\nother@contoso.com\n");
  ASSERT_TRUE(become("1 superseded, 2 active"));
  proxy.list("other@contoso.com\n");
  ASSERT_TRUE(become("1 superseded, 2 active, 3 pending"));
  EXPECT_EQ(proxy.number(), 2);
  EXPECT_TRUE(decide(3, "rejected").ok());
  EXPECT_EQ(states(), "1 superseded, 2 active, 3 rejected");
  // Rejected once, it is no offer again, whoever asks.
  EXPECT_TRUE(proxy.watcher().reload().get().ok());
  EXPECT_EQ(states(), "1 superseded, 2 active, 3 rejected");
  EXPECT_FALSE(decide(3, "approved").ok());
  EXPECT_EQ(proxy.number(), 2);
}

TEST_F(GenerationTest, names_that_a_list_gained_do_not_wait_for_those_it_lost) {
  Replica& proxy = first(rules_text("a", kHold, kHolds), kOne);
  ASSERT_TRUE(become("1 active"));
  proxy.stop();
  proxy.start(kTwo);
  const auto holds = [&](const std::string& name) {
    const auto generation = proxy.store().current();
    const auto& names = generation->rules.data().lists[0].content->names;
    return std::ranges::find(names, name) != names.end();
  };
  proxy.list("other@contoso.com\n");
  ASSERT_TRUE(become("1 superseded, 2 active, 3 pending"));
  ASSERT_TRUE(eventually([&] { return proxy.number() == 2; }));
  EXPECT_TRUE(holds("held@contoso.com") && holds("other@contoso.com"));
  EXPECT_EQ(events(), "activated,activated,offered");
  // What waits is offered anew, against what is in force now.
  proxy.list("third@contoso.com\n");
  ASSERT_TRUE(become("1 superseded, 2 superseded, 3 superseded, 4 active, 5 pending"));
  ASSERT_TRUE(eventually([&] { return proxy.number() == 4; }));
  EXPECT_TRUE(holds("held@contoso.com") && holds("third@contoso.com"));
  EXPECT_FALSE(decide(3, "approved").ok());
  EXPECT_TRUE(decide(5, "approved").ok());
  ASSERT_TRUE(eventually([&] { return proxy.number() == 5; }));
  EXPECT_TRUE(holds("third@contoso.com"));
  EXPECT_FALSE(holds("held@contoso.com") || holds("other@contoso.com"));
  // The rest of what is new waits whole, and a list with it that gained a name does not.
  proxy.list("third@contoso.com\nfourth@contoso.com\n");
  proxy.write(rules_text(
      "b", kAllow + "  - { id: more, effect: allow }\n" + kHold.substr(kAllow.size()), kHolds));
  EXPECT_TRUE(proxy.watcher().reload().get().ok());
  ASSERT_TRUE(eventually([&] { return holds("fourth@contoso.com"); }));
  EXPECT_EQ(proxy.revision(), "a");
}

TEST_F(GenerationTest, a_list_in_force_is_as_new_as_the_one_that_waits) {
  Replica& proxy = first(rules_text("a", kHold, kHolds), kOne);
  ASSERT_TRUE(become("1 active"));
  proxy.stop();
  proxy.start(kTwo);
  proxy.list("# nobody\n");
  ASSERT_TRUE(become("1 active, 2 pending"));
  EXPECT_TRUE(proxy.watcher().reload().get().ok());
  for (const char* state : {"pending", "rejected"}) {
    if (std::string(state) == "rejected") {
      EXPECT_TRUE(decide(2, state).ok());
    }
    // As if that much time had passed: the bytes were kept as of yesterday.
    sql("postgres", "UPDATE holdfast.rule_files SET modified = modified - interval '2 days'");
    const WallTime now = system_clock().now();
    ASSERT_TRUE(eventually(
        [&] { return !approval::stale_lists(proxy.store().current()->rules, now).empty(); }));
    proxy.list("# nobody\n");
    EXPECT_TRUE(eventually(
        [&] { return approval::stale_lists(proxy.store().current()->rules, now).empty(); }));
    EXPECT_EQ(states(), std::string("1 active, 2 ") + state);
  }
}

TEST_F(GenerationTest, a_list_of_old_restricts_nobody_again) {
  Replica& one = first(rules_text("a", kHold, kHolds), kOne);
  ASSERT_TRUE(become("1 active"));
  one.list("other@contoso.com\n");
  ASSERT_TRUE(become("1 superseded, 2 active"));
  Replica& two = second(rules_text("a", kHold, kHolds), kTwo);
  EXPECT_TRUE(two.watcher().reload().get().ok());
  EXPECT_EQ(states(), "1 superseded, 2 active");
}

TEST_F(GenerationTest, what_takes_effect_ends_what_waited_before_it_and_no_more) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  proxy.stop();
  proxy.start(kTwo);
  for (const char* text : {"b", "c", "d"}) {
    proxy.write(rules_text(text, kAllow));
    EXPECT_TRUE(proxy.watcher().reload().get().ok());
  }
  ASSERT_TRUE(become("1 active, 2 pending, 3 pending, 4 pending"));
  EXPECT_TRUE(decide(3, "approved").ok());
  EXPECT_EQ(states(), "1 superseded, 2 superseded, 3 active, 4 pending");
  EXPECT_FALSE(decide(2, "approved").ok());
}

TEST_F(GenerationTest, a_list_that_is_new_again_is_believed_without_a_new_generation) {
  Replica& proxy = first(rules_text("a", kHold, kHolds), kOne);
  ASSERT_TRUE(eventually([&] { return proxy.number() == 1; }));
  const WallTime now = system_clock().now();
  ASSERT_TRUE(approval::stale_lists(proxy.store().current()->rules, now).empty());
  const WallTime later = now + std::chrono::hours(25);
  ASSERT_FALSE(approval::stale_lists(proxy.store().current()->rules, later).empty());
  // A list is looked at again once after it was first read.
  EXPECT_TRUE(proxy.watcher().reload().get().ok());
  // As if that much time had passed: the bytes were kept as of yesterday.
  sql("postgres", "UPDATE holdfast.rule_files SET modified = modified - interval '2 days'");
  ASSERT_TRUE(eventually(
      [&] { return !approval::stale_lists(proxy.store().current()->rules, now).empty(); }));
  proxy.list("held@contoso.com\n");
  EXPECT_TRUE(eventually(
      [&] { return approval::stale_lists(proxy.store().current()->rules, now).empty(); }));
  EXPECT_EQ(states(), "1 active");
}

TEST_F(GenerationTest, every_replica_decides_by_the_active_bytes_whatever_its_files_are) {
  Replica& one = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  one.write(rules_text("b", kAllow));
  ASSERT_TRUE(become("1 superseded, 2 active"));
  // A replica that is behind offers nothing: somebody has offered its files before.
  Replica& two = second(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(eventually([&] { return two.revision() == "b"; }));
  EXPECT_EQ(states(), "1 superseded, 2 active");
  two.write(rules_text("c", kDeny));
  ASSERT_TRUE(eventually([&] { return one.revision() == "c" && two.revision() == "c"; }));
  // Going back is an offer like any other.
  one.write(rules_text("a", kDeny));
  ASSERT_TRUE(become("1 superseded, 2 superseded, 3 superseded, 4 active"));
  EXPECT_TRUE(eventually([&] { return one.revision() == "a" && two.revision() == "a"; }));
}

TEST_F(GenerationTest, files_that_follow_the_active_ones_are_no_offer_and_going_back_is_one) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  second(rules_text("b", kDeny), kOne);
  ASSERT_TRUE(become("1 superseded, 2 active"));
  proxy.write(rules_text("b", kDeny));
  EXPECT_TRUE(proxy.watcher().reload().get().ok());
  EXPECT_EQ(states(), "1 superseded, 2 active");
  proxy.write(rules_text("a", kDeny));
  EXPECT_TRUE(proxy.watcher().reload().get().ok());
  EXPECT_EQ(states(), "1 superseded, 2 superseded, 3 active");
}

TEST_F(GenerationTest, a_restart_offers_only_files_that_have_changed_meanwhile) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  Replica& other = second(rules_text("b", kDeny), kOne);
  ASSERT_TRUE(become("1 superseded, 2 active"));
  proxy.stop();
  proxy.start(kOne);
  EXPECT_TRUE(proxy.watcher().reload().get().ok());
  EXPECT_EQ(states(), "1 superseded, 2 active");
  EXPECT_TRUE(eventually([&] { return proxy.revision() == "b" && other.revision() == "b"; }));
  proxy.stop();
  proxy.write(rules_text("c", kDeny));
  proxy.start(kOne);
  EXPECT_TRUE(become("1 superseded, 2 superseded, 3 active"));
}

TEST_F(GenerationTest, an_intent_of_another_generation_is_refused_and_its_neighbours_are_not) {
  Replica& proxy = first(rules_text("a", kAllow), kOne);
  ASSERT_TRUE(eventually([&] { return proxy.number() == 1; }));
  EXPECT_TRUE(intent(proxy.log(), 1).ok());
  for (const std::int64_t wrong : {0, 2}) {
    const auto refused = intent(proxy.log(), wrong);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  }
  proxy.write(rules_text("b", kAllow));
  ASSERT_TRUE(become("1 superseded, 2 active"));
  EXPECT_EQ(intent(proxy.log(), 1).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(intent(proxy.log(), 2).ok());
}

TEST_F(GenerationTest, what_does_not_load_changes_nothing_and_is_tried_again) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  proxy.write(rules_text("b", kDeny, "lists: { late: { file: late.csv } }\n"));
  EXPECT_FALSE(proxy.watcher().reload().get().ok());
  EXPECT_EQ(states(), "1 active");
  // The list that was missing arrives, and the rule file is as it was.
  proxy.files().write("late.csv", "a@contoso.com\n");
  EXPECT_TRUE(become("1 superseded, 2 active"));
}

TEST_F(GenerationTest, what_an_approval_says_must_be_so) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  proxy.stop();
  proxy.start(kTwo);
  proxy.write(rules_text("b", kAllow));
  ASSERT_TRUE(become("1 active, 2 pending"));
  const auto change = [&](std::int64_t number, const std::string& sha256, std::int64_t before) {
    audit::Record record{.kind = audit::Kind::kRules};
    record.content["rules"] = approval::generation_change(
        "approved", {.number = number, .revision = "b", .sha256 = sha256},
        approval::GenerationName{.number = before, .revision = "a", .sha256 = ""});
    return record;
  };
  const std::string sha256 = value("SELECT sha256 FROM holdfast.generations WHERE number = 2");
  EXPECT_FALSE(runner_.run(officers_->append(change(2, sha256, 2))).ok());
  EXPECT_FALSE(runner_.run(officers_->append(change(2, "another", 1))).ok());
  EXPECT_FALSE(runner_.run(officers_->append(change(3, sha256, 1))).ok());
  audit::Record from_none = change(2, sha256, 1);
  from_none.content["rules"].erase("before");
  EXPECT_FALSE(runner_.run(officers_->append(std::move(from_none))).ok());
  // A proxy cannot approve what it offered, nor an officer offer.
  const auto event = [&](const std::string& name) {
    audit::Record record = change(2, sha256, 1);
    record.content["rules"]["event"] = name;
    return record;
  };
  for (const char* name : {"approved", "rejected", "recovered", "other"}) {
    EXPECT_FALSE(runner_.run(proxy.log().append(event(name))).ok()) << name;
  }
  for (const char* name : {"recovered", "other"}) {
    EXPECT_FALSE(runner_.run(officers_->append(event(name))).ok()) << name;
  }
  for (const char* name : {"offered", "activated"}) {
    audit::Record record = change(3, sha256, 1);
    record.content["rules"]["event"] = name;
    EXPECT_FALSE(runner_.run(officers_->append(std::move(record))).ok()) << name;
  }
  EXPECT_EQ(states(), "1 active, 2 pending");
  EXPECT_EQ(value("SELECT decision FROM holdfast.generations WHERE number = 2"), "");
  EXPECT_TRUE(runner_.run(officers_->append(change(2, sha256, 1))).ok());
  EXPECT_EQ(states(), "1 superseded, 2 active");
  EXPECT_EQ(value("SELECT decision ->> 'event' FROM holdfast.generations WHERE number = 2"),
            "approved");
  // Of what was refused there is no record.
  EXPECT_EQ(events(), "activated,offered,approved");
}

TEST_F(GenerationTest, what_an_offer_says_must_be_so) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  proxy.stop();
  const auto offered = [&](std::int64_t number, std::int64_t before, const std::string& file,
                           const std::string& sha256) {
    audit::Record record{.kind = audit::Kind::kRules};
    record.content["rules"] = approval::generation_change(
        "offered", {.number = number, .revision = "b", .sha256 = "b"},
        approval::GenerationName{.number = before, .revision = "a", .sha256 = ""});
    record.content["rules"]["files"] = {{{"name", file}, {"sha256", sha256}}};
    const auto done = runner_.run(proxy.log().append(std::move(record)));
    EXPECT_TRUE(done.ok() || done.error().code == ErrorCode::kRefused) << done.error().message;
    return done.ok();
  };
  const std::string kept = value("SELECT encode(sha256, 'hex') FROM holdfast.rule_files");
  EXPECT_FALSE(offered(1, 1, "rules", kept)) << "that number is another's";
  EXPECT_FALSE(offered(3, 1, "rules", kept)) << "2 comes before it";
  EXPECT_FALSE(offered(2, 2, "rules", kept)) << "1 is active";
  EXPECT_FALSE(offered(2, 1, "rules", std::string(64, '0'))) << "nobody has these bytes";
  EXPECT_FALSE(offered(2, 1, "hold.csv", kept)) << "they are of another file";
  EXPECT_EQ(states(), "1 active");
  EXPECT_TRUE(offered(2, 1, "rules", kept));
  EXPECT_EQ(states(), "1 active, 2 pending");
}

TEST_F(GenerationTest, files_are_never_newer_than_now_and_never_become_older) {
  const auto keep = [&](const std::string& hours_ago) {
    sql("holdfast_proxy",
        "SELECT holdfast.keep_rule_file('list', 'bytes', (extract(epoch FROM clock_timestamp() - "
        "interval '" +
            hours_ago + " hours') * 1000000)::bigint)");
    return value(
        "SELECT round(extract(epoch FROM clock_timestamp() - modified) / 3600) "
        "FROM holdfast.rule_files");
  };
  EXPECT_EQ(keep("3"), "3");
  EXPECT_EQ(keep("5"), "3");
  EXPECT_EQ(keep("1"), "1");
  EXPECT_EQ(keep("-2"), "0");
}

TEST_F(GenerationTest, whoever_owns_the_database_lets_one_take_effect_with_a_record) {
  Replica& proxy = first(rules_text("a", kAllow));
  ASSERT_TRUE(become("1 pending"));
  const std::string sha256 = value("SELECT sha256 FROM holdfast.generations");
  const approval::Recovery recovery{
      .number = 1, .sha256 = sha256, .person = "root", .reason = "nobody can sign in"};
  for (const approval::Recovery& other :
       {approval::Recovery{.number = 2, .sha256 = sha256, .person = "root", .reason = "x"},
        approval::Recovery{.number = 1, .sha256 = "another", .person = "root", .reason = "x"}}) {
    EXPECT_EQ(approval::recover_generation(database("postgres"), other).error().code,
              ErrorCode::kNotFound);
  }
  for (const char* role : {"holdfast_proxy", "holdfast_audit"}) {
    EXPECT_FALSE(approval::recover_generation(database(role), recovery).ok()) << role;
  }
  EXPECT_EQ(states(), "1 pending");
  proxy.stop();
  EXPECT_TRUE(approval::recover_generation(database("postgres"), recovery).ok());
  approval::Recovery again = recovery;
  again.reason = "another";
  EXPECT_EQ(approval::recover_generation(database("postgres"), again).error().code,
            ErrorCode::kNotFound)
      << "who did it first is written down";
  proxy.start(kTwo);
  EXPECT_TRUE(eventually([&] { return proxy.revision() == "a"; }));
  EXPECT_EQ(events(), "offered,recovered");
  EXPECT_EQ(value("SELECT convert_from(entry, 'UTF8')::json #>> '{rules,recovery,reason}' "
                  "FROM holdfast.log WHERE kind = 'rules' ORDER BY index DESC LIMIT 1"),
            "nobody can sign in");
  EXPECT_EQ(approval::recover_generation(database("postgres"), recovery).error().code,
            ErrorCode::kNotFound)
      << "it waits no more";
}

TEST_F(GenerationTest, rules_are_recovered_also_where_those_in_force_do_not_load) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  sql("holdfast_proxy", kKeepNoRules);
  ASSERT_TRUE(runner_.run(proxy.log().append(no_rules("activated"))).ok());
  ASSERT_TRUE(become("1 superseded, 2 active"));
  proxy.stop();
  proxy.write(rules_text("c", kAllow));
  proxy.start(kTwo);
  ASSERT_TRUE(become("1 superseded, 2 active, 3 pending"));
  ASSERT_TRUE(approval::recover_generation(
                  database("postgres"),
                  {.number = 3,
                   .sha256 = value("SELECT sha256 FROM holdfast.generations WHERE number = 3"),
                   .person = "root",
                   .reason = "those in force do not load"})
                  .ok());
  EXPECT_TRUE(eventually([&] { return proxy.revision() == "c"; }));
  EXPECT_EQ(states(), "1 superseded, 2 superseded, 3 active");
  EXPECT_EQ(value("SELECT convert_from(entry, 'UTF8')::json #>> '{rules,before,sha256}' "
                  "FROM holdfast.log WHERE kind = 'rules' ORDER BY index DESC LIMIT 1"),
            "b");
}

TEST_F(GenerationTest, what_cannot_be_recovered_is_said_once) {
  Replica& proxy = first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  sql("holdfast_proxy", kKeepNoRules);
  ASSERT_TRUE(runner_.run(proxy.log().append(no_rules("offered"))).ok());
  ::testing::internal::CaptureStderr();
  const Status asked = approval::recover_generation(
      database("postgres"), {.number = 2, .sha256 = "b", .person = "root", .reason = "x"});
  // Each looks at what is to be recovered once more.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(proxy.watcher().reload().get().ok());
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(asked.ok());
  const std::string error = "rules not recovered";
  ASSERT_NE(said.find(error), std::string::npos) << said;
  EXPECT_EQ(said.find(error, said.find(error) + 1), std::string::npos) << said;
}

TEST_F(GenerationTest, officers_see_every_version_and_what_it_changes) {
  Replica& proxy = first(rules_text("a", kHold, kHolds), kOne);
  ASSERT_TRUE(become("1 active"));
  proxy.stop();
  proxy.start(kTwo);
  proxy.write(rules_text("b", kAllow));
  ASSERT_TRUE(become("1 active, 2 pending"));
  const auto listed = runner_.run(source_->list(std::nullopt, 10));
  ASSERT_TRUE(listed.ok()) << listed.error().message;
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ(listed->front().name.revision, "b");
  EXPECT_EQ(runner_.run(source_->list(2, 10))->size(), 1U);
  const auto files = runner_.run(source_->files(1));
  ASSERT_TRUE(files.ok() && files->size() == 2);
  EXPECT_EQ((*files)[0].bytes, rules_text("a", kHold, kHolds));
  EXPECT_EQ((*files)[1].name, "hold.csv");
  EXPECT_EQ((*files)[1].bytes, "held@contoso.com\n");
  const auto changes = runner_.run(source_->changes(2));
  ASSERT_TRUE(changes.ok()) << changes.error().message;
  EXPECT_THAT(*changes, ::testing::Contains(HasSubstr("rule hold is gone")));
}

TEST_F(GenerationTest, officers_learn_what_the_rules_in_force_say_of_a_call) {
  const auto ruled = [&](const char* mailbox) {
    approval::Facts facts{.action = "permanentDelete", .resource = "message"};
    facts.mailbox = approval::MailboxNames{.names = {mailbox}};
    facts.now = system_clock().now();
    const auto found = runner_.run(source_->decide(facts));
    EXPECT_TRUE(found.ok()) << found.error().message;
    return found.ok() ? *found : approval::RuledNow();
  };
  EXPECT_EQ(ruled("held@contoso.com").generation, 0);
  EXPECT_EQ(ruled("held@contoso.com").decision.effect, approval::Effect::kDeny);
  Replica& proxy = first(rules_text("a", kHold, kHolds), kOne);
  ASSERT_TRUE(become("1 active"));
  EXPECT_EQ(ruled("held@contoso.com").generation, 1);
  EXPECT_EQ(ruled("held@contoso.com").decision.by.at(0).id, "hold");
  EXPECT_EQ(ruled("other@contoso.com").decision.effect, approval::Effect::kAllow);
  proxy.list("held@contoso.com\nother@contoso.com\n");
  ASSERT_TRUE(become("1 superseded, 2 active"));
  EXPECT_EQ(ruled("other@contoso.com").decision.effect, approval::Effect::kDeny);
}

TEST_F(GenerationTest, one_is_active_and_files_are_what_their_hash_says) {
  first(rules_text("a", kDeny), kOne);
  ASSERT_TRUE(become("1 active"));
  EXPECT_THAT(refusal("postgres",
                      "INSERT INTO holdfast.generations (number, sha256, state, offered_at, offer, "
                      "writer) SELECT 2, 'b', 'active', now(), '{}', writer FROM "
                      "holdfast.generations"),
              HasSubstr("generations_active"));
  EXPECT_THAT(refusal("postgres", "UPDATE holdfast.rule_files SET bytes = 'other'"),
              HasSubstr("rule_files_sha256"));
}

TEST_F(GenerationTest, generations_and_their_files_cannot_be_removed) {
  EXPECT_THAT(refusal("postgres", "DELETE FROM holdfast.generations"), HasSubstr("append-only"));
  EXPECT_THAT(refusal("postgres", "TRUNCATE holdfast.rule_files"), HasSubstr("append-only"));
  for (const char* role : {"holdfast_proxy", "holdfast_audit"}) {
    EXPECT_THAT(refusal(role, "UPDATE holdfast.generations SET state = 'active'"),
                HasSubstr("permission denied"));
  }
}

TEST_F(GenerationTest, fault_a_database_that_is_away_at_the_start_leaves_no_rules_in_force) {
  one_ = replica(spool_.path());
  control("stop");
  one_->write(rules_text("a", kAllow));
  one_->start(kOne);
  EXPECT_FALSE(one_->watcher().reload().get().ok());
  EXPECT_FALSE(one_->store().current());
  EXPECT_NE(one_->store().problem(), "");
  control("start");
  EXPECT_TRUE(eventually([&] { return one_->number() == 1; }));
}

TEST_F(GenerationTest, race_of_two_replicas_that_offer_different_files) {
  first(rules_text("a", kAllow), kOne);
  ASSERT_TRUE(become("1 active"));
  second(rules_text("a", kAllow), kOne);
  ASSERT_TRUE(eventually([&] { return two_->number() == 1; }));
  const int rounds = race_rounds();
  for (int round = 0; round < rounds; ++round) {
    const std::string text = std::to_string(round);
    one_->write(rules_text("one-" + text, kDeny));
    two_->write(rules_text("two-" + text, kAllow));
    std::future<Status> reload = one_->watcher().reload();
    EXPECT_TRUE(two_->watcher().reload().get().ok());
    EXPECT_TRUE(reload.get().ok());
    const std::string count = std::to_string(2 * round + 3);
    ASSERT_TRUE(
        eventually([&] { return value("SELECT count(*) FROM holdfast.generations") == count; }));
    ASSERT_TRUE(eventually([&] {
      return std::to_string(one_->number()) == count && std::to_string(two_->number()) == count;
    }));
    EXPECT_EQ(one_->revision(), two_->revision());
    EXPECT_EQ(value("SELECT count(*) FROM holdfast.generations WHERE state = 'active'"), "1");
  }
}

TEST_F(GenerationTest, race_no_intent_follows_the_record_that_ends_its_generation) {
  first(rules_text("0", kAllow), kOne);
  ASSERT_TRUE(eventually([&] { return one_->number() == 1; }));
  second(rules_text("0", kAllow), kOne);
  ASSERT_TRUE(eventually([&] { return two_->number() == 1; }));
  std::atomic<bool> done{false};
  std::vector<std::future<void>> callers;
  for (Replica* replica : {one_.get(), two_.get()}) {
    callers.push_back(std::async(std::launch::async, [&, replica] {
      Runner runner;
      while (!done) {
        const std::int64_t generation = replica->number();
        audit::Record made = record(audit::Kind::kIntent, new_operation());
        made.generation = generation;
        made.content["decision"] = {{"rules_generation", generation}};
        const auto receipt = runner.run(replica->log().append_intent(std::move(made), request("")));
        EXPECT_TRUE(receipt.ok() || receipt.error().code == ErrorCode::kNotFound);
      }
    }));
  }
  const int rounds = race_rounds();
  for (int round = 1; round <= rounds; ++round) {
    one_->write(rules_text(std::to_string(round), kAllow));
    EXPECT_TRUE(one_->watcher().reload().get().ok());
    EXPECT_TRUE(eventually([&] { return two_->number() == round + 1; }));
  }
  done = true;
  for (auto& caller : callers) caller.get();
  EXPECT_EQ(value(kLateIntents), "0");
  EXPECT_NE(value("SELECT count(*) FROM holdfast.log WHERE kind = 'intent'"), "0");
}

}  // namespace
}  // namespace holdfast::testing
