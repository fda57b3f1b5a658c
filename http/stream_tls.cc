#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

#include "http/tls.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using SslContext = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Free<SSL_free>>;
using Session = std::unique_ptr<SSL_SESSION, Free<SSL_SESSION_free>>;

constexpr unsigned char kProtocols[] = "\x08http/1.1";
constexpr unsigned kProtocolsSize = sizeof(kProtocols) - 1;

// What OpenSSL last complained about, on one line; its queue is empty afterwards.
std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown TLS error" : reason;
}

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

SslContext make_context(const SSL_METHOD* method) {
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

class ServerTls : public TlsContext {
 public:
  explicit ServerTls(SslContext context) : context_(std::move(context)) {}

  std::unique_ptr<Stream> wrap(tcp::socket socket, Watchdog& watchdog) override {
    Ssl ssl(SSL_new(context_.get()));
    if (!ssl) return nullptr;
    SSL_set_accept_state(ssl.get());
    return std::make_unique<TlsStream>(std::move(socket), watchdog, std::move(ssl));
  }

 private:
  const SslContext context_;
};

class ClientTls : public TlsContext {
 public:
  ClientTls(SslContext context, std::string host)
      : context_(std::move(context)), host_(std::move(host)) {
    boost::system::error_code not_an_address;
    boost::asio::ip::make_address(host_, not_an_address);
    is_address_ = !not_an_address;
    SSL_CTX_set_ex_data(context_.get(), 0, this);
    SSL_CTX_set_session_cache_mode(context_.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_.get(), [](SSL* ssl, SSL_SESSION* session) {
      auto* self = static_cast<ClientTls*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0));
      self->session_.reset(session);
      return 1;  // The reference is ours now.
    });
  }

  std::unique_ptr<Stream> wrap(tcp::socket socket, Watchdog& watchdog) override {
    Ssl ssl(SSL_new(context_.get()));
    if (!ssl || !expect_host(ssl.get())) return nullptr;
    if (session_) SSL_set_session(ssl.get(), session_.get());
    SSL_set_connect_state(ssl.get());
    return std::make_unique<TlsStream>(std::move(socket), watchdog, std::move(ssl));
  }

 private:
  bool expect_host(SSL* ssl) const {
    if (is_address_) {
      return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host_.c_str()) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host_.c_str()) == 1 &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    const_cast<char*>(host_.c_str())) == 1;
  }

  const SslContext context_;
  const std::string host_;
  bool is_address_ = false;
  Session session_;  // The newest one; offered to every new connection.
};

// Chooses HTTP/1.1 where the client names it, and ends the handshake where it names only others.
int select_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, chosen_size, kProtocols, kProtocolsSize, offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = selected;
  return SSL_TLSEXT_ERR_OK;
}

Error unusable(const std::string& what, const std::string& file) {
  return {ErrorCode::kInvalid, file + ": cannot be used as " + what + ": " + openssl_error()};
}

}  // namespace

Result<std::unique_ptr<TlsContext>> make_server_tls(const std::string& certificate_file,
                                                    const std::string& key_file) {
  ERR_clear_error();
  SslContext context = make_context(TLS_server_method());
  if (!context) return Error{ErrorCode::kInternal, "TLS: " + openssl_error()};
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1) {
    return unusable("TLS certificate chain", certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return unusable("TLS key of " + certificate_file, key_file);
  }
  SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, nullptr);
  // Resumption is by tickets, which the client keeps: no cache here to lock or to grow.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 1);
  return std::unique_ptr<TlsContext>(std::make_unique<ServerTls>(std::move(context)));
}

Result<std::unique_ptr<TlsContext>> make_client_tls(const std::string& ca_file,
                                                    const std::string& host) {
  ERR_clear_error();
  SslContext context = make_context(TLS_client_method());
  if (!context) return Error{ErrorCode::kInternal, "TLS: " + openssl_error()};
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1) {
      return Error{ErrorCode::kInvalid, "the system's certificate store: " + openssl_error()};
    }
  } else if (SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) != 1) {
    return unusable("certificate authority", ca_file);
  }
  if (SSL_CTX_set_alpn_protos(context.get(), kProtocols, kProtocolsSize) != 0) {
    return Error{ErrorCode::kInternal, "TLS: " + openssl_error()};
  }
  return std::unique_ptr<TlsContext>(std::make_unique<ClientTls>(std::move(context), host));
}

}  // namespace holdfast::http
