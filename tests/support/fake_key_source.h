// The keys of an identity provider as a test says they are, with a count of how often they were
// asked for.
#pragma once

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "identity/sign_in_verifier.h"

namespace holdfast::testing {

// Refers to both.
class FakeKeySource final : public identity::KeySource {
 public:
  FakeKeySource(int& fetches, Result<std::string>& jwks) : fetches_(fetches), jwks_(jwks) {}
  Task<Result<std::string>> fetch() override {
    ++fetches_;
    if (gate_ != nullptr) {
      boost::system::error_code opened;
      co_await gate_->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, opened));
    }
    co_return jwks_;
  }

  // From now on nobody is answered before it is cancelled.
  void wait_for(boost::asio::steady_timer& gate) { gate_ = &gate; }

 private:
  int& fetches_;
  Result<std::string>& jwks_;
  boost::asio::steady_timer* gate_ = nullptr;
};

}  // namespace holdfast::testing
