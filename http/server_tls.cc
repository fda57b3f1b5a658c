#include <openssl/err.h>

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

// Sessions are resumed with whatever was verified when they began, so only where the same would be
// verified today: under the same authorities and the same demand.
Status bind_sessions(SSL_CTX* context, const ServerTlsOptions& options) {
  std::string demands = std::to_string(static_cast<int>(options.client_certificates));
  if (options.client_certificates != ClientCertificates::kNone) {
    std::ifstream file(options.client_ca_file, std::ios::binary);
    demands.append(std::istreambuf_iterator<char>(file), {});
  }
  const Sha256 digest = sha256(demands);
  if (SSL_CTX_set_session_id_context(context, digest.data(), digest.size()) == 1) return {};
  return openssl_failed();
}

Status verify_clients(SSL_CTX* context, const ServerTlsOptions& options) {
  if (options.client_certificates == ClientCertificates::kNone) return {};
  const char* file = options.client_ca_file.c_str();
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(file);
  if (names == nullptr || SSL_CTX_load_verify_file(context, file) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return unusable_file("authority of client certificates", options.client_ca_file);
  }
  SSL_CTX_set_client_CA_list(context, names);  // Takes them over.
  const bool required = options.client_certificates == ClientCertificates::kRequired;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  return {};
}

}  // namespace

struct ServerTls::State {
  State(ServerTlsOptions wanted, const Clock& clock) : options(std::move(wanted)), keys(clock) {}

  Result<std::shared_ptr<SSL_CTX>> make_context() {
    ERR_clear_error();
    SslContext context = make_tls_context(TLS_server_method());
    if (!context) return openssl_failed();
    for (const auto step : {use_certificate, verify_clients, bind_sessions}) {
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
