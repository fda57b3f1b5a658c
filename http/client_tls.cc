#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <utility>

#include "http/stream_tls.h"
#include "http/tls.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

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
    return make_tls_stream(std::move(socket), watchdog, std::move(ssl));
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
  SslSession session_;  // The newest one; offered to every new connection.
};

}  // namespace

Result<std::unique_ptr<TlsContext>> make_client_tls(const std::string& ca_file,
                                                    const std::string& host) {
  ERR_clear_error();
  SslContext context = make_tls_context(TLS_client_method());
  if (!context) return Error{ErrorCode::kInternal, "TLS: " + openssl_error()};
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1) {
      return Error{ErrorCode::kInvalid, "the system's certificate store: " + openssl_error()};
    }
  } else if (SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) != 1) {
    return unusable_file("certificate authority", ca_file);
  }
  if (SSL_CTX_set_alpn_protos(context.get(), kAlpnProtocols, kAlpnProtocolsSize) != 0) {
    return Error{ErrorCode::kInternal, "TLS: " + openssl_error()};
  }
  return std::unique_ptr<TlsContext>(std::make_unique<ClientTls>(std::move(context), host));
}

}  // namespace holdfast::http
