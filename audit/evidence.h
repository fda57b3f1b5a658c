// What others have said of the log's checkpoints, as it is kept and handed to a verifier: the
// cosignatures of witnesses and the tokens of time-stamp authorities. Pure.
//
// `/log/evidence/<N>`, and the file evidence/<N> of a copy of the log, holds pieces 256 N to
// 256 N + 255, one on each line, in the order of their arrival; the last file may hold fewer. The
// same form, a checkpoint a line, is what an anchor file holds and what a sink is sent.
// docs/audit_format.md says it for outsiders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/tree.h"
#include "base/clock.h"
#include "base/result.h"

namespace holdfast::audit {

inline constexpr std::uint64_t kEvidenceInFile = 256;

enum class EvidenceKind {
  kCosignature,  // `content` is the signature line of a note, without its newline.
  kTimestamp,    // `content` is an RFC 3161 token, DER, over the SHA-256 of the checkpoint's text.
  kReceipt,      // A sink has taken the checkpoint; `content` is empty. Only Holdfast says so.
};

// "cosignature", "timestamp", "receipt".
std::string_view to_text(EvidenceKind kind);

struct Evidence {
  EvidenceKind kind = EvidenceKind::kReceipt;
  std::string anchor;  // Who says so: a witness's key name, an authority's URL, "sink".
  TreeHead head;       // Of which checkpoint.
  std::string content;
  WallTime received;  // On the database's clock.
  bool operator==(const Evidence&) const = default;
};

// One line with its newline, and back without one. kInvalid. Lines of kinds not known are
// kNotFound: to be skipped.
std::string evidence_line(const Evidence& evidence);
Result<Evidence> parse_evidence_line(std::string_view line);

// A signed checkpoint and when it was signed, as a line of an anchor file.
struct AnchoredCheckpoint {
  TreeHead head;
  std::string note;
  WallTime signed_at;
  bool operator==(const AnchoredCheckpoint&) const = default;
};
std::string anchor_line(const AnchoredCheckpoint& checkpoint);
Result<AnchoredCheckpoint> parse_anchor_line(std::string_view line);

}  // namespace holdfast::audit
