// The database functions that this version's migrations define, as text: what the database is held
// against, since whoever may change its tables may change its functions as well.
//
// Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/migrations.h"

namespace holdfast::audit {

struct ShippedFunction {
  std::string_view name;       // Without the schema.
  std::string_view statement;  // All of CREATE FUNCTION.
  std::string_view body;       // Between its $$; empty for one that is a single expression.
};

// Every definition, in the order of the migrations; a later one of a name may have replaced earlier
// ones.
std::vector<ShippedFunction> shipped_functions(std::span<const Migration> migrations);

// Statements that make search_row() and what it calls once more, in the session's own pg_temp.
std::string temporary_search_functions(std::span<const ShippedFunction> functions);

}  // namespace holdfast::audit
