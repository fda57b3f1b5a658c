#include "http/tunnel.h"

#include <gtest/gtest.h>

#include "http/client.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {
namespace {

using namespace std::chrono_literals;

const RequestHead kPost{.method = "POST", .target = "/guarded"};

struct Outcome {
  Progress progress;
  ErrorCode code;
  std::string message;  // Or the answer's content.
};

Outcome send(Loop& loop, const std::string& proxy, const std::string& origin,
             const std::string& credentials = "", const std::string& ca_file = "") {
  Client client(loop.executor(), {.origin = origin,
                                  .ca_file = ca_file,
                                  .egress_proxy = proxy,
                                  .egress_credentials = credentials,
                                  .connect_timeout = 500ms});
  SendResult sent = loop.run(client.send({.head = kPost}));
  if (!sent.response.ok()) {
    return {sent.progress, sent.response.error().code, sent.response.error().message};
  }
  return {sent.progress, ErrorCode::kInternal, sent.response->content};
}

// What a proxy saw, and what came of a guarded call when it answered so.
struct Proxied {
  std::string request;
  Outcome outcome;
};

Proxied proxied(const std::string& answer, const std::string& credentials = "") {
  Proxied result;
  RawServer proxy([&](Raw& raw, int) {
    result.request = raw.read_until("\r\n\r\n");
    raw.send(answer);
    if (answer.empty()) raw.read_all();
  });
  Loop loop;
  result.outcome = send(loop, proxy.origin(), "https://graph.example", credentials);
  return result;
}

TEST(Tunnel, AsksForTheOriginWithItsPort) {
  const Proxied plain = proxied("HTTP/1.1 403 Forbidden\r\n\r\n");
  EXPECT_EQ(plain.request, "CONNECT graph.example:443 HTTP/1.1\r\nHost: graph.example:443\r\n\r\n");
  const Proxied known = proxied("HTTP/1.1 403 Forbidden\r\n\r\n", "user:secret");
  EXPECT_NE(known.request.find("\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"),
            std::string::npos);
  EXPECT_EQ(tunnel_request({.host = "::1", .port = "8443"}, ""),
            "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n");
}

TEST(Tunnel, SendsNothingThroughARefusal) {
  for (const std::string status : {"407", "403", "502", "301", "100"}) {
    const Proxied refused =
        proxied("HTTP/1.1 " + status + " No\r\nContent-Length: 2\r\n\r\nno", "user:secret");
    EXPECT_EQ(refused.outcome.progress, Progress::kNothingSent);
    EXPECT_EQ(refused.outcome.code, ErrorCode::kUnavailable);
    EXPECT_NE(refused.outcome.message.find("refused the tunnel with status " + status),
              std::string::npos)
        << refused.outcome.message;
    EXPECT_EQ(refused.outcome.message.find("secret"), std::string::npos);
  }
}

TEST(Tunnel, SendsNothingThroughWhatIsNoProxy) {
  for (const std::string& answer :
       {std::string("SSH-2.0-OpenSSH_9.2\r\n\r\n"), std::string("HTTP/1.1 2000 OK\r\n\r\n"),
        std::string("HTTP/1.1 20\r\n\r\n"), std::string("HTTP/2 200 OK\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\n\r\nmore"), "HTTP/1.1 200 " + std::string(9'000, 'x')}) {
    const Proxied strange = proxied(answer);
    EXPECT_EQ(strange.outcome.progress, Progress::kNothingSent) << answer.substr(0, 40);
    EXPECT_EQ(strange.outcome.code, ErrorCode::kInvalid) << strange.outcome.message;
  }
  EXPECT_EQ(proxied("HTTP/1.1 200 O").outcome.code, ErrorCode::kUnavailable);
  const Proxied silent = proxied("");
  EXPECT_EQ(silent.outcome.progress, Progress::kNothingSent);
  EXPECT_EQ(silent.outcome.code, ErrorCode::kTimeout);
  Loop loop;
  const Outcome nobody =
      send(loop, "http://127.0.0.1:" + std::to_string(unused_port()), "https://graph.example");
  EXPECT_EQ(nobody.progress, Progress::kNothingSent);
  EXPECT_EQ(send(loop, "no proxy", "https://graph.example").code, ErrorCode::kInvalid);
}

TEST(Tunnel, CarriesTheRequest) {
  std::string seen;
  RawServer proxy([&](Raw& raw, int) {
    raw.read_until("\r\n\r\n");
    // The proxy itself plays the origin, whose turn it is after the client's.
    raw.send("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n");
    seen = raw.read_until("\r\n\r\n");
    raw.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  Loop loop;
  const Outcome outcome = send(loop, proxy.origin(), "http://graph.example:8080");
  EXPECT_EQ(outcome.message, "ok");
  EXPECT_TRUE(seen.starts_with("POST /guarded HTTP/1.1\r\nHost: graph.example:8080\r\n")) << seen;
}

TEST(Tunnel, VerifiesTheOriginAtItsOtherEnd) {
  // A proxy that answers TLS itself, as one that reads along would.
  RawServer proxy([](Raw& raw, int) {
    raw.read_until("\r\n\r\n");
    raw.send("HTTP/1.1 200 OK\r\n\r\n");
    raw.read_until("\x01");
    raw.send("not TLS");
  });
  Loop loop;
  const Outcome outcome = send(loop, proxy.origin(), "https://graph.example");
  EXPECT_EQ(outcome.progress, Progress::kNothingSent);
  EXPECT_EQ(outcome.code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::http::test
