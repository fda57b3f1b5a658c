// What the log's grammar (audit/log_grammar.h) needs to know of an entry: a few words out of a
// kilobyte, read in one pass.
//
// Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/approval_state.h"
#include "audit/entry.h"
#include "audit/record.h"
#include "audit/retention.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/uuid.h"

namespace holdfast::audit {

struct EntryFacts {
  Kind kind = Kind::kSystem;
  WriterRole role = WriterRole::kProxy;
  Uuid id;
  Uuid writer;
  Uuid operation_id;  // All zero: none.
  WallTime time;
  std::optional<CallResult> result;             // Of an outcome.
  int status = 0;                               // Graph's, of an outcome; 0: none.
  Uuid approval;                                // Its code; all zero: none.
  std::optional<ApprovalState> approval_state;  // Where it says that the approval stands.
  Uuid overrides;  // The approval that an intent goes past, and so ends; all zero: none.
  Uuid step_of;    // The approval or review of which it takes a step; all zero: none.
  std::vector<IndexRange> dropped;  // Of retention's record: what is gone.
  // Of a record of retention, or about a legal hold: its member `system`, as JSON.
  std::string system;
};

// kInvalid: the bytes are no entry as docs/audit_format.md defines one; the message says why.
Result<EntryFacts> read_facts(std::string_view entry);

}  // namespace holdfast::audit
