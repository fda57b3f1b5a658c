#include "proxy/upstream.h"

#include <gtest/gtest.h>

#include <semaphore>

#include "tests/support/fake_audit_log.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::proxy {
namespace {

using namespace std::chrono_literals;
using http::test::Loop;
using http::test::Raw;
using http::test::RawServer;

constexpr const char* kHead = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";

// What becomes of a guarded call to a server that answers it so.
ForwardResult forwarded(const RawServer& server, std::chrono::milliseconds answer_timeout,
                        Metrics& metrics) {
  Loop loop;
  http::Client client(loop.executor(), {.origin = server.origin(), .metrics = &metrics});
  GraphUpstream upstream(client, answer_timeout);
  audit::FakeAuditLog log;
  return loop.run([&]() -> Task<ForwardResult> {
    audit::Record intent{.kind = audit::Kind::kIntent, .operation_id = make_uuid_v4()};
    audit::OutboundRequest request{
        .head = {.method = "POST", .target = "/v1.0/me/messages/m1/permanentDelete"}, .body = {}};
    Result<audit::Receipt> receipt =
        co_await log.append_intent(std::move(intent), std::move(request));
    co_return co_await upstream.forward(*std::move(receipt));
  }());
}

TEST(GraphUpstream, AnAnswerThatDripsForTooLongIsUnknown) {
  std::binary_semaphore given_up(0);
  RawServer server([&](Raw& raw, int) {
    raw.read_until("\r\n\r\n");
    raw.send(kHead);
    // Each byte comes in time; all of them never would.
    while (!given_up.try_acquire_for(10ms)) raw.send("x");
  });
  Metrics metrics;
  const ForwardResult result = forwarded(server, 100ms, metrics);
  given_up.release();
  EXPECT_EQ(result.result, audit::CallResult::kUnknown);
  EXPECT_FALSE(result.response.has_value());
  EXPECT_EQ(metrics.refused_by("guarded_answer_timeout").value(), 1u);
  EXPECT_EQ(metrics.refused_by("idle_timeout").value(), 0u);
}

TEST(GraphUpstream, AnAnswerThatComesInPartsIsWaitedFor) {
  RawServer server([&](Raw& raw, int) {
    raw.read_until("\r\n\r\n");
    raw.send(kHead);
    raw.send(std::string(500, 'x'));
    raw.send(std::string(500, 'y'));
  });
  Metrics metrics;
  const ForwardResult result = forwarded(server, 60s, metrics);
  EXPECT_EQ(result.result, audit::CallResult::kExecuted);
  ASSERT_TRUE(result.response.has_value());
  EXPECT_EQ(result.response->content.size(), 1000u);
  EXPECT_EQ(metrics.refused_by("guarded_answer_timeout").value(), 0u);
}

}  // namespace
}  // namespace holdfast::proxy
