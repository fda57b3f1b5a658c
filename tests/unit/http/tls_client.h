// A TLS client that does as told, for tests of servers: OpenSSL itself, blocking.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "http/stream_tls.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {

struct TlsAttempt {
  int version = TLS1_3_VERSION;
  SSL_SESSION* session = nullptr;            // Offered for resumption.
  const Certificate* certificate = nullptr;  // Presented when asked for.
  std::string alpn = "\x08http/1.1";
  std::string first{};  // Sent before the handshake.
};

// One connection to 127.0.0.1, open as long as this lives.
class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsAttempt& attempt = {});
  ~TlsClient();

  bool connected() const { return connected_; }
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  std::string alpn() const;
  // Whether the server's certificate is this one.
  bool sees(const Certificate& certificate) const;
  // The answer to a GET; empty when there is none. The connection closes behind it if `last`.
  std::string get(bool last = true);
  // After get(): with TLS 1.3 tickets come with the first bytes.
  SslSession session() const { return SslSession(SSL_get1_session(ssl_.get())); }
  // Whether the server begins a new handshake when asked to.
  bool renegotiates();

 private:
  SslContext context_;
  Ssl ssl_;
  int descriptor_ = -1;
  bool connected_ = false;
};

}  // namespace holdfast::http::test
