// What the log's grammar (audit/log_grammar.h) needs to know of an entry: a few words out of a
// kilobyte, read in one pass.
//
// Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "audit/entry.h"
#include "audit/record.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/uuid.h"

namespace holdfast::audit {

// Where a record says that an approval stands. The names in records are in capitals.
enum class ApprovalState : std::uint8_t {
  kNone,  // The record names no state.
  kPending,
  kApproved,
  kRejected,
  kCancelled,
  kExpired,
  kInvalidated,
  kRevoked,
  kClaimed,
  kExecuted,
  kUnknown,
  kFailed,
};

std::string_view to_string(ApprovalState state);

struct EntryFacts {
  Kind kind = Kind::kSystem;
  WriterRole role = WriterRole::kProxy;
  Uuid id;
  Uuid writer;
  Uuid operation_id;  // All zero: none.
  WallTime time;
  std::optional<CallResult> result;  // Of an outcome.
  int status = 0;                    // Graph's, of an outcome; 0: none.
  Uuid approval;                     // Its code; all zero: none.
  ApprovalState approval_state = ApprovalState::kNone;
};

// kInvalid: the bytes are no entry as docs/audit_format.md defines one; the message says why.
Result<EntryFacts> read_facts(std::string_view entry);

}  // namespace holdfast::audit
