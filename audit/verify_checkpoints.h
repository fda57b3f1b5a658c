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

}  // namespace holdfast::audit
