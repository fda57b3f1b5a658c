#include "tests/unit/http/tls_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

namespace holdfast::http::test {

TlsClient::TlsClient(std::uint16_t port, const TlsAttempt& attempt)
    : context_(SSL_CTX_new(TLS_client_method())) {
  SSL_CTX_set_security_level(context_.get(), 0);
  SSL_CTX_set_min_proto_version(context_.get(), attempt.version);
  SSL_CTX_set_max_proto_version(context_.get(), attempt.version);
  SSL_CTX_set_alpn_protos(context_.get(),
                          reinterpret_cast<const unsigned char*>(attempt.alpn.data()),
                          static_cast<unsigned>(attempt.alpn.size()));
  if (attempt.certificate != nullptr) {
    SSL_CTX_use_certificate_file(context_.get(), attempt.certificate->certificate_file.c_str(),
                                 SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context_.get(), attempt.certificate->key_file.c_str(),
                                SSL_FILETYPE_PEM);
  }
  ssl_.reset(SSL_new(context_.get()));
  if (attempt.session != nullptr) SSL_set_session(ssl_.get(), attempt.session);
  descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("cannot connect");
  }
  ::send(descriptor_, attempt.first.data(), attempt.first.size(), MSG_NOSIGNAL);
  SSL_set_fd(ssl_.get(), descriptor_);
  connected_ = SSL_connect(ssl_.get()) == 1;
  ERR_clear_error();
}

TlsClient::~TlsClient() {
  SSL_shutdown(ssl_.get());  // Without it, its session counts as broken.
  ERR_clear_error();
  ssl_.reset();
  ::close(descriptor_);
}

std::string TlsClient::alpn() const {
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &chosen, &size);
  return {reinterpret_cast<const char*>(chosen), size};
}

bool TlsClient::sees(const Certificate& certificate) const {
  std::FILE* file = std::fopen(certificate.certificate_file.c_str(), "r");
  X509* wanted = PEM_read_X509(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  const bool same = X509_cmp(wanted, SSL_get0_peer_certificate(ssl_.get())) == 0;
  X509_free(wanted);
  return same;
}

std::string TlsClient::get(bool last) {
  const std::string request =
      std::string("GET / HTTP/1.1\r\nHost: h\r\n") + (last ? "Connection: close\r\n" : "") + "\r\n";
  ERR_clear_error();
  if (SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size())) <= 0) return {};
  std::string answer;
  char block[4096];
  for (;;) {
    const int got = SSL_read(ssl_.get(), block, sizeof block);
    if (got <= 0) break;
    answer.append(block, static_cast<std::size_t>(got));
    if (!last && answer.ends_with("\n")) break;
  }
  ERR_clear_error();
  return answer;
}

bool TlsClient::renegotiates() {
  ERR_clear_error();
  const bool renegotiated = SSL_renegotiate(ssl_.get()) == 1 && SSL_do_handshake(ssl_.get()) == 1;
  ERR_clear_error();
  return renegotiated;
}

}  // namespace holdfast::http::test
