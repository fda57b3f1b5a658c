#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/bytes_openssl.h"
#include "base/crypto.h"
#include "base/encoding.h"

namespace holdfast {
namespace {

// One thread's SHA-256, set up once: looking the algorithm up costs more than a short hash.
class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) fail();
  }

  Sha256 hash(std::string_view bytes) {
    Sha256 digest{};
    if (EVP_DigestInit_ex(context_.get(), nullptr, nullptr) != 1 ||
        EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1 ||
        EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) {
      fail();
    }
    return digest;
  }

 private:
  [[noreturn]] static void fail() {
    std::fputs("holdfast: SHA-256 does not work; stopping\n", stderr);
    std::abort();
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

Sha256 sha256(std::string_view bytes) {
  Sha256 digest{};
  SHA256(data_of(bytes), bytes.size(), digest.data());
  return digest;
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
  std::string leaf;
  leaf.reserve(entry.size() + 1);
  leaf += '\0';
  leaf += entry;
  return sha256(leaf);
}

Sha256 node_hash(const Sha256& left, const Sha256& right) {
  thread_local Hasher hasher;
  std::array<char, 1 + 2 * sizeof(Sha256)> node{1};
  std::ranges::copy(left, node.begin() + 1);
  std::ranges::copy(right, node.begin() + 1 + sizeof(Sha256));
  return hasher.hash({node.data(), node.size()});
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
