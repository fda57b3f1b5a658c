#include "audit/checkpoint.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "audit/note_text.h"
#include "base/encoding.h"

namespace holdfast::audit {
namespace {

constexpr std::string_view kSignatureMark = "\xE2\x80\x94 ";  // Em dash, space.
constexpr std::string_view kProofHeader = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kIndexWord = "index ";
constexpr std::string_view kExtraWord = "extra ";
constexpr std::size_t kSignaturesMax = 100;
constexpr std::size_t kProofHashesMax = 64;

// U+0085, U+00A0, U+1680, U+2000 … U+200A, U+2028, U+2029, U+202F, U+205F, U+3000.
bool has_wide_space(std::string_view text) {
  static constexpr std::string_view kSpaces[] = {
      "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
      "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
      "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
      "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
  return std::ranges::any_of(
      kSpaces, [&](std::string_view space) { return text.find(space) != std::string_view::npos; });
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20;
}

std::optional<NoteSignature> parse_signature(std::string_view line) {
  if (!line.starts_with(kSignatureMark)) return std::nullopt;
  line.remove_prefix(kSignatureMark.size());
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || !is_key_name(line.substr(0, space))) return std::nullopt;
  const std::optional<std::string> bytes = from_base64(line.substr(space + 1));
  if (!bytes || bytes->size() <= kKeyIdBytes) return std::nullopt;
  return NoteSignature{.name = std::string(line.substr(0, space)),
                       .key_id = static_cast<std::uint32_t>(
                           from_big_endian(std::string_view(*bytes).substr(0, kKeyIdBytes))),
                       .bytes = bytes->substr(kKeyIdBytes)};
}

// Of a note that no known key has signed: who has, under the name of one, as verifier keys begin. A
// log whose key was followed by another has checkpoints of a key that nobody may have named.
std::string unknown_keys(const Note& note, std::span<const VerifierKey> keys) {
  std::string list;
  for (const NoteSignature& signature : note.signatures) {
    if (std::ranges::find(keys, signature.name, &VerifierKey::name) == keys.end()) continue;
    list += (list.empty() ? ", but " : ", ") + signature.name + "+" +
            to_hex(big_endian(signature.key_id));
  }
  return list;
}

}  // namespace

std::string signature_line(const NoteSignature& signature) {
  return std::string(kSignatureMark) + signature.name + " " +
         to_base64(big_endian(signature.key_id) + signature.bytes) + "\n";
}

std::string format_note(const Note& note) {
  std::string bytes = note.text + "\n";
  for (const NoteSignature& signature : note.signatures) bytes += signature_line(signature);
  return bytes;
}

Result<Note> parse_note(std::string_view bytes) {
  if (bytes.size() > kNoteBytesMax) return invalid("not a note: over 1 MiB");
  if (!is_utf8(bytes)) return invalid("not a note: not UTF-8");
  if (std::ranges::any_of(bytes, [](char c) { return is_control(c) && c != '\n'; })) {
    return invalid("not a note: control characters");
  }
  const std::size_t blank = bytes.rfind("\n\n");
  if (blank == std::string_view::npos) return invalid("not a note: no blank line");
  Note note{.text = std::string(bytes.substr(0, blank + 1)), .signatures = {}};
  std::string_view rest = bytes.substr(blank + 2);
  while (!rest.empty()) {
    const std::optional<std::string_view> line = take_line(rest);
    std::optional<NoteSignature> signature;
    if (line) signature = parse_signature(*line);
    if (!signature) return invalid("not a note: a line that is no signature");
    if (note.signatures.size() >= kSignaturesMax) return invalid("not a note: too many signatures");
    note.signatures.push_back(*std::move(signature));
  }
  if (note.signatures.empty()) return invalid("not a note: no signature");
  return note;
}

bool is_key_name(std::string_view name) {
  return !name.empty() && is_utf8(name) && !has_wide_space(name) &&
         std::ranges::none_of(
             name, [](char c) { return is_control(c) || c == ' ' || c == '+' || c == '\x7F'; });
}

std::uint32_t VerifierKey::key_id() const {
  return note_key_id(NoteKeyType::kEd25519, {.name = name, .public_key = public_key});
}

std::string VerifierKey::text() const {
  return note_key_text(NoteKeyType::kEd25519, {.name = name, .public_key = public_key});
}

Result<VerifierKey> VerifierKey::parse(std::string_view text) {
  const Result<NoteKey> key = parse_note_key(NoteKeyType::kEd25519, text);
  if (!key.ok()) return key.error();
  return VerifierKey{.name = key->name, .public_key = key->public_key};
}

NoteSigner::NoteSigner(std::string name, SigningKey key)
    : verifier_{.name = std::move(name), .public_key = key.public_key()}, key_(std::move(key)) {}

NoteSignature NoteSigner::sign(std::string_view text) const {
  return {.name = verifier_.name, .key_id = verifier_.key_id(), .bytes = key_.sign(text)};
}

Status verify_note(const Note& note, std::span<const VerifierKey> keys) {
  bool signed_by_known = false;
  for (const NoteSignature& signature : note.signatures) {
    for (const VerifierKey& key : keys) {
      if (signature.name != key.name || signature.key_id != key.key_id()) continue;
      if (!verify_signature(key.public_key, note.text, signature.bytes)) {
        return Error{ErrorCode::kRefused, "the signature of " + key.name + " is wrong"};
      }
      signed_by_known = true;
    }
  }
  if (signed_by_known) return {};
  return Error{ErrorCode::kRefused, "no known key has signed this" + unknown_keys(note, keys)};
}

std::string checkpoint_text(const Checkpoint& checkpoint) {
  std::string text = checkpoint.origin + "\n" + std::to_string(checkpoint.head.size) + "\n" +
                     to_base64(bytes_of(checkpoint.head.root)) + "\n";
  for (const std::string& line : checkpoint.extensions) text += line + "\n";
  return text;
}

Result<Checkpoint> parse_checkpoint_text(std::string_view text) {
  const auto origin = take_line(text);
  const auto size = take_line(text);
  const auto root = take_line(text);
  if (!origin || !size || !root || origin->empty()) {
    return invalid("not a checkpoint: origin, size and root are missing");
  }
  const std::optional<std::uint64_t> number = parse_decimal(*size);
  const std::optional<Sha256> hash = parse_hash(*root);
  if (!number || !hash) return invalid("not a checkpoint: no tree size and root hash");
  Checkpoint checkpoint{
      .origin = std::string(*origin), .head = {.size = *number, .root = *hash}, .extensions = {}};
  while (!text.empty()) {
    const auto line = take_line(text);
    if (!line || line->empty()) return invalid("not a checkpoint: an empty or unfinished line");
    checkpoint.extensions.emplace_back(*line);
  }
  return checkpoint;
}

std::string sign_checkpoint(const Checkpoint& checkpoint, std::span<const NoteSigner> signers) {
  Note note{.text = checkpoint_text(checkpoint), .signatures = {}};
  for (const NoteSigner& signer : signers) note.signatures.push_back(signer.sign(note.text));
  return format_note(note);
}

Result<Checkpoint> read_checkpoint(std::string_view note) {
  const Result<Note> parsed = parse_note(note);
  if (!parsed.ok()) return parsed.error();
  return parse_checkpoint_text(parsed->text);
}

Result<Checkpoint> open_checkpoint(std::string_view note, std::span<const VerifierKey> keys) {
  const Result<Note> parsed = parse_note(note);
  if (!parsed.ok()) return parsed.error();
  Result<Checkpoint> checkpoint = parse_checkpoint_text(parsed->text);
  if (!checkpoint.ok()) return checkpoint;
  std::vector<VerifierKey> of_origin;
  for (const VerifierKey& key : keys) {
    if (key.name == checkpoint->origin) of_origin.push_back(key);
  }
  if (Status verified = verify_note(*parsed, of_origin); !verified.ok()) return verified.error();
  return checkpoint;
}

std::string format_proof(std::uint64_t index, std::span<const Sha256> proof,
                         std::string_view checkpoint_note) {
  std::string text =
      std::string(kProofHeader) + "\n" + std::string(kIndexWord) + std::to_string(index) + "\n";
  for (const Sha256& hash : proof) text += to_base64(bytes_of(hash)) + "\n";
  return text + "\n" + std::string(checkpoint_note);
}

Result<TlogProof> parse_proof(std::string_view bytes) {
  std::optional<std::string_view> line = take_line(bytes);
  if (line != kProofHeader) return invalid("not a tlog-proof: its first line is another");
  line = take_line(bytes);
  if (line && line->starts_with(kExtraWord)) {
    if (!from_base64(line->substr(kExtraWord.size()))) return invalid("not a tlog-proof: extra");
    line = take_line(bytes);
  }
  std::optional<std::uint64_t> index;
  if (line && line->starts_with(kIndexWord)) index = parse_decimal(line->substr(kIndexWord.size()));
  if (!index) return invalid("not a tlog-proof: no index");
  TlogProof proof{.index = *index, .hashes = {}, .checkpoint_note = {}};
  while ((line = take_line(bytes)) && !line->empty()) {
    const std::optional<Sha256> hash = parse_hash(*line);
    if (!hash || proof.hashes.size() >= kProofHashesMax) {
      return invalid("not a tlog-proof: a line that is no hash");
    }
    proof.hashes.push_back(*hash);
  }
  if (!line) return invalid("not a tlog-proof: no checkpoint");
  proof.checkpoint_note = bytes;
  return proof;
}

}  // namespace holdfast::audit
