// Which connections are let in: so many in all, so many of one client address, and none that would
// take the descriptors that everything else needs.
//
// Safe from any thread; the share of a connection may be given back on any.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/metrics.h"
#include "base/mutex.h"
#include "http/server.h"

namespace holdfast::http {

class Admission {
 public:
  // One connection's share, given back by its destructor. Must not outlive the Admission.
  class Share {
   public:
    Share(Share&& other) noexcept
        : admission_(std::exchange(other.admission_, nullptr)),
          address_(std::move(other.address_)) {}
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (admission_ != nullptr) admission_->leave(address_);
    }

   private:
    friend class Admission;
    Share(Admission* admission, std::string address)
        : admission_(admission), address_(std::move(address)) {}

    Admission* admission_;
    std::string address_;  // Empty: not counted by address.
  };

  // Raises this process's limit of descriptors as far as it may. The options outlive this.
  Admission(const ServerOptions& options, Metrics& metrics);

  // A share for the connection behind a descriptor; nullopt when it must be closed. -1 counts one
  // that was closed for want of a descriptor.
  std::optional<Share> admit(int descriptor) HOLDFAST_EXCLUDES(mutex_);

  // False when some connections were left at the end of `timeout`.
  bool wait_for_none(std::chrono::milliseconds timeout) HOLDFAST_EXCLUDES(mutex_);

 private:
  void leave(const std::string& address) HOLDFAST_EXCLUDES(mutex_);

  const ServerOptions& options_;
  std::size_t connections_max_;
  int descriptor_max_ = 0;  // A connection with a higher one is not let in.
  Counter& accepted_;
  Gauge& open_;
  Counter& over_connections_;
  Counter& over_per_address_;
  Counter& over_descriptors_;

  Mutex mutex_;
  Condition changed_;
  std::size_t count_ HOLDFAST_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, std::size_t> by_address_ HOLDFAST_GUARDED_BY(mutex_);
};

// What connections are counted by: an IPv4 address, or the /64 of an IPv6 one.
std::string address_group(std::string_view address);

}  // namespace holdfast::http
