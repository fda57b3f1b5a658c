// What a log signs: C2SP tlog-checkpoint bodies in C2SP signed notes, with Ed25519 keys. Pure.
//
//   std::string note = sign_checkpoint({.origin = "audit.contoso.com/log", .head = {size, root}},
//                                      signers);
//   Result<Checkpoint> checkpoint = open_checkpoint(note, keys);   // Verified, or an error.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/tree.h"
#include "base/result.h"
#include "base/signing.h"

namespace holdfast::audit {

struct NoteSignature {
  std::string name;  // Of the key.
  std::uint32_t key_id = 0;
  std::string bytes;  // What the algorithm made, without the key id.
  bool operator==(const NoteSignature&) const = default;
};

struct Note {
  std::string text;  // With its last newline.
  std::vector<NoteSignature> signatures;
  bool operator==(const Note&) const = default;
};

// As a note is served and stored. parse_note(format_note(note)) is that note again. kInvalid: it is
// none (form only; signatures are not verified). At most 1 MiB and 100 signatures.
std::string format_note(const Note& note);
Result<Note> parse_note(std::string_view bytes);

// One signature as its line, with the newline: what a witness answers with.
std::string signature_line(const NoteSignature& signature);

// Not empty, no white space, no plus, no control characters, UTF-8.
bool is_key_name(std::string_view name);

// Who may sign. key_id is the one that the specification recommends.
struct VerifierKey {
  std::string name;
  Ed25519PublicKey public_key{};

  std::uint32_t key_id() const;
  // <name>+<key id, hex>+<type and key, Base64>
  std::string text() const;
  static Result<VerifierKey> parse(std::string_view text);

  bool operator==(const VerifierKey&) const = default;
};

class NoteSigner {
 public:
  NoteSigner(std::string name, SigningKey key);
  const VerifierKey& verifier() const { return verifier_; }
  NoteSignature sign(std::string_view text) const;

 private:
  VerifierKey verifier_;
  SigningKey key_;
};

// Whether a known key has signed the note. kRefused: none has, or the signature of a known one is
// wrong. Signatures of unknown keys count for nothing.
Status verify_note(const Note& note, std::span<const VerifierKey> keys);

struct Checkpoint {
  std::string origin;
  TreeHead head;
  std::vector<std::string> extensions;  // Further lines; Holdfast writes none.
  bool operator==(const Checkpoint&) const = default;
};

std::string checkpoint_text(const Checkpoint& checkpoint);
Result<Checkpoint> parse_checkpoint_text(std::string_view text);

// The note with one signature for each signer, in their order.
std::string sign_checkpoint(const Checkpoint& checkpoint, std::span<const NoteSigner> signers);

// The checkpoint in a note without looking at its signatures: for what this process has signed
// itself, or checks by other means. kInvalid.
Result<Checkpoint> read_checkpoint(std::string_view note);

// The checkpoint in a note that one of the keys has signed, where each key is for the origin that
// it is named after. kInvalid, kRefused.
Result<Checkpoint> open_checkpoint(std::string_view note, std::span<const VerifierKey> keys);

// A C2SP tlog-proof: that the checkpoint's tree holds the entry at that index.
std::string format_proof(std::uint64_t index, std::span<const Sha256> proof,
                         std::string_view checkpoint_note);

struct TlogProof {
  std::uint64_t index = 0;
  Proof hashes;
  std::string checkpoint_note;
};
Result<TlogProof> parse_proof(std::string_view bytes);

}  // namespace holdfast::audit
