// Generations of rules as records tell of them (docs/audit_format.md). Pure.
//
// A generation changes only by a `rules` record: the database does what its `rules` member says in
// the statement that appends it, or refuses the record where things are not as it says
// (schema/*_generations.sql).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "approval/rules.h"

namespace holdfast::approval {

// How many people it takes to loosen the rules.
enum class PeopleNeeded { kOne, kTwo };

// What names a generation in records.
struct GenerationName {
  std::int64_t number = 0;
  std::string revision;
  std::string sha256;
};

// A `rules` member about `generation`, with what is active until now; nullopt: none is.
nlohmann::json generation_change(std::string_view event, const GenerationName& generation,
                                 const std::optional<GenerationName>& active);

// That of a proxy whose files are new: `activated`, in force at once, or `offered`, where it
// loosens something and that takes two people.
nlohmann::json generation_offer(std::int64_t number, const RuleSet& rules,
                                const std::vector<std::string>& loosens, PeopleNeeded people,
                                const std::optional<GenerationName>& active);

}  // namespace holdfast::approval
