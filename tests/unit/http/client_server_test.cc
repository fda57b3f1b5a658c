#include <gtest/gtest.h>

#include "http/client.h"
#include "http/server.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {
namespace {

// A body that does not say how long it is.
class Unknown : public Body {
 public:
  explicit Unknown(std::unique_ptr<Body> body) : body_(std::move(body)) {}
  Task<Result<std::size_t>> read(std::span<char> buffer) override { return body_->read(buffer); }
  std::optional<std::uint64_t> remaining() const override { return std::nullopt; }

 private:
  std::unique_ptr<Body> body_;
};

class Echo : public Handler {
 public:
  Task<Response> handle(Request request) override {
    Response response;
    response.headers = {{"Peer-Tls", request.peer.tls ? "yes" : "no"},
                        {"Peer", request.peer.address}};
    auto content = co_await read_all(*request.body, 100'000'000);
    if (!content.ok()) co_return response;
    const bool stream = content->size() % 2 == 1;  // Both ways to answer.
    if (stream) response.stream = std::make_unique<Unknown>(string_body(std::move(*content)));
    if (!stream) response.content = std::move(*content);
    co_return response;
  }
  Task<Response> refuse(Unreadable request) override {
    Response response;
    response.status = request.status;
    co_return response;
  }
};

// Over plain TCP and over TLS.
class ClientServer : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ServerOptions options;
    if (GetParam()) {
      options.tls.certificate_file = certificate_for_loopback().certificate_file;
      options.tls.key_file = certificate_for_loopback().key_file;
    }
    auto started = Server::start(options, [](auto) { return std::make_unique<Echo>(); });
    ASSERT_TRUE(started.ok()) << started.error().message;
    server_ = std::move(*started);
  }

  ClientOptions options(const std::string& host = "127.0.0.1") const {
    ClientOptions options;
    options.origin =
        (GetParam() ? "https://" : "http://") + host + ":" + std::to_string(server_->port());
    if (GetParam()) options.ca_file = certificate_for_loopback().certificate_file;
    return options;
  }

  // Sends the body and returns what came back, or the error.
  Task<std::string> echo(Client& client, std::unique_ptr<Body> body, Traffic traffic) {
    const RequestHead head{.method = "POST", .target = "/"};
    SendResult sent = co_await client.send({.head = head, .body = body.get(), .traffic = traffic});
    if (!sent.response.ok()) co_return "error: " + sent.response.error().message;
    EXPECT_EQ(sent.response->headers.get("Peer-Tls"), GetParam() ? "yes" : "no");
    EXPECT_EQ(sent.response->headers.get("Peer"), "127.0.0.1");
    if (!sent.response->stream) co_return sent.response->content;
    const auto content = co_await read_all(*sent.response->stream, 100'000'000);
    co_return content.ok() ? *content : "error: " + content.error().message;
  }

  Loop loop_;
  std::unique_ptr<Server> server_;
};

TEST_P(ClientServer, EchoesBodiesOfEverySizeBothWays) {
  Client client(loop_.executor(), options());
  for (const std::size_t size : {0, 1, 5, 16'383, 16'384, 32'768, 32'769, 65'537, 1'048'576}) {
    std::string content(size, '\0');
    for (std::size_t at = 0; at < size; ++at) content[at] = static_cast<char>(at * 31 + at / 251);
    EXPECT_TRUE(loop_.run(echo(client, string_body(content), Traffic::kOrdinary)) == content)
        << size;
    auto unknown = std::make_unique<Unknown>(string_body(content));
    EXPECT_TRUE(loop_.run(echo(client, std::move(unknown), Traffic::kGuarded)) == content) << size;
  }
}

TEST_P(ClientServer, ResolvesNames) {
  Client client(loop_.executor(), options("localhost"));
  EXPECT_EQ(loop_.run(echo(client, string_body("x"), Traffic::kOrdinary)), "x");
}

TEST_P(ClientServer, KeepsConnectionsUsableWhileTheServerDrains) {
  Client client(loop_.executor(), options());
  EXPECT_EQ(loop_.run(echo(client, string_body("x"), Traffic::kOrdinary)), "x");
  EXPECT_TRUE(server_->drain(std::chrono::seconds(10)));
  // The pooled connection was closed by the server: seen before anything is sent on it.
  const RequestHead head{.method = "GET", .target = "/"};
  const SendResult sent = loop_.run(client.send({.head = head}));
  ASSERT_FALSE(sent.response.ok());
  EXPECT_EQ(sent.progress, Progress::kNothingSent);
}

INSTANTIATE_TEST_SUITE_P(, ClientServer, testing::Bool(),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

class Verification : public testing::Test {
 protected:
  // The error of a request to a server with that certificate, and nothing sent.
  std::string refused(const Certificate& server, const std::string& ca_file,
                      const std::string& host = "127.0.0.1") {
    auto started = Server::start(
        {.tls = {.certificate_file = server.certificate_file, .key_file = server.key_file}},
        [](auto) { return std::make_unique<Echo>(); });
    EXPECT_TRUE(started.ok());
    Loop loop;
    Client client(loop.executor(),
                  {.origin = "https://" + host + ":" + std::to_string((*started)->port()),
                   .ca_file = ca_file});
    const RequestHead head{.method = "GET", .target = "/"};
    const SendResult sent = loop.run(client.send({.head = head}));
    EXPECT_EQ(sent.progress, sent.response.ok() ? Progress::kSomeSent : Progress::kNothingSent);
    return sent.response.ok() ? "accepted" : sent.response.error().message;
  }
};

TEST_F(Verification, RefusesAnUnknownAuthority) {
  const std::string error =
      refused(certificate_for_loopback(), certificate_for_others().certificate_file);
  EXPECT_NE(error.find("certificate not accepted"), std::string::npos) << error;
}

TEST_F(Verification, RefusesAnotherHostsCertificate) {
  const std::string error =
      refused(certificate_for_others(), certificate_for_others().certificate_file);
  EXPECT_NE(error.find("IP address mismatch"), std::string::npos) << error;
}

TEST_F(Verification, RefusesAnotherHostsName) {
  const std::string error =
      refused(certificate_for_others(), certificate_for_others().certificate_file, "localhost");
  EXPECT_NE(error.find("hostname mismatch"), std::string::npos) << error;
}

TEST_F(Verification, RefusesAnExpiredCertificate) {
  const std::string error = refused(expired_certificate(), expired_certificate().certificate_file);
  EXPECT_NE(error.find("certificate has expired"), std::string::npos) << error;
}

TEST_F(Verification, AcceptsWhatItIsMeantTo) {
  EXPECT_EQ(refused(certificate_for_loopback(), certificate_for_loopback().certificate_file),
            "accepted");
}

TEST_F(Verification, RefusesWhatTheSystemDoesNotKnow) {
  const std::string error = refused(certificate_for_loopback(), "");
  EXPECT_NE(error.find("certificate not accepted"), std::string::npos) << error;
}

TEST_F(Verification, NamesAnAuthorityFileThatCannotBeUsed) {
  EXPECT_TRUE(refused(certificate_for_loopback(), "/nowhere.pem").starts_with("/nowhere.pem: "));
}

}  // namespace
}  // namespace holdfast::http::test
