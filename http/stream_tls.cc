#include "http/stream_tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "http/certificate_tls.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

class TlsStream : public Stream {
 public:
  TlsStream(tcp::socket socket, Watchdog& watchdog, Ssl ssl)
      : Stream(std::move(socket), watchdog), ssl_(std::move(ssl)) {
    SSL_set_fd(ssl_.get(), static_cast<int>(socket_.native_handle()));
  }

  IoStep try_handshake() override {
    ERR_clear_error();
    return outcome(SSL_do_handshake(ssl_.get()), 0);
  }

  IoStep try_read(std::span<char> buffer) override {
    std::size_t got = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &got);
    return outcome(result, got);
  }

  IoStep try_write(std::string_view bytes) override {
    std::size_t sent = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
    return outcome(result, sent);
  }

  std::shared_ptr<const ClientCertificate> client_certificate() const override {
    return verified_peer(ssl_.get());
  }

  void finish_writing() override {
    ERR_clear_error();
    // Not allowed after a failure, and of no use before the handshake is through.
    if (!broken_ && SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }

  bool is_quiet() override {
    char byte = 0;
    std::size_t got = 0;
    ERR_clear_error();
    if (SSL_peek_ex(ssl_.get(), &byte, 1, &got) == 1) return false;
    const bool quiet = SSL_get_error(ssl_.get(), 0) == SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return quiet;
  }

 private:
  IoStep outcome(int result, std::size_t bytes) {
    if (result == 1) return {IoState::kDone, bytes};
    const int system_error = errno;
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return {IoState::kWantRead, 0};
      case SSL_ERROR_WANT_WRITE:
        return {IoState::kWantWrite, 0};
      case SSL_ERROR_ZERO_RETURN:
        return {IoState::kEnd, 0};
      case SSL_ERROR_SYSCALL:
        broken_ = true;
        return fail(system_error == 0 ? "the peer closed without ending TLS"
                                      : std::generic_category().message(system_error));
      default:
        broken_ = true;
        return fail(describe());
    }
  }

  std::string describe() const {
    const long verified = SSL_get_verify_result(ssl_.get());
    if (verified == X509_V_OK) return openssl_error();
    ERR_clear_error();
    return std::string("certificate not accepted: ") + X509_verify_cert_error_string(verified);
  }

  const Ssl ssl_;
  bool broken_ = false;
};

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown TLS error" : reason;
}

Error unusable_file(const std::string& what, const std::string& file) {
  return {ErrorCode::kInvalid, file + ": cannot be used as " + what + ": " + openssl_error()};
}

SslContext make_tls_context(const SSL_METHOD* method) {
  SslContext context(SSL_CTX_new(method));
  if (!context) return context;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

std::unique_ptr<Stream> make_tls_stream(tcp::socket socket, Watchdog& watchdog, Ssl ssl) {
  return std::make_unique<TlsStream>(std::move(socket), watchdog, std::move(ssl));
}

}  // namespace holdfast::http
