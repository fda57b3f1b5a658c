#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "base/crypto.h"
#include "base/mutex.h"
#include "http/stream_tls.h"
#include "http/ticket_keys_tls.h"
#include "http/tls.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;

Error openssl_failed() {
  return {ErrorCode::kInternal, "TLS: " + openssl_error()};
}

// Chooses HTTP/1.1 where the client names it, and ends the handshake where it names only others.
int select_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, chosen_size, kAlpnProtocols, kAlpnProtocolsSize, offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = selected;
  return SSL_TLSEXT_ERR_OK;
}

Status use_certificate(SSL_CTX* context, const ServerTlsOptions& options) {
  // The library would ask for a passphrase on the terminal.
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1) {
    return unusable_file("TLS certificate chain", options.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return unusable_file("TLS key of " + options.certificate_file, options.key_file);
  }
  return {};
}

// The file as it is now: whoever replaces it meanwhile must not have sessions bound to authorities
// that nobody looked at.
Result<std::string> authorities_of(const ServerTlsOptions& options) {
  std::ifstream file(options.client_ca_file, std::ios::binary);
  std::string pem{std::istreambuf_iterator<char>(file), {}};
  if (pem.empty()) {
    return Error{ErrorCode::kInvalid, options.client_ca_file + ": cannot be read, or is empty"};
  }
  return pem;
}

// Trusts every certificate in `pem`, and names it to clients. At least one.
bool trust(SSL_CTX* context, const std::string& pem) {
  const std::unique_ptr<BIO, FreeWith<BIO_free_all>> bytes(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  int trusted = 0;
  for (;;) {
    const Certificate certificate(PEM_read_bio_X509(bytes.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    if (X509_STORE_add_cert(store, certificate.get()) != 1 ||
        SSL_CTX_add_client_CA(context, certificate.get()) != 1) {
      return false;
    }
    ++trusted;
  }
  // That nothing more begins is the end; anything else is a certificate that cannot be read.
  const unsigned long end = ERR_peek_last_error();
  return trusted > 0 && ERR_GET_LIB(end) == ERR_LIB_PEM &&
         ERR_GET_REASON(end) == PEM_R_NO_START_LINE;
}

Status verify_clients(SSL_CTX* context, const ServerTlsOptions& options) {
  std::string demands = std::to_string(static_cast<int>(options.client_certificates));
  if (options.client_certificates != ClientCertificates::kNone) {
    const Result<std::string> authorities = authorities_of(options);
    if (!authorities.ok()) return authorities.error();
    if (!trust(context, *authorities)) {
      return unusable_file("authority of client certificates", options.client_ca_file);
    }
    ERR_clear_error();
    demands += *authorities;
    const bool required = options.client_certificates == ClientCertificates::kRequired;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
  }
  // Sessions are resumed with whatever was verified when they began, so only where the same would
  // be verified today: under the same authorities and the same demand.
  const Sha256 digest = sha256(demands);
  if (SSL_CTX_set_session_id_context(context, digest.data(), digest.size()) == 1) return {};
  return openssl_failed();
}

}  // namespace

struct ServerTls::State {
  State(ServerTlsOptions wanted, const Clock& clock) : options(std::move(wanted)), keys(clock) {}

  Result<std::shared_ptr<SSL_CTX>> make_context() {
    ERR_clear_error();
    SslContext context = make_tls_context(TLS_server_method());
    if (!context) return openssl_failed();
    for (const auto step : {use_certificate, verify_clients}) {
      const Status done = step(context.get(), options);
      if (!done.ok()) return done.error();
    }
    SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, nullptr);
    // Resumption is by tickets, which the client keeps: no cache here to lock or to grow.
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 1);
    keys.install(context.get());
    return std::shared_ptr<SSL_CTX>(std::move(context));
  }

  const ServerTlsOptions options;
  TicketKeys keys;
  Mutex mutex;
  std::shared_ptr<SSL_CTX> current HOLDFAST_GUARDED_BY(mutex);
};

ServerTls::ServerTls(std::unique_ptr<State> state) : state_(std::move(state)) {}
ServerTls::~ServerTls() = default;

Result<std::unique_ptr<ServerTls>> ServerTls::make(ServerTlsOptions options, const Clock& clock) {
  std::unique_ptr<ServerTls> made(
      new ServerTls(std::make_unique<State>(std::move(options), clock)));
  const Status loaded = made->reload();
  if (!loaded.ok()) return loaded.error();
  return made;
}

Status ServerTls::reload() {
  Result<std::shared_ptr<SSL_CTX>> context = state_->make_context();
  if (!context.ok()) return context.error();
  MutexLock lock(state_->mutex);
  state_->current = *std::move(context);
  return {};
}

std::unique_ptr<Stream> ServerTls::wrap(tcp::socket socket, Watchdog& watchdog) {
  Ssl ssl;
  {
    MutexLock lock(state_->mutex);
    ssl.reset(SSL_new(state_->current.get()));  // Keeps the context for itself.
  }
  if (!ssl) return nullptr;
  SSL_set_accept_state(ssl.get());
  return make_tls_stream(std::move(socket), watchdog, std::move(ssl));
}

}  // namespace holdfast::http
