// What the TLS files of both sides share: owning handles of OpenSSL's objects, the context's
// settings, and the stream over one connection.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/stream.h"

namespace holdfast::http {

template <auto kFree>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, FreeWith<SSL_free>>;
using SslSession = std::unique_ptr<SSL_SESSION, FreeWith<SSL_SESSION_free>>;

// What ALPN offers and accepts: "http/1.1", with its length in front.
inline constexpr unsigned char kAlpnProtocols[] = "\x08http/1.1";
inline constexpr unsigned kAlpnProtocolsSize = sizeof(kAlpnProtocols) - 1;

// Versions, ciphers and buffers as both sides have them. Null when OpenSSL cannot.
SslContext make_tls_context(const SSL_METHOD* method);

// What OpenSSL last complained about, on one line; its queue is empty afterwards.
std::string openssl_error();
// kInvalid: "FILE: cannot be used as WHAT: " and that.
Error unusable_file(const std::string& what, const std::string& file);

// `ssl` knows which side it is.
std::unique_ptr<Stream> make_tls_stream(boost::asio::ip::tcp::socket socket, Watchdog& watchdog,
                                        Ssl ssl);

}  // namespace holdfast::http
