// TLS for both sides: contexts made once, streams made from them. TLS 1.2 or newer, sessions
// resumed, HTTP/1.1 by ALPN. The library behind it stays in stream_tls.cc.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/stream.h"

namespace holdfast::http {

// A server's context may be used by many threads, a client's by one. Outlives its streams.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  virtual std::unique_ptr<Stream> wrap(boost::asio::ip::tcp::socket socket, Watchdog& watchdog) = 0;
};

// PEM files: the chain with the server's own certificate first, and its key. kInvalid names the
// file.
Result<std::unique_ptr<TlsContext>> make_server_tls(const std::string& certificate_file,
                                                    const std::string& key_file);

// Streams that trust `ca_file` (PEM; empty: the system's store) and demand a certificate for
// `host`, a name or an IP address. kInvalid names the file.
Result<std::unique_ptr<TlsContext>> make_client_tls(const std::string& ca_file,
                                                    const std::string& host);

}  // namespace holdfast::http
