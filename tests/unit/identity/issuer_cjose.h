// An identity provider for tests: keys, the JWKS that publishes them, and tokens signed with them.
#pragma once

#include <cjose/cjose.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/encoding.h"

namespace holdfast::testing {

class SigningKey {
 public:
  static SigningKey rsa(const std::string& kid, std::size_t bits = 2048) {
    return {cjose_jwk_create_RSA_random(bits, nullptr, 0, nullptr), kid};
  }
  static SigningKey ec(const std::string& kid, cjose_jwk_ec_curve curve = CJOSE_JWK_EC_P_256) {
    return {cjose_jwk_create_EC_random(curve, nullptr), kid};
  }

  const std::string& kid() const { return kid_; }

  nlohmann::json published() const {
    char* text = cjose_jwk_to_json(key_.get(), false, nullptr);
    nlohmann::json jwk = nlohmann::json::parse(text);
    cjose_get_dealloc()(text);
    jwk["use"] = "sig";
    return jwk;
  }

  // A compact JWS; `header` is added to alg and kid, or replaces them.
  std::string sign(const std::string& payload, const std::string& alg = "RS256",
                   const nlohmann::json& header = nlohmann::json::object()) const {
    cjose_header_t* protected_header = cjose_header_new(nullptr);
    cjose_header_set(protected_header, "alg", alg.c_str(), nullptr);
    cjose_header_set(protected_header, "kid", kid_.c_str(), nullptr);
    for (const auto& [name, value] : header.items()) {
      cjose_header_set_raw(protected_header, name.c_str(), value.dump().c_str(), nullptr);
    }
    cjose_jws_t* jws = cjose_jws_sign(key_.get(), protected_header,
                                      reinterpret_cast<const std::uint8_t*>(payload.data()),
                                      payload.size(), nullptr);
    const char* text = nullptr;
    cjose_jws_export(jws, &text, nullptr);
    std::string token(text);
    cjose_jws_release(jws);
    cjose_header_release(protected_header);
    return token;
  }

 private:
  struct Release {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
  };

  SigningKey(cjose_jwk_t* key, std::string kid) : key_(key), kid_(std::move(kid)) {
    cjose_jwk_set_kid(key_.get(), kid_.c_str(), kid_.size(), nullptr);
  }

  std::unique_ptr<cjose_jwk_t, Release> key_;
  std::string kid_;
};

inline std::string jwks_of(const std::vector<nlohmann::json>& keys) {
  return nlohmann::json({{"keys", keys}}).dump();
}

// `token` with another header, whose signature is therefore wrong or absent.
inline std::string with_header(const std::string& token, const nlohmann::json& header) {
  return to_base64url(header.dump()) + token.substr(token.find('.'));
}

}  // namespace holdfast::testing
