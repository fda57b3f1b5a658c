// What witnesses say of a checkpoint, and what they are asked: C2SP tlog-cosignature (Ed25519,
// cosignature/v1) and the messages of C2SP tlog-witness. Pure.
//
// A witness has seen every checkpoint of a log that it cosigned before and vouches that this one
// only adds to them. So whoever trusts a witness cannot be shown a log that was rolled back.
//
//   std::string body = format_add_checkpoint({.old_size = 256, .proof = proof, .note = note});
//   Result<std::vector<NoteSignature>> lines = parse_signature_lines(answer);
//   Result<Cosignature> said = verify_cosignature(line, note.text, key);
//
//   Result<std::vector<Cosignature>> cosigned = verify_cosignatures(note, keys);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/tree.h"
#include "base/result.h"
#include "base/signing.h"

namespace holdfast::audit {

struct WitnessKey {
  std::string name;
  Ed25519PublicKey public_key{};

  std::uint32_t key_id() const;
  // <name>+<key id, hex>+<0x04 and key, Base64>. kInvalid, also for keys of other algorithms.
  std::string text() const;
  static Result<WitnessKey> parse(std::string_view text);

  bool operator==(const WitnessKey&) const = default;
};

// That a witness had seen no larger tree of this log, and none that contradicts it, at that time.
struct Cosignature {
  std::string witness;  // Its key's name.
  std::uint32_t key_id = 0;
  std::int64_t time_s = 0;  // POSIX time, on the witness's clock.
  bool operator==(const Cosignature&) const = default;
};

// Of one signature over a note's text. kRefused: it is of another key, or wrong.
Result<Cosignature> verify_cosignature(const NoteSignature& signature, std::string_view text,
                                       const WitnessKey& key);

// The cosignatures of known witnesses under a note, each once; signatures of others count for
// nothing. kRefused: one of a known witness is wrong.
Result<std::vector<Cosignature>> verify_cosignatures(const Note& note,
                                                     std::span<const WitnessKey> keys);

struct AddCheckpoint {
  std::uint64_t old_size = 0;  // What the witness cosigned last.
  Proof proof;                 // RFC 6962, 2.1.2, from there; empty for 0.
  std::string note;
};

// The body of a POST to <prefix>/add-checkpoint.
std::string format_add_checkpoint(const AddCheckpoint& request);

// The witness's answers: signature lines (200), and the size that it cosigned last (409). kInvalid.
Result<std::vector<NoteSignature>> parse_signature_lines(std::string_view body);
Result<std::uint64_t> parse_tree_size(std::string_view body);

}  // namespace holdfast::audit
