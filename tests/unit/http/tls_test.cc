#include "http/tls.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "http/server.h"
#include "tests/unit/http/tls_client.h"

namespace holdfast::http::test {
namespace {

// Says who the client is: "address subject|name…|sha256" in one line.
class WhoIsThere : public Handler {
 public:
  Task<Response> handle(Request request) override {
    Response response;
    response.content = request.peer.address;
    if (const auto& certificate = request.peer.certificate) {
      response.content += " " + certificate->subject;
      for (const std::string& name : certificate->names) response.content += "|" + name;
      response.content += "|" + certificate->sha256;
    }
    response.content += "\n";
    co_return response;
  }
  Task<Response> refuse(Unreadable) override { co_return Response{.status = 400}; }
};

class TlsServer : public ::testing::TestWithParam<int> {
 protected:
  void start(ServerTlsOptions tls = {}) {
    // Copies, for reloads to find something else in.
    copy(certificate_for_loopback(), served_);
    tls.certificate_file = served_.certificate_file;
    tls.key_file = served_.key_file;
    auto started = Server::start({.threads = 2, .tls = tls},
                                 [](auto) { return std::make_unique<WhoIsThere>(); });
    ASSERT_TRUE(started.ok()) << started.error().message;
    server_ = std::move(*started);
  }

  static void copy(const Certificate& from, const Certificate& to) {
    constexpr auto kReplace = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(from.certificate_file, to.certificate_file, kReplace);
    std::filesystem::copy_file(from.key_file, to.key_file, kReplace);
  }

  TlsAttempt attempt(SSL_SESSION* session = nullptr, const Certificate* certificate = nullptr) {
    return {.version = GetParam(), .session = session, .certificate = certificate};
  }

  // A session of a connection that was served.
  SslSession session(const Certificate* certificate = nullptr) {
    TlsClient client(server_->port(), attempt(nullptr, certificate));
    EXPECT_NE(client.get(), "");
    EXPECT_FALSE(client.resumed());
    return client.session();
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(certificate_for_loopback().certificate_file).parent_path();
  const Certificate served_{folder_ / "served.crt", folder_ / "served.key"};
  std::unique_ptr<Server> server_;
};

TEST_P(TlsServer, ResumesSessionsOnEveryWorker) {
  start();
  const SslSession first = session();
  // Connections go to the workers in turn.
  for (int each = 0; each < 4; ++each) {
    TlsClient client(server_->port(), attempt(first.get()));
    EXPECT_NE(client.get(), "");
    EXPECT_TRUE(client.resumed());
  }
}

TEST_P(TlsServer, ChoosesHttpOrNothing) {
  start();
  TlsAttempt several = attempt();
  several.alpn = "\x02h2\x08http/1.1";
  EXPECT_EQ(TlsClient(server_->port(), several).alpn(), "http/1.1");
  TlsAttempt others = attempt();
  others.alpn = "\x02h2";
  EXPECT_FALSE(TlsClient(server_->port(), others).connected());
  TlsAttempt silent = attempt();
  silent.alpn = "";
  EXPECT_TRUE(TlsClient(server_->port(), silent).connected());
}

TEST_P(TlsServer, ReloadsWithoutDroppingAnything) {
  start();
  const SslSession old_session = session();
  TlsClient open(server_->port(), attempt());
  EXPECT_NE(open.get(false), "");
  copy(certificate_for_others(), served_);
  ASSERT_TRUE(server_->reload_tls().ok());
  EXPECT_NE(open.get(false), "");
  EXPECT_TRUE(open.sees(certificate_for_loopback()));
  TlsClient fresh(server_->port(), attempt());
  EXPECT_NE(fresh.get(), "");
  EXPECT_TRUE(fresh.sees(certificate_for_others()));
  TlsClient resuming(server_->port(), attempt(old_session.get()));
  EXPECT_NE(resuming.get(), "");
  EXPECT_TRUE(resuming.resumed());
}

TEST_P(TlsServer, KeepsTheOldFilesWhereNewOnesCannotBeUsed) {
  start();
  // The certificate of one, the key of the other.
  std::filesystem::copy_file(certificate_for_others().certificate_file, served_.certificate_file,
                             std::filesystem::copy_options::overwrite_existing);
  Status reloaded = server_->reload_tls();
  ASSERT_FALSE(reloaded.ok());
  EXPECT_TRUE(reloaded.error().message.starts_with(served_.key_file)) << reloaded.error().message;
  std::ofstream(served_.certificate_file) << "-----BEGIN CERTIFICATE-----\nhalf";
  reloaded = server_->reload_tls();
  ASSERT_FALSE(reloaded.ok());
  EXPECT_TRUE(reloaded.error().message.starts_with(served_.certificate_file));
  TlsClient client(server_->port(), attempt());
  EXPECT_NE(client.get(), "");
  EXPECT_TRUE(client.sees(certificate_for_loopback()));
}

TEST_P(TlsServer, AsksForNoCertificateUnlessToldTo) {
  start();
  TlsClient client(server_->port(), attempt(nullptr, &certificate_for_clients()));
  EXPECT_TRUE(client.get().ends_with("\r\n\r\n127.0.0.1\n"));
}

TEST_P(TlsServer, HandsOverTheCertificateThatItVerified) {
  const Certificate& own = certificate_for_clients();
  start({.client_certificates = ClientCertificates::kOptional,
         .client_ca_file = own.certificate_file});
  TlsClient client(server_->port(), attempt(nullptr, &own));
  const std::string answer = client.get();
  EXPECT_NE(answer.find("\r\n\r\n127.0.0.1 CN=clients|DNS:app.example|email:app@contoso.example|"
                        "URI:spiffe://contoso.example/app|IP:192.0.2.7|"),
            std::string::npos)
      << answer;
  // A fingerprint stands at the end, and resumed sessions know it as well.
  TlsClient again(server_->port(), attempt(client.session().get(), &own));
  const std::string second = again.get();
  EXPECT_TRUE(again.resumed());
  EXPECT_EQ(second.substr(second.rfind("\r\n\r\n")), answer.substr(answer.rfind("\r\n\r\n")));
  TlsClient without(server_->port(), attempt());
  EXPECT_TRUE(without.get().ends_with("\r\n\r\n127.0.0.1\n"));
  // One that is presented must verify.
  TlsClient stranger(server_->port(), attempt(nullptr, &certificate_for_others()));
  EXPECT_EQ(stranger.get(), "");
}

// Which app a certificate is for must not depend on the order of its names.
TEST_P(TlsServer, HandsOverEveryName) {
  const Certificate& own = certificate_of_many();
  start({.client_certificates = ClientCertificates::kRequired,
         .client_ca_file = own.certificate_file});
  TlsClient client(server_->port(), attempt(nullptr, &own));
  const std::string answer = client.get();
  EXPECT_NE(answer.find(" CN=many|DNS:host0.example|"), std::string::npos) << answer;
  EXPECT_NE(answer.find("|DNS:host39.example|"), std::string::npos) << answer;
}

TEST_P(TlsServer, ServesNobodyWithoutACertificateWhereOneIsRequired) {
  const Certificate& own = certificate_for_clients();
  start({.client_certificates = ClientCertificates::kRequired,
         .client_ca_file = own.certificate_file});
  EXPECT_EQ(TlsClient(server_->port(), attempt()).get(), "");
  EXPECT_EQ(TlsClient(server_->port(), attempt(nullptr, &certificate_for_others())).get(), "");
  EXPECT_NE(TlsClient(server_->port(), attempt(nullptr, &own)).get(), "");
}

TEST_P(TlsServer, ResumesNoSessionThatAnotherAuthorityVouchedFor) {
  const Certificate authority{folder_ / "authority.crt", folder_ / "authority.key"};
  copy(certificate_for_clients(), authority);
  start({.client_certificates = ClientCertificates::kOptional,
         .client_ca_file = authority.certificate_file});
  const SslSession first = session(&certificate_for_clients());
  copy(certificate_for_others(), authority);
  ASSERT_TRUE(server_->reload_tls().ok());
  TlsClient client(server_->port(), attempt(first.get()));
  EXPECT_TRUE(client.get().ends_with("\r\n\r\n127.0.0.1\n"));
  EXPECT_FALSE(client.resumed());
}

INSTANTIATE_TEST_SUITE_P(, TlsServer, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& each) {
                           return each.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

using TlsServerLimits = TlsServer;

TEST_P(TlsServerLimits, KnowsNoOlderVersion) {
  start();
  EXPECT_FALSE(TlsClient(server_->port(), attempt()).connected());
}

INSTANTIATE_TEST_SUITE_P(, TlsServerLimits, ::testing::Values(TLS1_VERSION, TLS1_1_VERSION),
                         [](const auto& each) {
                           return each.param == TLS1_VERSION ? "Tls10" : "Tls11";
                         });

using TlsServer12 = TlsServer;

TEST_P(TlsServer12, DoesNotRenegotiate) {
  start();
  TlsClient client(server_->port(), attempt());
  ASSERT_TRUE(client.connected());
  EXPECT_FALSE(client.renegotiates());
}

INSTANTIATE_TEST_SUITE_P(, TlsServer12, ::testing::Values(TLS1_2_VERSION),
                         [](const auto&) { return "Tls12"; });

TEST(TlsServerFiles, NamesTheAuthorityFileThatItCannotUse) {
  const Certificate& own = certificate_for_loopback();
  std::ifstream file(certificate_for_clients().certificate_file);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  const std::string path = own.certificate_file + ".authorities";
  for (const std::string& content :
       {std::string(), std::string("no certificate\n"), whole.substr(0, whole.size() / 2),
        whole + whole.substr(0, whole.size() / 2)}) {
    std::ofstream(path) << content;
    const auto tls = ServerTls::make({.certificate_file = own.certificate_file,
                                      .key_file = own.key_file,
                                      .client_certificates = ClientCertificates::kOptional,
                                      .client_ca_file = path},
                                     system_clock());
    ASSERT_FALSE(tls.ok()) << content;
    EXPECT_EQ(tls.error().code, ErrorCode::kInvalid);
    EXPECT_TRUE(tls.error().message.starts_with(path + ": ")) << tls.error().message;
  }
}

}  // namespace
}  // namespace holdfast::http::test
