// HTTP messages as values: what the listener hands in and takes back, and what the client sends and
// returns. No parsing here, no sockets.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/body.h"

namespace holdfast::http {

struct Header {
  std::string name{};   // As received: case kept.
  std::string value{};  // Without surrounding white space.
};

// Header fields in the order received, duplicates kept. Names compare without regard to case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> fields) : fields_(fields) {}

  // The first field of that name, or nullptr. The pointer lives until the next change.
  const std::string* find(std::string_view name) const;
  std::string_view get(std::string_view name) const;  // Empty when absent.
  std::size_t count(std::string_view name) const;
  // Every field of that name joined by ", " (RFC 9110, 5.3).
  std::string joined(std::string_view name) const;

  void add(std::string name, std::string value);
  void set(std::string name, std::string value);  // Replaces every field of that name.
  void remove(std::string_view name);
  // Every field whose name is one that `leaves(std::string_view)`.
  template <class Predicate>
  void remove_if(Predicate leaves) {
    std::erase_if(fields_,
                  [&](const Header& field) { return leaves(std::string_view(field.name)); });
  }
  void reserve(std::size_t count) { fields_.reserve(count); }

  // Removes what concerns one connection only (RFC 9110, 7.6.1), and what Connection names unless
  // it is meant for everybody: nobody on the way may take away, for one, a credential, a
  // precondition or what says how to read the body.
  void remove_hop_by_hop();

  std::size_t size() const { return fields_.size(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<Header> fields_;
};

struct RequestHead {
  std::string method{};
  std::string target{};   // Origin form, byte for byte as received: never decoded or normalised.
  int minor_version = 1;  // HTTP/1.x
  Headers headers{};
};

// A certificate by which a client proved in the TLS handshake who it is.
struct ClientCertificate {
  std::string subject{};             // Its distinguished name, as RFC 4514 writes it.
  std::vector<std::string> names{};  // Alternative names: DNS:…, email:…, URI:…, IP:…
  std::string sha256{};              // Of the whole certificate, in hex.
};

// Where a request came from.
struct Peer {
  // The IP address, in text: of the TCP peer, or what a trusted load balancer said in a PROXY
  // header. Empty: the balancer does not know.
  std::string address{};
  std::uint16_t port = 0;
  bool tls = false;
  std::shared_ptr<const ClientCertificate> certificate{};  // Null: none was presented.
};

struct Request {
  RequestHead head{};
  Peer peer{};
  std::unique_ptr<Body> body{};  // Never null; empty when the request has none.
};

struct Response {
  int status = 200;
  std::string reason{};            // Empty: the standard phrase.
  Headers headers{};               // Without framing: whoever writes the message adds that.
  std::string content{};           // The whole body, unless `stream` is set.
  std::unique_ptr<Body> stream{};  // When set, the body, and `content` is not looked at.
};

// RFC 9110's phrase for the code; "Unknown" for codes without one.
std::string_view reason_phrase(int status);

}  // namespace holdfast::http
