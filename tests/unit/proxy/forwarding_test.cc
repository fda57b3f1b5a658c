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
  ASSERT_EQ(forwarded.headers.size(), 1U);
  EXPECT_EQ(forwarded.headers.get("accept"), "*/*");
}

TEST(ForwardedHead, DropsMethodOverridesInAnyCase) {
  const http::RequestHead forwarded = forwarded_head(head_with(
      {{"x-http-method-override", "PUT"}, {"X-HTTP-METHOD", "PUT"}, {"X-Method-Override", "PUT"}}));
  EXPECT_EQ(forwarded.headers.size(), 0U);
}

TEST(ForwardedHead, KeepsTheApprovalHeadersThatIntuneUses) {
  const http::RequestHead forwarded = forwarded_head(head_with(
      {{"x-msft-approval-code", "c"}, {"holdfast-ticket", "CASE-1"}, {"Holdfast-X", "1"}}));
  EXPECT_EQ(forwarded.headers.get("x-msft-approval-code"), "c");
  EXPECT_EQ(forwarded.headers.size(), 1U);
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
