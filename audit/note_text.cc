#include "audit/note_text.h"

#include <algorithm>
#include <charconv>

#include "audit/checkpoint.h"
#include "base/encoding.h"

namespace holdfast::audit {
namespace {

std::string typed_key(NoteKeyType type, const Ed25519PublicKey& key) {
  std::string bytes(1, static_cast<char>(type));
  return bytes.append(reinterpret_cast<const char*>(key.data()), key.size());
}

}  // namespace

std::uint32_t note_key_id(NoteKeyType type, const NoteKey& key) {
  const Sha256 digest = sha256(key.name + "\n" + typed_key(type, key.public_key));
  return static_cast<std::uint32_t>(from_big_endian(bytes_of(digest).substr(0, kKeyIdBytes)));
}

std::string note_key_text(NoteKeyType type, const NoteKey& key) {
  return key.name + "+" + to_hex(big_endian(note_key_id(type, key))) + "+" +
         to_base64(typed_key(type, key.public_key));
}

Result<NoteKey> parse_note_key(NoteKeyType type, std::string_view text) {
  const std::size_t first = text.find('+');
  const std::size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return invalid("a verifier key is name+id+key");
  NoteKey key{.name = std::string(text.substr(0, first)), .public_key = {}};
  const std::optional<std::string> bytes = from_base64(text.substr(second + 1));
  if (!is_key_name(key.name) || !bytes || bytes->size() != 1 + key.public_key.size() ||
      bytes->front() != static_cast<char>(type)) {
    return invalid(type == NoteKeyType::kEd25519
                       ? "not the verifier key of an Ed25519 key"
                       : "not the verifier key of a witness with an Ed25519 key");
  }
  std::ranges::copy(bytes->substr(1), key.public_key.begin());
  if (note_key_text(type, key) != text) {
    return invalid("the verifier key's id does not fit its name and key");
  }
  return key;
}

std::optional<std::string_view> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || std::to_string(number) != text) return std::nullopt;
  return number;
}

std::optional<Sha256> parse_hash(std::string_view text) {
  const std::optional<std::string> bytes = from_base64(text);
  if (!bytes || bytes->size() != sizeof(Sha256)) return std::nullopt;
  Sha256 hash{};
  std::ranges::copy(*bytes, hash.begin());
  return hash;
}

std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>((number >> shift) & 0xFF);
  return bytes;
}

std::uint64_t from_big_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<std::uint8_t>(byte);
  return number;
}

}  // namespace holdfast::audit
