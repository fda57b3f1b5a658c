#include "approval/requirements.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace holdfast::approval {
namespace {

std::string problem(const Requirements& requirements, std::optional<std::string> justification,
                    std::optional<std::string> ticket) {
  const Status status = check_requirements(requirements, justification, ticket);
  return status.ok() ? "" : status.error().message;
}

TEST(Requirements, NothingAskedNothingNeeded) {
  EXPECT_EQ(problem({}, std::nullopt, std::nullopt), "");
}

TEST(Requirements, WhatNobodyCanReadIsNoJustification) {
  const Requirements one{.justification_min = 1, .ticket_patterns = {}};
  for (const char* text : {"", "  \r\n", "\u200b", "\u00a0\u3000\u2028", "\ufeff \u2060",
                           "\u3164\u115f", "\u202e", "\U000e0041"}) {
    EXPECT_EQ(problem(one, text, std::nullopt),
              "x-msft-approval-justification must have at least 1 characters, it has 0");
  }
  const Requirements five{.justification_min = 5, .ticket_patterns = {}};
  EXPECT_EQ(problem(five, "\u00a0a\u200bb cd\u200b", std::nullopt), "");
  EXPECT_EQ(problem(five, "a\u200b\u200b\u200bd", std::nullopt),
            "x-msft-approval-justification must have at least 5 characters, it has 2");
}

TEST(Requirements, JustificationIsCountedInCharacters) {
  const Requirements five{.justification_min = 5, .ticket_patterns = {}};
  EXPECT_EQ(problem(five, "größe", std::nullopt), "");
  EXPECT_EQ(problem(five, "größ", std::nullopt),
            "x-msft-approval-justification must have at least 5 characters, it has 4");
  EXPECT_EQ(problem(five, "  ab \n\t  ", std::nullopt),
            "x-msft-approval-justification must have at least 5 characters, it has 2");
  EXPECT_EQ(problem(five, std::nullopt, std::nullopt),
            "x-msft-approval-justification is required, with at least 5 characters");
}

TEST(Requirements, ATicketMatchesEveryPatternAsAWhole) {
  const Requirements both{.justification_min = 0, .ticket_patterns = {"CASE-[0-9]+", ".*7"}};
  EXPECT_EQ(problem(both, std::nullopt, "CASE-17"), "");
  EXPECT_EQ(problem(both, std::nullopt, "CASE-18"), "Holdfast-Ticket must match .*7");
  EXPECT_EQ(problem(both, std::nullopt, "XCASE-17"), "Holdfast-Ticket must match CASE-[0-9]+");
  EXPECT_EQ(problem(both, std::nullopt, std::nullopt),
            "Holdfast-Ticket is required, matching CASE-[0-9]+");
}

// With a matcher that tries one way after the other these would take longer than anybody waits.
TEST(Requirements, NoTicketTakesLongToMatch) {
  for (const char* pattern : {"([A-Z]+-?)+[0-9]+", "(a|A)*(A|a)*(a|A)*x", "(A?){200}A{200}"}) {
    EXPECT_TRUE(check_ticket_pattern(pattern).ok()) << pattern;
    const Requirements one{.justification_min = 0, .ticket_patterns = {pattern}};
    EXPECT_NE(problem(one, std::nullopt, std::string(199, 'A') + "-"), "");
  }
}

TEST(Requirements, WhatIsPresentHasLimits) {
  EXPECT_EQ(problem({}, std::string(1024, 'a'), std::nullopt), "");
  EXPECT_EQ(problem({}, std::string(1025, 'a'), std::nullopt),
            "x-msft-approval-justification must have at most 1024 characters");
  EXPECT_EQ(problem({}, std::nullopt, std::string(256, 'a')), "");
  EXPECT_EQ(problem({}, std::nullopt, std::string(257, 'a')),
            "Holdfast-Ticket must be plain text of at most 256 bytes");
  for (const char* ticket : {"a\nb", "a\x80z"}) {
    EXPECT_EQ(problem({}, std::nullopt, ticket),
              "Holdfast-Ticket must be plain text of at most 256 bytes");
  }
}

TEST(Requirements, JustificationHeaderIsBase64OfUtf8) {
  EXPECT_EQ(decode_justification(to_base64("größe")).value(), "größe");
  std::string longest;
  for (int i = 0; i < 1024; ++i) longest += "\xF0\x9F\x98\x80";
  EXPECT_TRUE(decode_justification(to_base64(longest)).ok());
  EXPECT_FALSE(decode_justification(to_base64(longest + "a")).ok());
  EXPECT_FALSE(decode_justification(to_base64(std::string(1025, 'a'))).ok());
  EXPECT_FALSE(decode_justification("not base64!").ok());
  EXPECT_FALSE(decode_justification(to_base64("\xff")).ok());
  EXPECT_FALSE(decode_justification(to_base64(std::string(1, '\0'))).ok());
}

}  // namespace
}  // namespace holdfast::approval
