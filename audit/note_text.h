// The small parts that notes, checkpoints, proofs and what witnesses are asked are written with.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "base/result.h"
#include "base/signing.h"

namespace holdfast::audit {

// A checkpoint with its signatures is far smaller; more is not read.
inline constexpr std::size_t kNoteBytesMax = 1024 * 1024;
inline constexpr std::size_t kKeyIdBytes = 4;

// What a note's key does, as the byte that stands before it in a verifier key (C2SP signed-note).
enum class NoteKeyType : char {
  kEd25519 = 1,      // Signs the text.
  kCosignature = 4,  // Signs it with a time: cosignature/v1.
};

struct NoteKey {
  std::string name;
  Ed25519PublicKey public_key{};
};

// SHA-256(name, newline, type, key), its first four bytes.
std::uint32_t note_key_id(NoteKeyType type, const NoteKey& key);

// <name>+<key id, hex>+<type and key, Base64>. kInvalid: it is no verifier key of that type.
std::string note_key_text(NoteKeyType type, const NoteKey& key);
Result<NoteKey> parse_note_key(NoteKeyType type, std::string_view text);

// Takes one line off the front; nullopt when no newline is left.
std::optional<std::string_view> take_line(std::string_view& text);

// One spelling for each number: no sign, no leading zeros.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

// A hash in Base64.
std::optional<Sha256> parse_hash(std::string_view text);

// Bytes of a number, the most significant first, and back; at most eight.
std::string big_endian(std::uint32_t number);
std::uint64_t from_big_endian(std::string_view bytes);

}  // namespace holdfast::audit
