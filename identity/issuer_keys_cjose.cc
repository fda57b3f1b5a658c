#include <cjose/cjose.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/encoding.h"
#include "base/json.h"
#include "identity/claims.h"
#include "identity/issuer_keys.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;

constexpr std::size_t kRsaBitsMin = 2048;

struct JwkRelease {
  void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
};
struct JwsRelease {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};
using Jwk = std::unique_ptr<cjose_jwk_t, JwkRelease>;
using Jws = std::unique_ptr<cjose_jws_t, JwsRelease>;

struct Key {
  Jwk jwk;
  std::string alg;  // Empty: any that suits its kind.
};

// A string member, or empty.
std::string text_of(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// nullopt: of no use here.
std::optional<Key> usable_key(const json& entry) {
  const std::string kind = text_of(entry, "kty");
  if (kind != "RSA" && kind != "EC") return std::nullopt;
  if (entry.contains("use") && text_of(entry, "use") != "sig") return std::nullopt;
  const std::string bytes = entry.dump(-1, ' ', false, json::error_handler_t::replace);
  cjose_err error{};
  Jwk jwk(cjose_jwk_import(bytes.data(), bytes.size(), &error));
  if (!jwk) return std::nullopt;
  const std::size_t bits = cjose_jwk_get_keysize(jwk.get(), &error);
  if (kind == "RSA" ? bits < kRsaBitsMin : text_of(entry, "crv") != "P-256") return std::nullopt;
  return Key{std::move(jwk), text_of(entry, "alg")};
}

bool suits(const Key& key, std::string_view alg) {
  if (!key.alg.empty() && key.alg != alg) return false;
  cjose_err error{};
  switch (cjose_jwk_get_kty(key.jwk.get(), &error)) {
    case CJOSE_JWK_KTY_RSA:
      return alg == "RS256" || alg == "PS256";
    case CJOSE_JWK_KTY_EC:
      return alg == "ES256";
    default:
      return false;
  }
}

// The protected header of a compact JWS.
Result<json> read_header(std::string_view token) {
  const std::optional<std::string> text = from_base64url(token.substr(0, token.find('.')));
  if (!text) return invalid("the token's header is not base64url");
  Result<json> header = parse_json(*text);
  if (!header.ok() || !header->is_object()) {
    return invalid("the token's header is not one JSON object");
  }
  if (header->contains("crit")) return invalid("the token has critical extensions");
  if (text_of(*header, "kid").empty()) return invalid("the token does not name its key");
  return header;
}

}  // namespace

struct IssuerKeys::Keys {
  std::map<std::string, Key, std::less<>> by_kid;
};

IssuerKeys::IssuerKeys(std::unique_ptr<Keys> keys) : keys_(std::move(keys)) {}
IssuerKeys::IssuerKeys(IssuerKeys&&) noexcept = default;
IssuerKeys& IssuerKeys::operator=(IssuerKeys&&) noexcept = default;
IssuerKeys::~IssuerKeys() = default;

std::size_t IssuerKeys::size() const {
  return keys_->by_kid.size();
}

Result<IssuerKeys> IssuerKeys::parse(std::string_view jwks) {
  const Result<json> document = parse_json(jwks);
  if (!document.ok()) return invalid("the issuer's keys: " + document.error().message);
  if (!document->is_object() || !document->contains("keys") || !(*document)["keys"].is_array()) {
    return invalid("the issuer's keys are not a JWKS: there is no array \"keys\"");
  }
  auto keys = std::make_unique<Keys>();
  for (const json& entry : (*document)["keys"]) {
    const std::string kid = entry.is_object() ? text_of(entry, "kid") : "";
    if (kid.empty()) continue;
    std::optional<Key> key = usable_key(entry);
    if (!key) continue;
    if (!keys->by_kid.emplace(kid, std::move(*key)).second) {
      return invalid("the issuer's keys: two have the kid " + to_text(kid, 128));
    }
  }
  if (keys->by_kid.empty()) return invalid("the issuer's keys: none is for RS256, PS256 or ES256");
  return IssuerKeys(std::move(keys));
}

Result<std::string> IssuerKeys::verified_payload(std::string_view token) const {
  if (token.size() > kTokenBytesMax) return invalid("the token is too long");
  const Result<json> header = read_header(token);
  if (!header.ok()) return header.error();

  const auto found = keys_->by_kid.find(text_of(*header, "kid"));
  if (found == keys_->by_kid.end()) {
    return Error{ErrorCode::kNotFound,
                 "the token is signed with a key that its issuer does not name"};
  }
  if (!suits(found->second, text_of(*header, "alg"))) {
    return invalid("the token's algorithm is not one that its key may be used with");
  }
  cjose_err error{};
  const Jws jws(cjose_jws_import(token.data(), token.size(), &error));
  if (!jws) return invalid("the token is not a compact JWS");
  if (!cjose_jws_verify(jws.get(), found->second.jwk.get(), &error)) {
    return Error{ErrorCode::kRefused, "the token's signature is wrong"};
  }
  std::uint8_t* bytes = nullptr;  // Of the JWS.
  std::size_t size = 0;
  if (!cjose_jws_get_plaintext(jws.get(), &bytes, &size, &error)) {
    return invalid("the token has no payload");
  }
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

}  // namespace holdfast::identity
