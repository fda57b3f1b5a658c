#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstdio>
#include <cstdlib>

#include "base/crypto.h"
#include "base/encoding.h"

namespace holdfast {
namespace {

const unsigned char* data_of(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

Sha256 sha256(std::string_view bytes) {
  Sha256 digest{};
  SHA256(data_of(bytes), bytes.size(), digest.data());
  return digest;
}

std::string to_hex(const Sha256& digest) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

Sha256 leaf_hash(std::string_view entry) {
  std::string leaf;
  leaf.reserve(entry.size() + 1);
  leaf += '\0';
  leaf += entry;
  return sha256(leaf);
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
