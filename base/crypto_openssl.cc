#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>

#include "base/bytes_openssl.h"
#include "base/crypto.h"
#include "base/encoding.h"

namespace holdfast {
namespace {

// RFC 6962 section 2.1.
constexpr std::string_view kLeafPrefix{"\0", 1};
constexpr std::string_view kNodePrefix{"\1", 1};

// One thread's SHA-256, set up once: looking the algorithm up costs more than a short hash.
class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) fail();
  }

  // Of the parts one after the other.
  Sha256 hash(std::initializer_list<std::string_view> parts) {
    Sha256 digest{};
    if (EVP_DigestInit_ex(context_.get(), nullptr, nullptr) != 1) fail();
    for (const std::string_view part : parts) {
      if (EVP_DigestUpdate(context_.get(), part.data(), part.size()) != 1) fail();
    }
    if (EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) fail();
    return digest;
  }

 private:
  [[noreturn]] static void fail() {
    std::fputs("holdfast: SHA-256 does not work; stopping\n", stderr);
    std::abort();
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

Hasher& hasher() {
  thread_local Hasher own;
  return own;
}

}  // namespace

Sha256 sha256(std::string_view bytes) {
  return hasher().hash({bytes});
}

Sha256 hmac_sha256(std::string_view key, std::string_view message) {
  Sha256 code{};
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data_of(message), message.size(),
           code.data(), nullptr) == nullptr) {
    std::fputs("holdfast: HMAC-SHA-256 does not work; stopping\n", stderr);
    std::abort();
  }
  return code;
}

std::string to_hex(const Sha256& digest) {
  return to_hex(bytes_of(digest));
}

std::string_view bytes_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

Sha256 leaf_hash(std::string_view entry) {
  return hasher().hash({kLeafPrefix, entry});
}

Sha256 node_hash(const Sha256& left, const Sha256& right) {
  return hasher().hash({kNodePrefix, bytes_of(left), bytes_of(right)});
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void random_bytes(std::span<std::uint8_t> bytes) {
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1) return;
  std::fputs("holdfast: the system has no secure randomness; stopping\n", stderr);
  std::abort();
}

}  // namespace holdfast
