// What a server does with PROXY headers, over plain TCP and in front of TLS.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "http/server.h"
#include "tests/unit/http/fixtures.h"
#include "tests/unit/http/tls_client.h"

namespace holdfast::http::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

class PeerEcho : public Handler {
 public:
  Task<Response> handle(Request request) override {
    Response response;
    response.content = "[" + request.peer.address + "]";
    co_return response;
  }
  Task<Response> refuse(Unreadable request) override {
    Response response;
    response.status = request.status;
    response.content = "refused [" + request.peer.address + "]";
    co_return response;
  }
};

const std::string kFixed = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kClient =
    kFixed + "\x21\x11\0\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb"s;
const std::string kLocal = kFixed + "\x20\0\0\0"s;
const std::string kUnknown = kFixed + "\x21\0\0\0"s;
const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

class ProxyHeaders : public testing::Test {
 protected:
  void start(bool trusted, ServerOptions options = {}) {
    options.sends_proxy_header = [trusted](const std::string& address) {
      EXPECT_EQ(address, "127.0.0.1");
      return trusted;
    };
    auto started = Server::start(options, [](auto) { return std::make_unique<PeerEcho>(); });
    ASSERT_TRUE(started.ok());
    server_ = std::move(*started);
  }

  std::string exchange(const std::string& bytes) {
    Raw raw = Raw::connect(server_->port());
    raw.send(bytes);
    const std::string answer = raw.read_all();
    return answer.substr(std::min(answer.size(), answer.rfind('[')));
  }

  std::unique_ptr<Server> server_;
};

TEST_F(ProxyHeaders, NameThePeer) {
  start(true);
  EXPECT_EQ(exchange(kClient + kGet), "[192.0.2.1]");
  EXPECT_EQ(exchange(kLocal + kGet), "[127.0.0.1]");
  EXPECT_EQ(exchange(kUnknown + kGet), "[]");
}

TEST_F(ProxyHeaders, MayComeInPieces) {
  start(true);
  for (std::size_t cut = 1; cut < kClient.size(); ++cut) {
    Raw raw = Raw::connect(server_->port());
    raw.send(kClient.substr(0, cut));
    raw.send(kClient.substr(cut) + kGet);
    EXPECT_TRUE(raw.read_all().ends_with("[192.0.2.1]")) << cut;
  }
}

TEST_F(ProxyHeaders, AreDemandedOfWhoSendsThem) {
  Metrics metrics;
  start(true, {.handshake_timeout = 50ms, .metrics = &metrics});
  EXPECT_EQ(exchange(kGet), "");
  EXPECT_EQ(exchange("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n" + kGet), "");
  EXPECT_EQ(metrics.refused_by("handshake").value(), 0u);
  EXPECT_EQ(exchange(kClient.substr(0, 20)), "");
  EXPECT_EQ(exchange(""), "");
  EXPECT_EQ(metrics.refused_by("handshake").value(), 2u) << "what did not come in time";
  server_.reset();
}

TEST_F(ProxyHeaders, ComeOnce) {
  start(true);
  EXPECT_EQ(exchange(kClient + kClient + kGet), "[192.0.2.1]");  // The second is not a request.
  Raw raw = Raw::connect(server_->port());
  raw.send(kClient + kClient + kGet);
  EXPECT_TRUE(raw.read_all().starts_with("HTTP/1.1 400 "));
}

TEST_F(ProxyHeaders, AreNoRequestFromAnybodyElse) {
  start(false);
  EXPECT_EQ(exchange(kGet), "[127.0.0.1]");
  Raw raw = Raw::connect(server_->port());
  raw.send(kClient + kGet);
  const std::string answer = raw.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_TRUE(answer.ends_with("refused [127.0.0.1]")) << answer;
}

TEST_F(ProxyHeaders, StandInFrontOfTls) {
  const Certificate& own = certificate_for_loopback();
  const ServerTlsOptions tls{.certificate_file = own.certificate_file, .key_file = own.key_file};
  start(true, {.tls = tls});
  EXPECT_TRUE(TlsClient(server_->port(), {.first = kClient}).get().ends_with("[192.0.2.1]"));
  EXPECT_FALSE(TlsClient(server_->port()).connected());
  start(false, {.tls = tls});
  EXPECT_TRUE(TlsClient(server_->port()).get().ends_with("[127.0.0.1]"));
  EXPECT_FALSE(TlsClient(server_->port(), {.first = kClient}).connected());
}

}  // namespace
}  // namespace holdfast::http::test
