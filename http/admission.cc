#include "http/admission.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

// How many descriptors this process may have, once it has asked for as many as it may.
std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1'024;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return static_cast<std::size_t>(limit.rlim_cur);
}

// The peer's address; empty when it is gone already.
std::string peer_address(int descriptor) {
  tcp::endpoint peer;
  auto size = static_cast<socklen_t>(peer.capacity());
  if (::getpeername(descriptor, peer.data(), &size) != 0) return {};
  peer.resize(size);
  boost::asio::ip::address address = peer.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
  }
  return address.to_string();
}

}  // namespace

std::string address_group(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return std::string(text);
  boost::system::error_code failed;
  const auto address = boost::asio::ip::make_address(text, failed);
  if (failed || !address.is_v6()) return std::string(text);
  boost::asio::ip::address_v6::bytes_type bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return boost::asio::ip::address_v6(bytes).to_string() + "/64";
}

Admission::Admission(const ServerOptions& options, Metrics& metrics)
    : options_(options),
      connections_max_(options.connections_max),
      accepted_(metrics.counter("holdfast_connections_accepted_total",
                                "Connections that clients were let in with.")),
      open_(metrics.gauge("holdfast_connections", "Connections of clients that are open.")),
      over_connections_(metrics.refused_by("connections")),
      over_per_address_(metrics.refused_by("connections_per_address")),
      over_descriptors_(metrics.refused_by("descriptors")) {
  const std::size_t descriptors = raise_descriptor_limit();
  const std::size_t reserved = std::min(options.descriptors_reserved, descriptors / 2);
  const std::size_t allowed = descriptors - reserved;
  // Some of the reserve may be in use, so numbers grow beyond what is allowed; half of it stays.
  descriptor_max_ = static_cast<int>(std::min<std::size_t>(descriptors - reserved / 2, 1U << 30));
  if (allowed >= connections_max_) return;
  log_warning(
      "fewer connections than configured: too few descriptors",
      {{"connections", connections_max_}, {"allowed", allowed}, {"descriptors", descriptors}});
  connections_max_ = allowed;
}

std::optional<Admission::Share> Admission::admit(int descriptor) {
  if (descriptor < 0) {
    over_descriptors_.add();
    return std::nullopt;
  }
  std::string address = peer_address(descriptor);
  if (address.empty()) return std::nullopt;
  // The system gives out the lowest number that is free.
  if (descriptor > descriptor_max_) {
    over_descriptors_.add();
    return std::nullopt;
  }
  const bool shared = options_.shares_address && options_.shares_address(address);
  address = shared ? std::string() : address_group(address);
  MutexLock lock(mutex_);
  if (count_ >= connections_max_) {
    over_connections_.add();
    return std::nullopt;
  }
  if (!shared) {
    std::size_t& of_address = by_address_[address];
    if (of_address >= options_.connections_per_address_max) {
      over_per_address_.add();
      return std::nullopt;
    }
    ++of_address;
  }
  ++count_;
  accepted_.add();
  open_.add(1);
  return Share(this, std::move(address));
}

void Admission::leave(const std::string& address) {
  open_.add(-1);
  MutexLock lock(mutex_);
  --count_;
  if (!address.empty()) {
    const auto of_address = by_address_.find(address);
    if (--of_address->second == 0) by_address_.erase(of_address);
  }
  if (count_ == 0) changed_.notify_all();
}

bool Admission::wait_for_none(std::chrono::milliseconds timeout) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  MutexLock lock(mutex_);
  while (count_ > 0) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    changed_.wait_for(mutex_, left);
  }
  return true;
}

}  // namespace holdfast::http
