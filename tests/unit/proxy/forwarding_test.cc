#include "proxy/forwarding.h"

#include <gtest/gtest.h>

namespace holdfast::proxy {
namespace {

http::RequestHead head_with(http::Headers headers) {
  return {.method = "POST",
          .target = "/v1.0/me/messages/m1/permanentDelete",
          .minor_version = 1,
          .headers = std::move(headers)};
}

std::string names_of(const http::RequestHead& head) {
  std::string all;
  for (const http::Header& field : head.headers) all += field.name + ";";
  return all;
}

TEST(ForwardedHead, DropsWhatBelongsToOneConnection) {
  const http::RequestHead forwarded = forwarded_head(head_with({{"Host", "proxy"},
                                                                {"Connection", "close, X-Named"},
                                                                {"X-Named", "1"},
                                                                {"Keep-Alive", "timeout=5"},
                                                                {"TE", "trailers"},
                                                                {"Proxy-Authorization", "x"},
                                                                {"Expect", "100-continue"},
                                                                {"Content-Length", "0"},
                                                                {"Accept", "*/*"}}));
  EXPECT_EQ(names_of(forwarded), "Accept;Via;");
}

TEST(ForwardedHead, LetsConnectionTakeAwayNothingThatOthersNeed) {
  const http::RequestHead forwarded = forwarded_head(
      head_with({{"Connection", "Authorization, if-match, PREFER, content-type, X-Mine"},
                 {"Connection", "client-request-id, cookie"},
                 {"Authorization", "Bearer t"},
                 {"If-Match", "e"},
                 {"Prefer", "IdType=\"ImmutableId\""},
                 {"Content-Type", "application/json"},
                 {"client-request-id", "c"},
                 {"Cookie", "a=b"},
                 {"X-Mine", "1"}}));
  EXPECT_EQ(names_of(forwarded),
            "Authorization;If-Match;Prefer;Content-Type;client-request-id;Cookie;Via;");
}

TEST(ForwardedHead, SaysThatItCameThroughHere) {
  http::RequestHead head = head_with({{"Via", "1.1 first"}});
  EXPECT_EQ(forwarded_head(head).headers.joined("Via"), "1.1 first, 1.1 holdfast");
  head.minor_version = 0;
  EXPECT_EQ(forwarded_head(head).headers.joined("Via"), "1.1 first, 1.0 holdfast");
  EXPECT_EQ(forwarded_head(head).minor_version, 1);
}

TEST(ForwardedHead, DropsWhatAsksForAnotherTargetOrHost) {
  const http::RequestHead forwarded =
      forwarded_head(head_with({{"X-Original-URL", "/v1.0/me/messages/m/permanentDelete"},
                                {"x-rewrite-url", "/"},
                                {"X-Forwarded-Host", "evil"},
                                {"X-Original-Host", "evil"},
                                {"Forwarded", "host=evil"},
                                {"X_Original_URL", "/"},
                                {"X_Forwarded_Host", "evil"},
                                {"X-Forwarded-For", "192.0.2.1"}}));
  EXPECT_EQ(names_of(forwarded), "X-Forwarded-For;Via;");
}

TEST(ForwardedHead, CountsDownHowFarOptionsMayGo) {
  http::RequestHead head = head_with({{"Max-Forwards", "5"}});
  EXPECT_EQ(forwarded_head(head).headers.get("Max-Forwards"), "5");
  head.method = "OPTIONS";
  EXPECT_EQ(forwarded_head(head).headers.get("Max-Forwards"), "4");
  EXPECT_FALSE(ends_here(head));
  head.headers.set("Max-Forwards", "0");
  EXPECT_TRUE(ends_here(head));
  head.headers.set("Max-Forwards", "x");
  EXPECT_FALSE(ends_here(head));
  EXPECT_EQ(forwarded_head(head).headers.get("Max-Forwards"), "x");
}

TEST(PassedHead, AsksForAnAnswerWhoseLinksCanBeRead) {
  const auto coding_for = [](const char* target) {
    http::RequestHead head = head_with({{"Accept-Encoding", "gzip"}});
    head.target = target;
    return passed_head(head).headers.joined("Accept-Encoding");
  };
  for (const char* target : {"/v1.0/me/messages", "/v1.0/me?a=/content", "/v1.0/contents", "/"}) {
    EXPECT_EQ(coding_for(target), "identity") << target;
  }
  for (const char* target : {"/v1.0/me/photo/$value", "/v1.0/me/messages/1/%24Value?a=b",
                             "/v1.0/me/drive/items/1/content"}) {
    EXPECT_EQ(coding_for(target), "gzip") << target;
  }
}

TEST(AsksForBytes, KnowsFilesByTheLastSegment) {
  for (const char* target :
       {"/v1.0/me/photo/$value", "/v1.0/me/photo/%24VALUE", "/v1.0/me/drive/items/1/content",
        "/v1.0/me/drive/items/1/Content", "/v1.0/me/drive/items/1/conten%74",
        "/v1.0/me/drive/items/1/content/", "/v1.0/me/drive/items/1/content//?a=b",
        "/v1.0/drives/1/items/2/contentStream", "/v1.0/drives/1/items/2/CONTENTSTREAM/",
        "/v1.0/drives/1%/items/2/content", "/v1.0/me/drive/root:/a/b.json:/content",
        "/v1.0/me/drive/root:/content:/content/", "/v1.0/drives/1/items/2:/b.json:/contentStream",
        "/v1.0/drives/1/items/root%3A%2Fa%2Fb.json%3A/content",
        "/v1.0/sites/contoso.sharepoint.com:/teams/a:/drive/root:/b.json:/content",
        "/v1.0/chats/19:a@thread.v2/messages/1/hostedContents/2/$value"}) {
    EXPECT_TRUE(asks_for_bytes(target)) << target;
  }
  for (const char* target :
       {"/", "", "//", "/v1.0/me?a=/content", "/v1.0/me/contents", "/v1.0/me/contentStreams",
        "/v1.0/me/content/children", "/v1.0/me/%24values",
        "/v1.0/me/drive/root:/content?$expand=children", "/v1.0/me/drive/root:/folder/content",
        "/v1.0/me/drive/root:/folder/content/", "/v1.0/me/drive/root:/content:",
        "/v1.0/me/drive/root:/a:/children", "/v1.0/drives/1/items/2:/contentStream",
        "/v1.0/drives/1/items/root%3A%2Fcontent", "/v1.0/me/drive/root%3a/$value",
        "/v1.0/sites/contoso.sharepoint.com:/teams/a:/drive/root:/content"}) {
    EXPECT_FALSE(asks_for_bytes(target)) << target;
  }
}

TEST(ForwardedHead, DropsMethodOverridesInAnySpelling) {
  const http::RequestHead forwarded = forwarded_head(head_with({{"x-http-method-override", "PUT"},
                                                                {"X-HTTP-METHOD", "PUT"},
                                                                {"X-Method-Override", "PUT"},
                                                                {"X_HTTP_Method_Override", "PUT"},
                                                                {"X-HTTP_Method", "PUT"}}));
  EXPECT_EQ(names_of(forwarded), "Via;");
}

TEST(ForwardedHead, KeepsTheApprovalHeadersThatIntuneUses) {
  const http::RequestHead forwarded = forwarded_head(head_with(
      {{"x-msft-approval-code", "c"}, {"holdfast-ticket", "CASE-1"}, {"Holdfast-X", "1"}}));
  EXPECT_EQ(names_of(forwarded), "x-msft-approval-code;Via;");
}

TEST(ForwardedHead, KeepsOrderDuplicatesAndTheRawTarget) {
  const http::RequestHead forwarded =
      forwarded_head(head_with({{"Prefer", "a"}, {"X-A", "1"}, {"prefer", "b"}}));
  EXPECT_EQ(forwarded.target, "/v1.0/me/messages/m1/permanentDelete");
  EXPECT_EQ(forwarded.headers.joined("Prefer"), "a, b");
  EXPECT_EQ(forwarded.headers.begin()->value, "a");
}

Call call_with(http::Headers headers) {
  return begin_call({.head = head_with(std::move(headers)), .peer = {}, .body = http::empty_body()},
                    "192.0.2.1", WallTime{});
}

TEST(OutboundRequest, HidesApprovalHeadersFromGraph) {
  const audit::OutboundRequest request = outbound_request(
      call_with({{"X-MSFT-Approval-Code", "c"}, {"x-msft-approval-justification", "anVzdA=="}}));
  EXPECT_EQ(request.head.headers.count("x-msft-approval-code"), 0U);
  EXPECT_EQ(request.head.headers.count("x-msft-approval-justification"), 0U);
}

TEST(OutboundRequest, JoinsGraphsActivityLog) {
  const Call named = call_with({{"client-request-id", "abc-1"}});
  EXPECT_EQ(outbound_request(named).head.headers.joined("client-request-id"), "abc-1");
  const Call unnamed = call_with({});
  EXPECT_EQ(outbound_request(unnamed).head.headers.joined("client-request-id"),
            unnamed.client_request_id);
  EXPECT_FALSE(unnamed.client_request_id.empty());
}

TEST(OutboundRequest, AsksForAnAnswerThatCanBeRecorded) {
  const Call call = call_with({{"Accept-Encoding", "gzip"}});
  EXPECT_EQ(outbound_request(call).head.headers.joined("Accept-Encoding"), "identity");
}

TEST(BeginCall, DoesNotEchoWhatIsNoId) {
  for (const char* id : {"", "a b", "\xC3\xA9"}) {
    const Call call = call_with({{"client-request-id", id}});
    EXPECT_FALSE(call.client_sent_request_id) << id;
    EXPECT_EQ(call.client_request_id, call.request_id) << id;
  }
  EXPECT_FALSE(call_with({{"client-request-id", std::string(129, 'a')}}).client_sent_request_id);
}

}  // namespace
}  // namespace holdfast::proxy
