// Hashes and randomness: the small part of OpenSSL that everything needs, behind plain types.
//
// All functions are pure but for random_bytes, and safe to call from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 sha256(std::string_view bytes);
Sha256 hmac_sha256(std::string_view key, std::string_view message);
std::string to_hex(const Sha256& digest);

// RFC 6962, 2.1: SHA-256(0x00 || entry).
Sha256 leaf_hash(std::string_view entry);

// RFC 6962, 2.1: SHA-256(0x01 || left || right).
Sha256 node_hash(const Sha256& left, const Sha256& right);

std::string_view bytes_of(const Sha256& digest);

// Compares in a time that depends on the lengths only, for secrets.
bool constant_time_equal(std::string_view a, std::string_view b);

// Cryptographically strong. A machine without randomness ends the process: nothing that relies on
// unguessable codes may run there.
void random_bytes(std::span<std::uint8_t> bytes);

}  // namespace holdfast
