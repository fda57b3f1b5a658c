// Generations of rules, as officers ask for them. They change by records only (generation.h).
//
// Implementations are safe to call from any thread; a coroutine resumes on the executor it awaited
// on. kUnavailable, kTimeout, kLimit: no answer now, and nothing may be concluded.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "approval/decide.h"
#include "approval/generation.h"
#include "approval/list_file.h"
#include "base/result.h"
#include "base/task.h"

namespace holdfast::approval {

struct StoredGeneration {
  GenerationName name;
  std::string state;        // pending, active, superseded, rejected
  nlohmann::json document;  // As the database has it.
};

// kInternal: the database says something else.
Result<StoredGeneration> read_generation(const nlohmann::json& document);

struct RuledNow {
  std::int64_t generation = 0;  // 0: none is active, and everything is denied.
  Decision decision;
};

class GenerationSource {
 public:
  virtual ~GenerationSource() = default;

  // nullopt: there is none of that number.
  virtual Task<Result<std::optional<StoredGeneration>>> find(std::int64_t number) = 0;
  // What names the one that is active; nullopt: none is.
  virtual Task<Result<std::optional<GenerationName>>> active() = 0;
  // Newest first, with numbers below `below`.
  virtual Task<Result<std::vector<StoredGeneration>>> list(std::optional<std::int64_t> below,
                                                           int at_most) = 0;
  // The rule file first; none: there is no such generation.
  virtual Task<Result<SourceFiles>> files(std::int64_t number) = 0;
  // In sentences, what changes from the active generation to that one (rule_diff.h); none where
  // nothing is active. kInvalid: one of the two does not load here.
  virtual Task<Result<std::vector<std::string>>> changes(std::int64_t number) = 0;
  // What the active generation says of a call with these facts. kInvalid: it does not load here.
  virtual Task<Result<RuledNow>> decide(Facts facts) = 0;
};

}  // namespace holdfast::approval
