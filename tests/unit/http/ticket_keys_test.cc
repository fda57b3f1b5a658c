#include "http/ticket_keys_tls.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>

#include "http/stream_tls.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {
namespace {

using namespace std::chrono_literals;

class TicketKeysTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const Certificate& own = certificate_for_loopback();
    SSL_CTX_use_certificate_file(server_.get(), own.certificate_file.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(server_.get(), own.key_file.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_set_max_proto_version(client_.get(), GetParam());
    keys_.install(server_.get());
  }

  // One connection in memory, with the newest session offered. Whether it was resumed.
  bool resumes() {
    BIO* one = nullptr;
    BIO* other = nullptr;
    BIO_new_bio_pair(&one, 0, &other, 0);
    const Ssl server(SSL_new(server_.get()));
    const Ssl client(SSL_new(client_.get()));
    SSL_set_bio(server.get(), one, one);
    SSL_set_bio(client.get(), other, other);
    SSL_set_accept_state(server.get());
    SSL_set_connect_state(client.get());
    if (session_) SSL_set_session(client.get(), session_.get());
    char byte = 'x';
    bool ended = false;
    for (int step = 0; step < 20 && !ended; ++step) {
      SSL_do_handshake(client.get());
      SSL_do_handshake(server.get());
      ended = SSL_is_init_finished(client.get()) == 1 && SSL_is_init_finished(server.get()) == 1;
    }
    // With TLS 1.3, tickets come behind the handshake.
    SSL_write(server.get(), &byte, 1);
    EXPECT_EQ(SSL_read(client.get(), &byte, 1), 1);
    session_.reset(SSL_get1_session(client.get()));
    SSL_shutdown(client.get());  // Without it, the session counts as broken.
    return SSL_session_reused(client.get()) == 1;
  }

  // The server asks for a certificate, and the client has one.
  void verify_client(const Certificate& certificate) {
    SSL_CTX_load_verify_file(server_.get(), certificate.certificate_file.c_str());
    SSL_CTX_set_verify(server_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_session_id_context(server_.get(), reinterpret_cast<const unsigned char*>("test"),
                                   4);
    SSL_CTX_use_certificate_file(client_.get(), certificate.certificate_file.c_str(),
                                 SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(client_.get(), certificate.key_file.c_str(), SSL_FILETYPE_PEM);
  }

  holdfast::testing::FakeClock clock_;
  TicketKeys keys_{clock_};
  const SslContext server_ = make_tls_context(TLS_server_method());
  const SslContext client_ = make_tls_context(TLS_client_method());
  SslSession session_;
};

TEST_P(TicketKeysTest, OpenTicketsForAnHourAfterTheirLast) {
  EXPECT_FALSE(resumes());
  EXPECT_TRUE(resumes());
  clock_.advance(59min);
  const auto old = SslSession(SSL_SESSION_dup(session_.get()));
  EXPECT_TRUE(resumes());
  clock_.advance(59min);
  session_.reset(SSL_SESSION_dup(old.get()));
  EXPECT_TRUE(resumes());
  clock_.advance(62min);
  session_.reset(SSL_SESSION_dup(old.get()));
  EXPECT_FALSE(resumes());
  EXPECT_TRUE(resumes());
  clock_.advance(24h);
  EXPECT_FALSE(resumes());
}

TEST_P(TicketKeysTest, RenewWhatARetiredKeySealed) {
  EXPECT_FALSE(resumes());
  for (int each = 0; each < 10; ++each) {
    clock_.advance(45min);
    EXPECT_TRUE(resumes()) << each;
  }
}

TEST_P(TicketKeysTest, DoNotOutliveTheCertificateOfTheirClient) {
  verify_client(certificate_for_clients());
  // It was made for two days; to OpenSSL itself it stays valid.
  clock_.advance(system_clock().now() + 48h - 20min - clock_.now());
  EXPECT_FALSE(resumes());
  EXPECT_TRUE(resumes());
  clock_.advance(30min);
  EXPECT_FALSE(resumes());
}

INSTANTIATE_TEST_SUITE_P(, TicketKeysTest, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& each) {
                           return each.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

}  // namespace
}  // namespace holdfast::http::test
