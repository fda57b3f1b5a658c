// A credential for Graph that is there at once, or fails as the test says.
#pragma once

#include <optional>

#include "identity/graph_credential.h"

namespace holdfast::testing {

class FakeCredential final : public identity::GraphCredential {
 public:
  // `error` must outlive this; while there is one, there is no token.
  explicit FakeCredential(const std::optional<Error>& error) : error_(error) {}
  Task<Result<identity::BearerToken>> token() override {
    if (error_) co_return *error_;
    co_return identity::BearerToken{"a.b.c"};
  }

 private:
  const std::optional<Error>& error_;
};

}  // namespace holdfast::testing
