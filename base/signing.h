// Ed25519 (RFC 8032) behind plain types. Deterministic: one key signs one message in one way.
//
// A SigningKey owns its secret and wipes it; nothing here writes it anywhere but to_pem(). Safe to
// use from several threads at once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct evp_pkey_st;

namespace holdfast {

using Ed25519PublicKey = std::array<std::uint8_t, 32>;

class SigningKey {
 public:
  // A new random key.
  static SigningKey generate();
  // A PKCS #8 private key in PEM, not encrypted. kInvalid: it is none, or not an Ed25519 key; the
  // message quotes nothing of it.
  static Result<SigningKey> from_pem(const std::string& pem);

  std::string to_pem() const;
  Ed25519PublicKey public_key() const;

  // 64 bytes.
  std::string sign(std::string_view message) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  using Handle = std::unique_ptr<evp_pkey_st, Free>;

  explicit SigningKey(Handle key) : key_(std::move(key)) {}

  Handle key_;
};

bool verify_signature(const Ed25519PublicKey& key, std::string_view message,
                      std::string_view signature);

}  // namespace holdfast
