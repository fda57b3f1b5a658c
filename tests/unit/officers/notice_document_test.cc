#include "officers/notice_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace holdfast::officers {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const NoticeLinks kLinks{.audit = "https://audit.contoso.com",
                         .proxy = "https://graph.contoso.com"};
constexpr const char* kLink =
    "https://audit.contoso.com/api/v1/approvals/7c6f3f52-0000-4000-8000-000000000001";

approval::Notice notice(const std::string& event) {
  return {.position = 17,
          .event = event,
          .at = testing::FakeClock::kStart,
          .code = "7c6f3f52-0000-4000-8000-000000000001",
          .state = event == "pending" ? "PENDING" : "REJECTED",
          .until = event == "pending" ? "2026-10-05T12:00:00.000000Z" : "",
          .content = nlohmann::json::object(),
          .filing = nlohmann::json::parse(R"({
            "actor": {"token_sha256": "0f3c", "tenant": "T", "app": "App"}, "binding": "b1", "requester": "t/app",
            "operation": {"action": "permanentDelete", "item": "AAMk1", "path": "/users/x",
                          "mailbox": {"kind": "user", "key": "ceo@contoso.com"},
                          "resource": "message"},
            "request": {"justification": "<!channel> see\n*here*", "source_ip": "10.0.0.1",
                        "target": "/v1.0/users/x", "ticket": "CASE-7"},
            "requested_by": {"name": "Cleaner & Co", "accounts": ["t/app"], "names": []},
            "rules": ["executives"],
            "stages": [{"from": "compliance", "group": "3f2c", "count": 2}]})")};
}

TEST(NoticeDocument, says_what_happened_and_no_more) {
  EXPECT_EQ(nlohmann::json::parse(notice_document(notice("pending"), {}, kLinks)),
            nlohmann::json::parse(R"({
        "v": 1, "id": "7c6f3f52-0000-4000-8000-000000000001.17", "event": "pending",
        "at": "2026-10-05T08:00:00.000000Z", "code": "7c6f3f52-0000-4000-8000-000000000001",
        "state": "PENDING", "until": "2026-10-05T12:00:00.000000Z",
        "requested_by": "Cleaner & Co", "requester": "t/app",
        "operation": {"action": "permanentDelete", "resource": "message",
                      "mailbox": {"kind": "user", "key": "ceo@contoso.com"}},
        "stages": [{"from": "compliance", "count": 2}], "rules": ["executives"],
        "justification": "<!channel> see\n*here*", "ticket": "CASE-7",
        "link": "https://audit.contoso.com/api/v1/approvals/7c6f3f52-0000-4000-8000-000000000001"
      })"));
}

TEST(NoticeDocument, names_who_decided_and_why) {
  approval::Notice rejected = notice("rejected");
  rejected.content = {{"by", {{"name", "officer1"}, {"person", "t/u"}}}, {"reason", "no case"}};
  const auto document = nlohmann::json::parse(notice_document(rejected, {}, {}));
  EXPECT_EQ(document["by"], "officer1");
  EXPECT_EQ(document["reason"], "no case");
  EXPECT_FALSE(document.contains("until"));
  EXPECT_FALSE(document.contains("link"));
}

TEST(NoticeDocument, an_app_is_told_of_its_own_and_not_who_decided) {
  const WebhookTarget own{.app = "t/app"};
  approval::Notice rejected = notice("rejected");
  rejected.content = {{"by", {{"name", "officer1"}}}, {"comment", "unsure"}, {"reason", "no case"}};
  EXPECT_TRUE(is_for(rejected, {}));
  EXPECT_TRUE(is_for(rejected, own));
  EXPECT_FALSE(is_for(rejected, {.app = "t/other"}));
  EXPECT_FALSE(is_for(rejected, {.app = "other/app"}));
  const auto document = nlohmann::json::parse(notice_document(rejected, own, kLinks));
  EXPECT_EQ(document["reason"], "no case");
  EXPECT_EQ(document["link"],
            "https://graph.contoso.com/holdfast/approvals/7c6f3f52-0000-4000-8000-000000000001");
  for (const WebhookFormat format :
       {WebhookFormat::kJson, WebhookFormat::kSlack, WebhookFormat::kTeams}) {
    const std::string text = notice_document(rejected, {.format = format, .app = own.app}, kLinks);
    EXPECT_THAT(text, AllOf(Not(HasSubstr("officer1")), Not(HasSubstr("unsure"))));
    EXPECT_THAT(text, HasSubstr("no case"));
  }
}

TEST(NoticeDocument, an_app_is_not_told_what_a_review_found) {
  approval::Notice reviewed = notice("reviewed");
  reviewed.content = {{"by", {{"name", "officer1"}}}, {"finding", "in order"}};
  const auto told = nlohmann::json::parse(notice_document(reviewed, {}, kLinks));
  EXPECT_EQ(told["finding"], "in order");
  EXPECT_EQ(told["link"],
            "https://audit.contoso.com/api/v1/reviews/7c6f3f52-0000-4000-8000-000000000001");
  const auto own = nlohmann::json::parse(notice_document(reviewed, {.app = "t/app"}, kLinks));
  EXPECT_FALSE(own.contains("finding"));
  EXPECT_FALSE(own.contains("link"));
}

TEST(NoticeDocument, slack_sees_no_mention_and_no_link_but_ours) {
  const auto document = nlohmann::json::parse(
      notice_document(notice("pending"), {.format = WebhookFormat::kSlack}, kLinks));
  EXPECT_EQ(document["mrkdwn"], false);
  EXPECT_EQ(document["text"], std::string("Approval needed\n"
                                          "Call: permanentDelete\n"
                                          "Of: message\n"
                                          "Mailbox: ceo@contoso.com\n"
                                          "Asked for by: Cleaner &amp; Co\n"
                                          "Justification: &lt;!channel&gt; see *here*\n"
                                          "Ticket: CASE-7\n"
                                          "Until: 2026-10-05T12:00:00.000000Z\n"
                                          "Code: 7c6f3f52-0000-4000-8000-000000000001\n<") +
                                  kLink + ">");
}

TEST(NoticeDocument, teams_gets_a_card_that_can_only_be_opened) {
  const auto document = nlohmann::json::parse(
      notice_document(notice("pending"), {.format = WebhookFormat::kTeams}, kLinks));
  EXPECT_EQ(document["type"], "message");
  const nlohmann::json& card = document["attachments"][0]["content"];
  EXPECT_EQ(card["type"], "AdaptiveCard");
  EXPECT_EQ(
      card["actions"],
      nlohmann::json::array({{{"type", "Action.OpenUrl"}, {"title", "Show"}, {"url", kLink}}}));
  bool justified = false;
  for (const nlohmann::json& block : card["body"]) {
    EXPECT_EQ(block["type"], "RichTextBlock") << "other blocks read Markdown";
    justified |= block["inlines"].back()["text"] == "<!channel> see\n*here*";
  }
  EXPECT_TRUE(justified);
  EXPECT_THAT(card.dump(), Not(HasSubstr("AAMk1")));
}

// printf %s '1791187200.{"v":1}' | openssl dgst -sha256 -hmac 'a secret of tests'
TEST(NoticeSignature, is_what_openssl_makes) {
  EXPECT_EQ(notice_signature("a secret of tests", 1'791'187'200, R"({"v":1})"),
            "t=1791187200,v1=e255e94b92eaa8557a11922ec26b7ec5e4aa6ba743ec5bd621b9c0ccceaf43fb");
}

}  // namespace
}  // namespace holdfast::officers
