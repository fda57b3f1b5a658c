// The keys of an identity provider as a test says they are, with a count of how often they were
// asked for.
#pragma once

#include <string>

#include "identity/sign_in_verifier.h"

namespace holdfast::testing {

// Refers to both.
class FakeKeySource final : public identity::KeySource {
 public:
  FakeKeySource(int& fetches, Result<std::string>& jwks) : fetches_(fetches), jwks_(jwks) {}
  Task<Result<std::string>> fetch() override {
    ++fetches_;
    co_return jwks_;
  }

 private:
  int& fetches_;
  Result<std::string>& jwks_;
};

}  // namespace holdfast::testing
