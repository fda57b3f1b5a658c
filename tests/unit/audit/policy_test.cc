#include "audit/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

WitnessKey witness_key(const std::string& name) {
  static std::map<std::string, Ed25519PublicKey> keys;
  if (!keys.contains(name)) keys[name] = SigningKey::generate().public_key();
  return {.name = name, .public_key = keys[name]};
}

std::string log_line() {
  return "log " + VerifierKey{.name = "audit.example/log", .public_key = {}}.text() + "\n";
}

std::string witness_line(const std::string& name, const std::string& url = "") {
  return "witness " + name + " " + witness_key(name).text() + (url.empty() ? "" : " " + url) + "\n";
}

std::vector<Cosignature> of(const std::vector<std::string>& witnesses) {
  std::vector<Cosignature> made;
  for (const std::string& name : witnesses) {
    made.push_back({.witness = name, .key_id = witness_key(name).key_id(), .time_s = 1});
  }
  return made;
}

TEST(Policy, names_logs_and_witnesses) {
  const auto policy = Policy::parse("# ours\n\n \t\n" + log_line() +
                                    witness_line("north", "https://north.example/w") +
                                    witness_line("south") + "quorum none\n");
  ASSERT_TRUE(policy.ok()) << policy.error().message;
  ASSERT_EQ(policy->logs().size(), 1U);
  EXPECT_EQ(policy->logs()[0].name, "audit.example/log");
  ASSERT_EQ(policy->witnesses().size(), 2U);
  EXPECT_EQ(policy->witnesses()[0].url, "https://north.example/w");
  EXPECT_EQ(policy->witnesses()[1].url, "");
  EXPECT_THAT(policy->witness_keys(), ElementsAre(witness_key("north"), witness_key("south")));
  EXPECT_TRUE(policy->is_satisfied_by({}));
}

// The specification's example: two of three X and any of three Y.
TEST(Policy, a_quorum_of_groups) {
  std::string text;
  for (const char* name : {"X1", "X2", "X3", "Y1", "Y2", "Y3"}) text += witness_line(name);
  text += "group X 2 X1 X2 X3\ngroup Y any Y1 Y2 Y3\ngroup both all X Y\nquorum both\n";
  const auto policy = Policy::parse(text);
  ASSERT_TRUE(policy.ok()) << policy.error().message;
  EXPECT_TRUE(policy->is_satisfied_by(of({"X1", "X3", "Y2"})));
  EXPECT_TRUE(policy->is_satisfied_by(of({"X1", "X2", "X3", "Y1", "Y2", "Y3"})));
  EXPECT_FALSE(policy->is_satisfied_by(of({"X1", "Y1", "Y2", "Y3"})));
  EXPECT_FALSE(policy->is_satisfied_by(of({"X1", "X2", "X3"})));
  EXPECT_FALSE(policy->is_satisfied_by(of({"X1", "X1", "Y1"})));
  EXPECT_FALSE(policy->is_satisfied_by({}));
  // By name and key.
  auto forged = of({"X1", "X3", "Y2"});
  forged[0].key_id ^= 1;
  EXPECT_FALSE(policy->is_satisfied_by(forged));
}

TEST(Policy, one_witness_can_be_the_quorum) {
  const auto policy = Policy::parse(witness_line("a") + witness_line("b") + "quorum b\n");
  ASSERT_TRUE(policy.ok());
  EXPECT_TRUE(policy->is_satisfied_by(of({"b"})));
  EXPECT_FALSE(policy->is_satisfied_by(of({"a"})));
}

TEST(Policy, what_is_wrong_is_said_by_line) {
  const std::string a = witness_line("a");
  const std::string b = witness_line("b");
  struct Case {
    std::string text;
    std::string says;
  };
  for (const Case& bad : std::vector<Case>{
           {"", "there is no quorum line"},
           {a, "there is no quorum line"},
           {"quorum none", "line 1: the last line does not end"},
           {a + "quorum none\nquorum a\n", "line 3: a second quorum"},
           {"quorum a\n" + a, "line 1: a is defined nowhere before"},
           {"quorum a b\n", "line 1: a quorum is"},
           {a + a, "line 2: the name a is taken"},
           {"witness none " + witness_key("x").text() + "\n", "line 1: the name none is taken"},
           {a + "witness c " + witness_key("a").text() + "\n", "line 2: the same key twice"},
           {log_line() + log_line(), "line 2: the same key twice"},
           {"witness a\n", "line 1: a witness is"},
           {"witness a key\n", "line 1: a verifier key is"},
           {"witness a " + VerifierKey{.name = "a", .public_key = {}}.text() + "\n",
            "line 1: not the verifier key of a witness"},
           {"log " + witness_key("a").text() + "\n", "line 1: not the verifier key of an Ed25519"},
           {"log\n", "line 1: a log is"},
           {a + "group g all\n", "line 2: a group is"},
           {a + "group g all b\n", "line 2: b is defined nowhere before"},
           {a + "group g all g\n", "line 2: g is defined nowhere before"},
           {a + "group g 2 a\n", "line 2: a threshold is"},
           {a + "group g 0 a\n", "line 2: a threshold is"},
           {a + "group g -1 a\n", "line 2: a threshold is"},
           {a + b + "group g any a a\n", "line 3: a is in a group already"},
           {a + b + "group g any a\ngroup h any a b\n", "line 4: a is in a group already"},
           {"witnes a b\n", "line 1: a line is a log"},
           {"# \x7F\nquorum none\n", "line 1: a control character"},
           {"quorum none\r\n", "line 1: a control character"},
       }) {
    const auto policy = Policy::parse(bad.text);
    ASSERT_FALSE(policy.ok()) << bad.text;
    EXPECT_THAT(policy.error().message, HasSubstr(bad.says)) << bad.text;
  }
}

}  // namespace
}  // namespace holdfast::audit
