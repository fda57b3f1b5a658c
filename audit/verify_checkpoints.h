// The first part of verifying a log: who signed its checkpoints. What comes of it are roots that
// the entries have to lead to (audit/verify.h).
//
// Pure, but for the threads it uses.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/verify.h"

namespace holdfast::audit {

struct FoundNote {
  std::string note;
  std::string from{};  // What it is, with the ordinal (checkpoint_name()).
  std::uint64_t ordinal = 0;
};

struct CheckedNotes {
  std::vector<SignedRoot> roots;  // Of those that are well signed, in the order of the notes.
  Faults faults;
};

// Each note must be a checkpoint that one of the keys has signed, and none of them wrongly. Without
// any keys signatures are not looked at: whoever asks for that must say so.
CheckedNotes check_notes(std::span<const FoundNote> notes, std::span<const VerifierKey> keys,
                         unsigned threads);

// A log's records and no signed root over any of them, as a fault: whoever has taken all
// checkpoints away could have written any records in their place. That it never was signed cannot
// be told from what is in the database, so a log that waits for its first checkpoint is one as
// well.
Faults check_signed(std::uint64_t records, std::span<const SignedRoot> roots);

// Those of `kept` whose tree no root of `stored` is of.
std::vector<SignedRoot> roots_lacking(std::span<const SignedRoot> kept,
                                      std::span<const SignedRoot> stored);

}  // namespace holdfast::audit
