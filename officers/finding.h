// What Graph can tell of an operation whose outcome is unknown: what to ask, what the answer means,
// and the record of both. Pure.
//
// Only a permanent delete leaves a trace that can be looked for: its item is gone, or still there.
// Anything less certain (another answer, an item reached through what others may have shared, whose
// id means nothing elsewhere) settles nothing.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "audit/record.h"
#include "base/clock.h"
#include "http/message.h"
#include "identity/graph_lookup.h"

namespace holdfast::officers {

struct Question {
  std::string target;     // Origin form.
  http::Headers headers;  // What makes Graph read the item's id as it did in the call.
};

// nullopt: no question to Graph would tell. `outcome` is the unknown outcome's content.
std::optional<Question> question_about(const nlohmann::json& outcome);

enum class Fate {
  kGone,     // Graph does not have the item any more.
  kThere,    // Graph still has it.
  kUnclear,  // The answer is neither.
};

struct Finding {
  Fate fate = Fate::kUnclear;
  int status = 0;
  std::string error_code{};
  std::string graph_request_id{};
};

Finding judge(const identity::GraphAnswer& answer);

// The reconciliation: executed where the item is gone, not_executed where it is there, with the
// evidence. Only for those two.
audit::Record reconciliation_record(const Uuid& operation_id, const nlohmann::json& outcome,
                                    const Question& question, const Finding& finding,
                                    WallTime asked_at);

}  // namespace holdfast::officers
