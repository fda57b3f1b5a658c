#include "identity/mailboxes.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_graph.h"
#include "tests/unit/identity/tokens.h"

namespace holdfast::identity {
namespace {

using graph::Mailbox;
using graph::MailboxKind;
using nlohmann::json;
using testing::FakeClock;
using testing::FakeGraph;
using testing::run;

const std::string kUserFields = "?$select=id,userPrincipalName,mail,proxyAddresses";
const std::string kGroupFields = "?$select=id,mail,proxyAddresses";
const std::string kBob = "b0b00000-0000-4000-8000-00000000000e";
const std::string kOtherTenant = "7e000000-0000-4000-8000-0000000000ff";

json bob() {
  return {{"id", kBob},
          {"userPrincipalName", "Bob@contoso.com"},
          {"mail", "bob.builder@contoso.com"},
          {"proxyAddresses",
           {"SMTP:Bob.Builder@contoso.com", "smtp:bb@contoso.com", "SIP:voice@contoso.com"}}};
}

const Names kBobsNames = {kBob, "bb@contoso.com", "bob.builder@contoso.com", "bob@contoso.com"};

json adele() {
  return {{"id", kAdele},
          {"userPrincipalName", "adele@contoso.com"},
          {"mail", nullptr},
          {"proxyAddresses", json::array()}};
}

Actor caller(const json& claims = user_claims()) {
  Actor actor = *read_claims(token_of(claims));
  actor.verification = Verification::kProbe;
  return actor;
}

class Mailboxes : public ::testing::Test {
 protected:
  std::optional<Names> resolve(const Mailbox& mailbox, const Actor& actor = caller()) {
    const BearerToken token{"t"};
    return run(directory.resolve(graph, mailbox, actor, token));
  }

  FakeClock clock;
  MailboxDirectory directory{clock};
  FakeGraph graph;
};

struct KeyCase {
  std::string name;
  std::string key;
  std::string path;  // What Graph is asked; empty: nothing, the mailbox is unknown.
};

void PrintTo(const KeyCase& row, std::ostream* out) {
  *out << row.name;
}

class MailboxKeys : public ::testing::TestWithParam<KeyCase> {};

TEST_P(MailboxKeys, AllFindTheSameNames) {
  const KeyCase& row = GetParam();
  FakeClock clock;
  MailboxDirectory directory(clock);
  FakeGraph graph;
  graph.answer("/v1.0/users/" + row.path + kUserFields, 200, bob().dump());
  const BearerToken token{"the token"};
  const Mailbox mailbox{MailboxKind::kUser, row.key};
  const Actor actor = caller();
  const std::optional<Names> names = run(directory.resolve(graph, mailbox, actor, token));
  if (row.path.empty()) {
    EXPECT_EQ(names, std::nullopt);
    EXPECT_TRUE(graph.asked().empty());
    return;
  }
  EXPECT_EQ(names, kBobsNames);
  ASSERT_EQ(graph.asked().size(), 1U);
  EXPECT_EQ(graph.asked()[0].token, "the token");
}

INSTANTIATE_TEST_SUITE_P(
    Rows, MailboxKeys,
    ::testing::Values(KeyCase{"upn", "bob@contoso.com", "bob%40contoso.com"},
                      KeyCase{"upn_in_any_case", "BOB@Contoso.com", "BOB%40Contoso.com"},
                      KeyCase{"guid", kBob, kBob},
                      KeyCase{"guid_in_any_case", "B0B00000-0000-4000-8000-00000000000E",
                              "B0B00000-0000-4000-8000-00000000000E"},
                      KeyCase{"guid_at_own_tenant", kBob + "@" + kTenant, kBob},
                      KeyCase{"guid_at_own_tenant_in_any_case",
                              kBob + "@7E000000-0000-4000-8000-00000000000A", kBob},
                      KeyCase{"guid_at_other_tenant", kBob + "@" + kOtherTenant, ""},
                      KeyCase{"alias", "bb@contoso.com", "bb%40contoso.com"},
                      KeyCase{"empty", "", ""}, KeyCase{"dot", ".", ""}, KeyCase{"dots", "..", ""},
                      KeyCase{"too_long", std::string(kNameBytesMax + 1, 'b'), ""}),
    [](const auto& row) { return row.param.name; });

TEST_F(Mailboxes, OfMe) {
  graph.answer("/v1.0/me" + kUserFields, 200, adele().dump());
  EXPECT_EQ(resolve({MailboxKind::kMe, ""}), (Names{kAdele, "adele@contoso.com"}));
}

TEST_F(Mailboxes, OfMeAreKeptApartByCaller) {
  graph.answer("/v1.0/me" + kUserFields, 200, adele().dump());
  ASSERT_TRUE(resolve({MailboxKind::kMe, ""}));
  graph.answer("/v1.0/me" + kUserFields, 200, bob().dump());
  json claims = user_claims();
  claims["oid"] = kBob;
  EXPECT_EQ(resolve({MailboxKind::kMe, ""}, caller(claims)), kBobsNames);
  claims = user_claims();
  claims["tid"] = kOtherTenant;
  EXPECT_EQ(resolve({MailboxKind::kMe, ""}, caller(claims)), std::nullopt);
  EXPECT_EQ(graph.asked().size(), 3U);
}

TEST_F(Mailboxes, OfMeAreUnknownForAnApp) {
  graph.answer("/v1.0/me" + kUserFields, 200, adele().dump());
  EXPECT_EQ(resolve({MailboxKind::kMe, ""}, caller(app_claims())), std::nullopt);
  EXPECT_TRUE(graph.asked().empty());
}

TEST_F(Mailboxes, OfAGroup) {
  const json group = {
      {"id", kBob}, {"mail", "team@contoso.com"}, {"proxyAddresses", {"SMTP:team@contoso.com"}}};
  graph.answer("/v1.0/groups/" + kBob + kGroupFields, 200, group.dump());
  EXPECT_EQ(resolve({MailboxKind::kGroup, kBob}), (Names{kBob, "team@contoso.com"}));
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}), std::nullopt) << "a group's names for a user";
}

TEST_F(Mailboxes, OfNobodyAreUnknown) {
  EXPECT_EQ(resolve({MailboxKind::kNone, ""}), std::nullopt);
  EXPECT_TRUE(graph.asked().empty());
}

TEST_F(Mailboxes, attack_unverified_callers_learn_and_teach_nothing) {
  graph.answer("/v1.0/users/" + kBob + kUserFields, 200, bob().dump());
  Actor actor = caller();
  actor.verification = Verification::kNone;
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}, actor), std::nullopt);
  ASSERT_TRUE(resolve({MailboxKind::kUser, kBob}));
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}, actor), std::nullopt);
  EXPECT_EQ(graph.asked().size(), 1U);
}

TEST_F(Mailboxes, AreKeptApartByTenant) {
  graph.answer("/v1.0/users/" + kBob + kUserFields, 200, bob().dump());
  ASSERT_TRUE(resolve({MailboxKind::kUser, kBob}));
  graph.answer("/v1.0/users/" + kBob + kUserFields, 404, "{}");
  json claims = user_claims();
  claims["tid"] = kOtherTenant;
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}, caller(claims)), std::nullopt);
}

// A token of another tenant can stand beside a certificate: what Graph says to it is about that
// one.
TEST_F(Mailboxes, attack_a_certificates_token_teaches_nothing_to_other_tokens) {
  Actor actor = caller(app_claims());
  actor.verification = Verification::kCertificate;
  actor.token_sha256 = "1";
  graph.answer("/v1.0/users/" + kBob + kUserFields, 200, bob().dump());
  ASSERT_TRUE(resolve({MailboxKind::kUser, kBob}, actor));
  ASSERT_TRUE(resolve({MailboxKind::kUser, kBob}, actor));
  EXPECT_EQ(graph.asked().size(), 1U);
  graph.answer("/v1.0/users/" + kBob + kUserFields, 404, "{}");
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}, caller(app_claims())), std::nullopt);
  actor.token_sha256 = "2";
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}, actor), std::nullopt);
}

TEST_F(Mailboxes, AreRememberedForTenMinutesAndNotLonger) {
  graph.answer("/v1.0/users/" + kBob + kUserFields, 200, bob().dump());
  ASSERT_TRUE(resolve({MailboxKind::kUser, kBob}));
  json renamed = bob();
  renamed["userPrincipalName"] = "robert@contoso.com";
  graph.answer("/v1.0/users/" + kBob + kUserFields, 200, renamed.dump());
  clock.advance(kNamesAgeMax - std::chrono::microseconds(1));
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}), kBobsNames);
  EXPECT_EQ(graph.asked().size(), 1U);
  clock.advance(std::chrono::microseconds(1));
  const std::optional<Names> names = resolve({MailboxKind::kUser, kBob});
  ASSERT_TRUE(names);
  EXPECT_NE(*names, kBobsNames);
  EXPECT_EQ(graph.asked().size(), 2U);
}

TEST(MailboxDirectory, RemembersNoLongerThanToldNorThanTenMinutes) {
  for (const auto& [told, kept] : {std::pair{std::chrono::minutes(2), std::chrono::minutes(2)},
                                   {std::chrono::minutes(60), kNamesAgeMax}}) {
    FakeClock clock;
    MailboxDirectory directory(clock, told);
    FakeGraph graph;
    graph.answer("/v1.0/users/" + kBob + kUserFields, 200, bob().dump());
    const Mailbox mailbox{MailboxKind::kUser, kBob};
    const Actor actor = caller();
    const BearerToken token{"t"};
    ASSERT_TRUE(run(directory.resolve(graph, mailbox, actor, token)));
    clock.advance(kept - std::chrono::microseconds(1));
    ASSERT_TRUE(run(directory.resolve(graph, mailbox, actor, token)));
    EXPECT_EQ(graph.asked().size(), 1U);
    clock.advance(std::chrono::microseconds(1));
    ASSERT_TRUE(run(directory.resolve(graph, mailbox, actor, token)));
    EXPECT_EQ(graph.asked().size(), 2U);
  }
}

TEST_F(Mailboxes, UnknownIsNotRemembered) {
  graph.answer("/v1.0/users/" + kBob + kUserFields, 503, "{}");
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}), std::nullopt);
  graph.answer("/v1.0/users/" + kBob + kUserFields, 200, bob().dump());
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}), kBobsNames);
}

TEST_F(Mailboxes, WithoutAnAnswerAreUnknown) {
  graph.fail(ErrorCode::kTimeout);
  EXPECT_EQ(resolve({MailboxKind::kUser, kBob}), std::nullopt);
}

struct BodyCase {
  std::string name;
  json patch;  // Merged over Bob; null removes. See `body` for what a patch cannot say.
  std::string body;
  int status = 200;
};

void PrintTo(const BodyCase& row, std::ostream* out) {
  *out << row.name;
}

class UnbelievableNames : public ::testing::TestWithParam<BodyCase> {};

TEST_P(UnbelievableNames, AreUnknown) {
  const BodyCase& row = GetParam();
  FakeClock clock;
  MailboxDirectory directory(clock);
  FakeGraph graph;
  json answer = bob();
  answer.merge_patch(row.patch);
  graph.answer("/v1.0/users/" + kBob + kUserFields, row.status,
               row.body.empty() ? answer.dump() : row.body);
  const BearerToken token{"t"};
  const Mailbox mailbox{MailboxKind::kUser, kBob};
  const Actor actor = caller();
  EXPECT_EQ(run(directory.resolve(graph, mailbox, actor, token)), std::nullopt);
  ASSERT_EQ(graph.asked().size(), 1U);
}

const json kNoPatch = json::object();

json many_addresses() {
  json list = json::array();
  for (std::size_t i = 0; i < kNamesMax; ++i) list.push_back("smtp:" + std::to_string(i));
  return list;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, UnbelievableNames,
    ::testing::Values(
        BodyCase{"attack_somebody_elses", {{"id", kAdele}}, ""},
        BodyCase{"no_upn", {{"userPrincipalName", nullptr}}, ""},
        BodyCase{"no_mail", {{"mail", nullptr}}, ""},
        BodyCase{"attack_no_addresses", {{"proxyAddresses", nullptr}}, ""},
        BodyCase{"addresses_null", kNoPatch,
                 R"({"id":")" + kBob +
                     R"(","userPrincipalName":"b@c","mail":null,"proxyAddresses":null})"},
        BodyCase{
            "upn_null", kNoPatch,
            R"({"id":")" + kBob + R"(","userPrincipalName":null,"mail":null,"proxyAddresses":[]})"},
        BodyCase{"mail_a_number", {{"mail", 1}}, ""}, BodyCase{"mail_empty", {{"mail", ""}}, ""},
        BodyCase{"address_a_number", {{"proxyAddresses", json::array({1})}}, ""},
        BodyCase{"addresses_a_text", {{"proxyAddresses", "smtp:bob@contoso.com"}}, ""},
        BodyCase{"too_many", {{"proxyAddresses", many_addresses()}}, ""},
        BodyCase{"too_long", {{"mail", std::string(kNameBytesMax + 1, 'b')}}, ""},
        BodyCase{"duplicate_key", kNoPatch, R"({"id":"x",)" + bob().dump().substr(1)},
        BodyCase{"a_list", kNoPatch, "[" + bob().dump() + "]"},
        BodyCase{"not_json", kNoPatch, "<html></html>"}, BodyCase{"not_200", kNoPatch, "", 203},
        BodyCase{"forbidden", kNoPatch, "", 403}),
    [](const auto& row) { return row.param.name; });

TEST(OwnMailbox, IsTheCallersWhenItsNamesHoldTheirId) {
  const Actor user = caller();
  EXPECT_EQ(is_own_mailbox(Names{"adele@contoso.com", kAdele}, user), true);
  EXPECT_EQ(is_own_mailbox(kBobsNames, user), false);
  EXPECT_EQ(is_own_mailbox(std::nullopt, user), std::nullopt);
  EXPECT_EQ(is_own_mailbox(kBobsNames, caller(app_claims())), std::nullopt);
  Actor unverified = user;
  unverified.verification = Verification::kNone;
  EXPECT_EQ(is_own_mailbox(Names{kAdele}, unverified), std::nullopt);
}

TEST(MailboxDirectory, race_of_workers) {
  FakeClock clock;
  MailboxDirectory directory(clock, kNamesAgeMax, 2);
  std::vector<std::jthread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&] {
      FakeGraph graph;
      graph.answer("/v1.0/users/" + kBob + kUserFields, 200, bob().dump());
      graph.answer("/v1.0/users/bb%40contoso.com" + kUserFields, 200, bob().dump());
      graph.answer("/v1.0/users/bob%40contoso.com" + kUserFields, 200, bob().dump());
      const Actor actor = caller();
      const BearerToken token{"t"};
      for (int i = 0; i < 100; ++i) {
        for (const std::string& key : {kBob, kBobsNames[1], kBobsNames[3]}) {
          const Mailbox mailbox{MailboxKind::kUser, key};
          EXPECT_EQ(run(directory.resolve(graph, mailbox, actor, token)), kBobsNames);
        }
      }
    });
  }
}

}  // namespace
}  // namespace holdfast::identity
