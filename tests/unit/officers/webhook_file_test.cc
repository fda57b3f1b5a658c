#include "officers/webhook_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/files.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::officers {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kTwo = R"(webhooks:
  - name: tickets
    url: https://tickets.contoso.com/hooks
    secret: 0123456789abcdef
  - name: channel
    url: https://hooks.slack.com/services/T0/B0/key
    format: slack
    app: TENANT/App-1
)";

std::string refusal_of_file(const std::string& yaml) {
  const auto targets = parse_webhooks(yaml, "webhooks.yaml");
  return targets.ok() ? "" : targets.error().message;
}

TEST(WebhookFile, names_who_is_told_and_how) {
  const auto targets = parse_webhooks(kTwo, "webhooks.yaml");
  ASSERT_TRUE(targets.ok()) << targets.error().message;
  ASSERT_EQ(targets->size(), 2U);
  EXPECT_EQ((*targets)[0].name, "tickets");
  EXPECT_EQ((*targets)[0].url, "https://tickets.contoso.com/hooks");
  EXPECT_EQ((*targets)[0].secret, "0123456789abcdef");
  EXPECT_EQ((*targets)[0].format, WebhookFormat::kJson);
  EXPECT_EQ((*targets)[1].format, WebhookFormat::kSlack);
  EXPECT_EQ((*targets)[1].secret, "");
  EXPECT_EQ((*targets)[0].app, "");
  EXPECT_EQ((*targets)[1].app, "tenant/app-1");
}

TEST(WebhookFile, what_is_wrong_is_named_without_a_secret) {
  const std::string twice =
      std::string(kTwo) + "  - name: tickets\n    url: https://x.test\n    format: teams\n";
  EXPECT_EQ(refusal_of_file(twice), "webhooks.yaml:9: /webhooks/2/name: is used twice");
  EXPECT_THAT(refusal_of_file("webhooks:\n  - name: a\n    url: https://x.test\n"),
              HasSubstr("is needed with the format json"));
  EXPECT_THAT(
      refusal_of_file("webhooks:\n  - name: a\n    url: https://x.test/key\n    colour: red\n"),
      HasSubstr("colour"));
  for (const char* yaml :
       {"webhooks:\n  - name: a\n    url: https://x.test/key\n    secret: short-key\n",
        "webhooks:\n  - name: A B\n    url: https://x.test/key\n    format: slack\n",
        "webhooks:\n  - name: a\n    url: https://x.test/key\n    format: xml\n",
        "webhooks:\n  - name: a\n    url: https://x.test/key\n    format: slack\n    app: one\n"}) {
    EXPECT_THAT(refusal_of_file(yaml), HasSubstr("webhooks.yaml:")) << yaml;
    EXPECT_THAT(refusal_of_file(yaml), Not(HasSubstr("key")));
  }
}

TEST(WebhookFile, what_is_told_is_not_sent_in_the_clear) {
  const auto refusal = [](const std::string& url) {
    return refusal_of_file("webhooks:\n  - name: a\n    url: " + url + "\n    format: slack\n");
  };
  for (const char* url : {"https://x.test", "https://x.test:8443/a?b=http://y",
                          "http://127.0.0.1:80/a", "http://localhost/a", "http://[::1]:8080"}) {
    EXPECT_EQ(refusal(url), "");
  }
  for (const char* url : {"http://x.test/key", "http://127.0.0.1.x.test/key", "ftp://x.test/key",
                          "x.test/key", "https:///key", "http://a@127.0.0.1/key", "\"\""}) {
    EXPECT_EQ(refusal(url),
              "webhooks.yaml:3: /webhooks/0/url: must begin with https://, or with http:// "
              "and an address of this machine");
  }
}

TEST(WebhookFile, is_for_its_owner_alone) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/webhooks.yaml";
  ASSERT_TRUE(create_private_file(path, kTwo).ok());
  EXPECT_TRUE(load_webhooks(path).ok());
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  EXPECT_EQ(load_webhooks(path).error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace holdfast::officers
