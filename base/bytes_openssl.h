// What the adapters of OpenSSL in this folder share. Not for anybody else.
#pragma once

#include <openssl/bio.h>

#include <memory>
#include <string_view>

namespace holdfast {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

// Bytes as OpenSSL takes them; they stay the caller's.
inline const unsigned char* data_of(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace holdfast
