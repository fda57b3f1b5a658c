#include "officers/hold_pages.h"

#include <gtest/gtest.h>

#include "approval/list_file.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

Result<HoldPage> page_of(const std::string& body, const std::string& graph = "https://g.example") {
  return read_hold_page(body, *http::parse_origin(graph));
}

std::string next_of(const std::string& link, const std::string& graph = "https://g.example") {
  const Result<HoldPage> page =
      page_of(json{{"value", json::array()}, {"@odata.nextLink", link}}.dump(), graph);
  return page.ok() ? page->next : "none";
}

TEST(HoldPages, a_page_is_its_values_and_where_the_next_one_is) {
  const Result<HoldPage> page =
      page_of(R"({"@odata.context":"c","value":[{"id":"1"},{"id":"2"}]})");
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->values.size(), 2U);
  EXPECT_EQ(page->next, "");
  EXPECT_EQ(next_of("https://g.example/v1.0/x?$skiptoken=a%20b"), "/v1.0/x?$skiptoken=a%20b");
}

TEST(HoldPages, links_stay_at_graph) {
  EXPECT_EQ(next_of("HTTPS://G.EXAMPLE:443/x"), "/x");
  EXPECT_EQ(next_of("http://localhost:9443/x", "http://localhost:9443"), "/x");
  for (const char* link : {
           "https://evil.example/x",
           "https://g.example.evil.example/x",
           "https://g.example@evil.example/x",
           "https://g.example:8443/x",
           "http://g.example/x",
           "https://g.example\\@evil.example/x",
           "https://g.example?x",
           "https://g.example",
           "/v1.0/x",
           "//evil.example/x",
           "https://g.example/x y",
           "https://g.example/x\r\nAuthorization: none",
           "https://g.example/x#y",
           "",
       }) {
    EXPECT_EQ(next_of(link), "none") << link;
  }
  EXPECT_EQ(next_of("https://g.example/" + std::string(9000, 'x')), "none");
}

TEST(HoldPages, what_is_no_page_is_an_error_and_no_empty_list) {
  for (const char* body : {
           "",
           "{}",
           "[]",
           "null",
           "<html></html>",
           R"({"value":null})",
           R"({"value":{}})",
           R"({"value":["a@contoso.com"]})",
           R"({"value":[null]})",
           R"({"value":[]} )"
           "x",
           R"({"value":[{"id":"1"}],"value":[]})",
           R"({"value":[{"id":"1"})",
           R"({"value":[],"@odata.nextLink":null})",
           R"({"value":[],"@odata.nextLink":7})",
           R"({"error":{"code":"Forbidden"}})",
       }) {
    const Result<HoldPage> page = page_of(body);
    ASSERT_FALSE(page.ok()) << body;
    EXPECT_EQ(page.error().code, ErrorCode::kInvalid) << body;
  }
}

TEST(HoldPages, a_source_is_a_mailbox_whatever_its_state) {
  for (const char* more : {"{}", R"({"holdStatus":"removing"})", R"({"includedSources":"mailbox"})",
                           R"({"includedSources":"mailbox,site"})", R"({"includedSources":null})",
                           R"({"includedSources":"unknownFutureValue"})"}) {
    json source = json::parse(more);
    source["email"] = "AlexW@Contoso.com";
    const auto mailbox = held_mailbox(source);
    ASSERT_TRUE(mailbox.ok()) << more;
    EXPECT_EQ(*mailbox, "alexw@contoso.com") << more;
  }
  const auto site = held_mailbox({{"email", "a@contoso.com"}, {"includedSources", "site"}});
  ASSERT_TRUE(site.ok());
  EXPECT_EQ(*site, std::nullopt);
}

TEST(HoldPages, a_source_without_an_address_is_named) {
  for (const char* email :
       {R"(null)", R"("")", R"("alex")", R"("@contoso.com")", R"("alex@")", R"("a b@contoso.com")",
        R"("a@contoso.com\nb@contoso.com")", R"("<a@contoso.com>")", R"("a,b@contoso.com")",
        R"("a@b@contoso.com")", R"("a@contoso.com.")", R"("sip:a@contoso.com")",
        R"("a\u0085b@contoso.com")", "7", R"(["a@contoso.com"])"}) {
    const auto mailbox = held_mailbox({{"id", "source-7"}, {"email", json::parse(email)}});
    ASSERT_FALSE(mailbox.ok()) << email;
    EXPECT_NE(mailbox.error().message.find("source-7"), std::string::npos) << email;
  }
  EXPECT_FALSE(held_mailbox({{"id", "source-7"}}).ok());
  EXPECT_FALSE(held_mailbox({{"email", std::string(400, 'a') + "@contoso.com"}}).ok());
}

TEST(HoldPages, only_a_case_that_is_closed_is) {
  EXPECT_TRUE(is_closed_case({{"status", "closed"}}));
  for (const char* status : {"active", "closing", "closedWithError", "pendingDelete", "unknown"}) {
    EXPECT_FALSE(is_closed_case({{"status", status}})) << status;
  }
  EXPECT_FALSE(is_closed_case(json::object()));
  EXPECT_FALSE(id_in(json::object()).ok());
  EXPECT_FALSE(id_in({{"id", 7}}).ok());
}

TEST(HoldPages, the_list_is_sorted_and_read_as_it_was_meant) {
  EXPECT_EQ(hold_list({}).find('@'), std::string::npos);
  const auto nobody = approval::parse_list(hold_list({}));
  ASSERT_TRUE(nobody.ok());
  EXPECT_TRUE(nobody->empty());
  const std::set<std::string> mailboxes = {"#ext@contoso.com", "a&b@contoso.com",
                                           "o'neil@contoso.com", "q\"x\"@contoso.com"};
  const auto entries = approval::parse_list(hold_list(mailboxes));
  ASSERT_TRUE(entries.ok());
  std::set<std::string> read;
  for (const approval::ListEntry& entry : *entries) read.insert(entry.text);
  EXPECT_EQ(read, mailboxes);
}

}  // namespace
}  // namespace holdfast::officers
