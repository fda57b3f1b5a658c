#include "audit/cosignature.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "audit/note_text.h"
#include "base/encoding.h"

namespace holdfast::audit {
namespace {

constexpr std::string_view kOldWord = "old ";
constexpr std::size_t kTimeBytes = 8;

NoteKey note_key(const WitnessKey& key) {
  return {.name = key.name, .public_key = key.public_key};
}

bool is_of(const NoteSignature& signature, const WitnessKey& key) {
  return signature.name == key.name && signature.key_id == key.key_id();
}

}  // namespace

std::uint32_t WitnessKey::key_id() const {
  return note_key_id(NoteKeyType::kCosignature, note_key(*this));
}

std::string WitnessKey::text() const {
  return note_key_text(NoteKeyType::kCosignature, note_key(*this));
}

Result<WitnessKey> WitnessKey::parse(std::string_view text) {
  const Result<NoteKey> key = parse_note_key(NoteKeyType::kCosignature, text);
  if (!key.ok()) return key.error();
  return WitnessKey{.name = key->name, .public_key = key->public_key};
}

Result<Cosignature> verify_cosignature(const NoteSignature& signature, std::string_view text,
                                       const WitnessKey& key) {
  if (!is_of(signature, key)) return refused("not a signature of " + key.name);
  const std::string_view bytes = signature.bytes;
  if (bytes.size() <= kTimeBytes) return refused("the cosignature of " + key.name + " is cut");
  const std::uint64_t time = from_big_endian(bytes.substr(0, kTimeBytes));
  if (time == 0 || time > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return refused("the cosignature of " + key.name + " says no time");
  }
  const std::string message =
      "cosignature/v1\ntime " + std::to_string(time) + "\n" + std::string(text);
  if (!verify_signature(key.public_key, message, bytes.substr(kTimeBytes))) {
    return refused("the cosignature of " + key.name + " is wrong");
  }
  return Cosignature{
      .witness = key.name, .key_id = signature.key_id, .time_s = static_cast<std::int64_t>(time)};
}

Result<std::vector<Cosignature>> verify_cosignatures(const Note& note,
                                                     std::span<const WitnessKey> keys) {
  std::vector<Cosignature> found;
  for (const WitnessKey& key : keys) {
    bool counted = false;
    for (const NoteSignature& signature : note.signatures) {
      if (!is_of(signature, key)) continue;
      Result<Cosignature> said = verify_cosignature(signature, note.text, key);
      if (!said.ok()) return said.error();
      if (!counted) found.push_back(*std::move(said));
      counted = true;
    }
  }
  return found;
}

std::string format_add_checkpoint(const AddCheckpoint& request) {
  std::string body = std::string(kOldWord) + std::to_string(request.old_size) + "\n";
  for (const Sha256& hash : request.proof) body += to_base64(bytes_of(hash)) + "\n";
  return body + "\n" + request.note;
}

Result<std::vector<NoteSignature>> parse_signature_lines(std::string_view body) {
  // Under any text, they are a note.
  Result<Note> note = parse_note("\n\n" + std::string(body));
  if (!note.ok() || note->text != "\n") return invalid("not the signature lines of a note");
  return std::move(note->signatures);
}

Result<std::uint64_t> parse_tree_size(std::string_view body) {
  const std::optional<std::string_view> line = take_line(body);
  const std::optional<std::uint64_t> size = line ? parse_decimal(*line) : std::nullopt;
  if (!size || !body.empty()) return invalid("not a tree size");
  return *size;
}

}  // namespace holdfast::audit
