// The public keys of a token issuer (a JWKS, RFC 7517), and what they have signed (RFC 7515).
//
//   Result<IssuerKeys> keys = IssuerKeys::parse(jwks);
//   Result<std::string> payload = keys->verified_payload(token);
//
// Pinned: RS256 and PS256 with RSA keys of 2,048 bits or more, ES256 with P-256 keys. The algorithm
// must suit the key that the token names by `kid`, and that of the key where it names one; nothing
// else in a token's header is used, and critical extensions are refused (RFC 8725).
//
// Immutable once parsed, and safe to share between threads. Errors quote no token.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::identity {

class IssuerKeys {
 public:
  // Keys for other purposes, of other kinds or without a kid are left out. kInvalid: not a JWKS, a
  // kid that stands there twice, or no usable key.
  static Result<IssuerKeys> parse(std::string_view jwks);

  IssuerKeys(IssuerKeys&&) noexcept;
  IssuerKeys& operator=(IssuerKeys&&) noexcept;
  ~IssuerKeys();

  // The payload that one of the keys has signed. kInvalid: not a compact JWS with a pinned
  // algorithm; kNotFound: signed by a key that is not here; kRefused: the signature is wrong.
  Result<std::string> verified_payload(std::string_view token) const;

  std::size_t size() const;

 private:
  struct Keys;
  explicit IssuerKeys(std::unique_ptr<Keys> keys);

  std::unique_ptr<Keys> keys_;
};

}  // namespace holdfast::identity
