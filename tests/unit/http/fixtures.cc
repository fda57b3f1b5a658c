#include "tests/unit/http/fixtures.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>

namespace holdfast::http::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A listening socket on any port, and the port.
std::pair<int, std::uint16_t> bound() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot bind");
  }
  return {descriptor, ntohs(address.sin_port)};
}

Certificate make_certificate(const std::string& name, const std::string& alternatives) {
  static const std::filesystem::path folder = [] {
    std::string pattern = std::filesystem::temp_directory_path() / "holdfast-http-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    static const struct Remove {
      std::filesystem::path path;
      ~Remove() { std::filesystem::remove_all(path); }
    } remove{pattern};
    return remove.path;
  }();
  Certificate made{(folder / (name + ".crt")).string(), (folder / (name + ".key")).string()};
  const std::string command =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" +
      name + " -addext subjectAltName=" + alternatives + " -keyout " + made.key_file + " -out " +
      made.certificate_file + " 2>/dev/null";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("openssl req");
  return made;
}

// Signs the certificate again, as one that ended yesterday.
void expire(const Certificate& made) {
  const auto open = [](const std::string& path, const char* mode) {
    return std::unique_ptr<std::FILE, int (*)(std::FILE*)>(std::fopen(path.c_str(), mode),
                                                           std::fclose);
  };
  EVP_PKEY* key = PEM_read_PrivateKey(open(made.key_file, "r").get(), nullptr, nullptr, nullptr);
  X509* certificate =
      PEM_read_X509(open(made.certificate_file, "r").get(), nullptr, nullptr, nullptr);
  constexpr long kDay = 24 * 60 * 60;
  X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), -kDay);
  X509_sign(certificate, key, EVP_sha256());
  PEM_write_X509(open(made.certificate_file, "w").get(), certificate);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

}  // namespace

void Loop::pass(std::chrono::milliseconds span) {
  run([](boost::asio::any_io_executor executor, std::chrono::milliseconds wait) -> Task<bool> {
    boost::asio::steady_timer timer(executor, wait);
    co_await timer.async_wait(boost::asio::use_awaitable);
    co_return true;
  }(executor(), span));
}

Raw::~Raw() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Raw Raw::connect(std::uint16_t port) {
  Raw raw(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  if (::connect(raw.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    throw std::runtime_error("cannot connect");
  }
  return raw;
}

bool Raw::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string Raw::read_until(std::string_view end) {
  const timeval patience{.tv_sec = 60, .tv_usec = 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  for (;;) {
    const std::size_t found = end.empty() ? std::string::npos : buffer_.find(end);
    if (found != std::string::npos) {
      std::string front = buffer_.substr(0, found + end.size());
      buffer_.erase(0, front.size());
      return front;
    }
    char block[4096];
    const ssize_t got = ::recv(descriptor_, block, sizeof block, 0);
    if (got > 0) {
      buffer_.append(block, static_cast<std::size_t>(got));
      continue;
    }
    if (got < 0) buffer_ += errno == EAGAIN ? "<timeout>" : "<reset>";
    return std::exchange(buffer_, {});
  }
}

std::string Raw::read_all() {
  return read_until("");
}

std::string Raw::read_some() {
  std::string block(64 * 1024, '\0');
  const ssize_t got = ::recv(descriptor_, block.data(), block.size(), 0);
  block.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return block;
}

std::size_t Raw::receive_room() const {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  ::getsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
  return static_cast<std::size_t>(bytes);
}

void Raw::finish() {
  ::shutdown(descriptor_, SHUT_WR);
}

void Raw::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(descriptor_, -1));
}

RawServer::RawServer(Script script, Serving serving) : script_(std::move(script)) {
  std::tie(listening_, port_) = bound();
  ::listen(listening_, 64);
  thread_ = std::thread([this, serving] {
    for (;;) {
      Raw raw(::accept(listening_, nullptr, nullptr));
      // The destructor's shutdown ends the accept with an error, which there is no other cause for.
      int error = 0;
      socklen_t size = sizeof error;
      if (::getsockopt(listening_, SOL_SOCKET, SO_ACCEPTCONN, &error, &size) != 0 || error == 0) {
        return;
      }
      const int number = connections_++;
      if (serving == Serving::kInTurn) {
        script_(raw, number);
      } else {
        at_once_.emplace_back(
            [this, number, own = std::move(raw)]() mutable { script_(own, number); });
      }
    }
  });
}

RawServer::~RawServer() {
  ::shutdown(listening_, SHUT_RDWR);
  thread_.join();
  for (std::thread& each : at_once_) each.join();
  ::close(listening_);
}

std::uint16_t unused_port() {
  const auto [descriptor, port] = bound();
  ::close(descriptor);
  return port;
}

const Certificate& certificate_for_loopback() {
  static const Certificate made = make_certificate("loopback", "DNS:localhost,IP:127.0.0.1");
  return made;
}

const Certificate& certificate_for_clients() {
  static const Certificate made = make_certificate("clients",
                                                   "DNS:app.example,email:app@contoso.example,"
                                                   "URI:spiffe://contoso.example/app,IP:192.0.2.7");
  return made;
}

const Certificate& certificate_of_many() {
  static const Certificate made = [] {
    std::string names = "DNS:host0.example";
    for (int i = 1; i < 40; ++i) names += ",DNS:host" + std::to_string(i) + ".example";
    return make_certificate("many", names);
  }();
  return made;
}

const Certificate& expired_certificate() {
  static const Certificate made = [] {
    Certificate again = make_certificate("expired", "DNS:localhost,IP:127.0.0.1");
    expire(again);
    return again;
  }();
  return made;
}

const Certificate& certificate_for_others() {
  static const Certificate made = make_certificate("others", "DNS:other.example");
  return made;
}

}  // namespace holdfast::http::test
