// The claims of a token, taken one by one: the first that is of the wrong type is remembered and
// ends the reading.
//
//   ClaimReader claims(payload);
//   actor.tenant_id = claims.guid("tid");
//   if (claims.problem()) return *claims.problem();
//
// An absent claim is empty and no problem. Refers to the payload; for one thread.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::identity {

// kInvalid: "the access token …". Never quote the token in `what`.
Error unreadable_token(std::string what);

class ClaimReader {
 public:
  explicit ClaimReader(const nlohmann::json& claims) : claims_(claims) {}

  const std::optional<Error>& problem() const { return problem_; }
  bool has(const char* name) const { return claims_.contains(name); }

  std::string text(const char* name);
  std::string guid(const char* name);  // In lower case.
  std::vector<std::string> texts(const char* name);
  std::optional<WallTime> time(const char* name);  // Whole seconds, up to the year 9999.

  void fail(std::string_view name, std::string_view what);

 private:
  const nlohmann::json* find(const char* name) const;

  const nlohmann::json& claims_;
  std::optional<Error> problem_;
};

}  // namespace holdfast::identity
