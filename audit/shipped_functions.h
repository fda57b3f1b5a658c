// The database functions that this version's migrations leave behind, as text: what the database is
// held against, since whoever may change its tables may change its functions as well.
//
// Pure.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "audit/migrations.h"

namespace holdfast::audit {

struct ShippedFunction {
  std::string_view statement;        // All of CREATE FUNCTION.
  std::string_view body;             // Between its $$; empty for one that is a single expression.
  std::set<std::string_view> roles;  // Who may execute it besides its owner.
};

// By name, without the schema: no two have the same.
using ShippedFunctions = std::map<std::string_view, ShippedFunction>;

// What is in force after the last migration: of each function the newest definition, and none that
// was dropped. The text is that of the migrations.
ShippedFunctions shipped_functions(std::span<const Migration> migrations);

// Statements that make each of them once more, in the session's own pg_temp. What they call stays
// the database's.
std::string temporary_functions(const ShippedFunctions& functions);

// The same for search_row() and what it calls, which is temporary too.
std::string temporary_search_functions(const ShippedFunctions& functions);

}  // namespace holdfast::audit
