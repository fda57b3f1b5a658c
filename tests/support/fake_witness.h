#pragma once

#include <cstdint>
#include <string>

#include "audit/cosignature.h"

namespace holdfast::testing {

// A witness that signs whatever it is asked to.
class FakeWitness {
 public:
  explicit FakeWitness(std::string name) : name_(std::move(name)), key_(SigningKey::generate()) {}

  audit::WitnessKey key() const { return {.name = name_, .public_key = key_.public_key()}; }

  audit::NoteSignature cosign(const std::string& text, std::uint64_t time) const {
    std::string bytes;
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(time >> shift & 0xFF);
    bytes += key_.sign("cosignature/v1\ntime " + std::to_string(time) + "\n" + text);
    return {.name = name_, .key_id = key().key_id(), .bytes = bytes};
  }

 private:
  std::string name_;
  SigningKey key_;
};

}  // namespace holdfast::testing
