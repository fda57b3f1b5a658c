#include "proxy/recall_answer.h"

#include <gtest/gtest.h>

namespace holdfast::proxy {
namespace {

// As Graph documents it: an object that holds a string and no member.
constexpr std::string_view kDocumented =
    "{\n  \"Successfully submitted recall request to Hub server "
    "LV8PR00MB1800.NAMPRD00.PROD.OUTLOOK.COM, "
    "MessageId is CSRUBSZRRANU4.HEXMGAAG0OPH2@dm6pr00mb0830.\"\n}";

TEST(RecallAnswer, ReadsHubServerAndMessageId) {
  const auto answer = parse_recall_answer(kDocumented);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->hub_server, "LV8PR00MB1800.NAMPRD00.PROD.OUTLOOK.COM");
  EXPECT_EQ(answer->message_id, "CSRUBSZRRANU4.HEXMGAAG0OPH2@dm6pr00mb0830");
}

TEST(RecallAnswer, RefusesOtherText) {
  for (const std::string_view body :
       {"", "{}", "{\"Successfully submitted recall request to Hub server H\"}",
        "{\"Successfully submitted recall request to Hub server H, MessageId is M",
        "{\"Successfully submitted recall request to Hub server , MessageId is M.\"}",
        "{\"Successfully submitted recall request to Hub server H\n, MessageId is M.\"}",
        "{\"Successfully submitted recall request to Hub server H, MessageId is .\"}"}) {
    EXPECT_EQ(parse_recall_answer(body), std::nullopt) << body;
  }
}

TEST(RecallAnswer, RefusesNamesWithoutBound) {
  const std::string body =
      "recall request to Hub server " + std::string(600, 'h') + ", MessageId is M.\"";
  EXPECT_EQ(parse_recall_answer(body), std::nullopt);
}

}  // namespace
}  // namespace holdfast::proxy
