// TLS for both sides: contexts made once, streams made from them. TLS 1.2 and 1.3, sessions
// resumed, HTTP/1.1 by ALPN; no renegotiation, no compression, no early data. The library behind it
// stays in the files named *_tls.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "http/stream.h"

namespace holdfast::http {

// Outlives its streams.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  // Null when the library has no memory left.
  virtual std::unique_ptr<Stream> wrap(boost::asio::ip::tcp::socket socket, Watchdog& watchdog) = 0;
};

// Whether clients are asked for a certificate. One that is presented must verify in either mode.
enum class ClientCertificates { kNone, kOptional, kRequired };

struct ServerTlsOptions {
  std::string certificate_file{};  // PEM: the server's own certificate first, then its chain.
  std::string key_file{};          // PEM, without a passphrase.
  ClientCertificates client_certificates = ClientCertificates::kNone;
  std::string client_ca_file{};  // PEM: who vouches for clients. Needed unless kNone.
};

// A server's side. Sessions are resumed by tickets, which clients keep: nothing is stored here.
// Their keys are made here, never leave the process, seal for an hour and open for another, and
// stay over a reload; a client certificate is only resumed with while the same authorities count.
//
// Safe to call from any thread.
class ServerTls final : public TlsContext {
 public:
  // kInvalid names the file that cannot be used. The clock outlives what is made.
  static Result<std::unique_ptr<ServerTls>> make(ServerTlsOptions options, const Clock& clock);
  ~ServerTls() override;

  std::unique_ptr<Stream> wrap(boost::asio::ip::tcp::socket socket, Watchdog& watchdog) override;

  // Reads the files again, for the handshakes that begin from now on. All or nothing: after an
  // error, which is as above, the files read before stay in use.
  Status reload();

 private:
  struct State;
  explicit ServerTls(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

// A client's side, for one thread. Its streams trust `ca_file` (PEM; empty: the system's store) and
// demand a certificate for `host`, a name or an IP address. kInvalid names the file.
Result<std::unique_ptr<TlsContext>> make_client_tls(const std::string& ca_file,
                                                    const std::string& host);

}  // namespace holdfast::http
