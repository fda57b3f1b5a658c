// Legal holds on mailboxes: what officers may do with one, as a pure state machine, and the port
// that tells what holds there are. A hold changes only by the `system` records made here, which the
// database applies in the statement that appends them (schema/0012_retention.sql).
//
//   placed --confirm, by somebody else--> held --lift--> lifting --lift, by somebody else--> lifted
//   placed --lift--> lifting;  lifting --confirm--> held
//
// It counts in every state but the last: who places one does not wait for anybody.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/uuid.h"
#include "officers/officer.h"

namespace holdfast::officers {

constexpr int kHoldsMax = 1000;            // Listed at once.
constexpr std::size_t kHoldNamesMax = 50;  // Of mailboxes in one hold.

struct Hold {
  Uuid id;
  std::string state;
  // Whom the next step needs somebody else than; no accounts: anybody may take it.
  approval::Identity waits_on{};
  nlohmann::json document;  // As the database has it.
};

// kInternal: the database says something else.
Result<Hold> read_hold(const nlohmann::json& document);

enum class WhichHolds { kInForce, kAll };

// Safe from any thread; a coroutine resumes on the executor it awaited on. Errors: kUnavailable,
// kTimeout, kLimit.
class HoldSource {
 public:
  virtual ~HoldSource() = default;
  // In whatever state; nullopt: there is none.
  virtual Task<Result<std::optional<Hold>>> find(Uuid id) = 0;
  // Newest first, at most kHoldsMax.
  virtual Task<Result<std::vector<Hold>>> list(WhichHolds which) = 0;
};

enum class HoldVerb { kConfirm, kLift };

// The records' content. kRefused: this officer may not; kInvalid: nobody may in this state.
// `mailboxes` are names in lower case.
Result<nlohmann::json> hold_placing(Uuid id, const std::vector<std::string>& mailboxes,
                                    std::string_view reason, const Officer& officer);
Result<nlohmann::json> hold_step(const Hold& hold, HoldVerb verb, std::string_view reason,
                                 const Officer& officer, approval::TokenApprovals tokens);

}  // namespace holdfast::officers
