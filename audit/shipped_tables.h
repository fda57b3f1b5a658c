// The tables that this version's migrations make, as text: what the database's columns, defaults
// and constraints are held against.
//
// Pure.
#pragma once

#include <span>
#include <string>

#include "audit/migrations.h"

namespace holdfast::audit {

// Statements that make each of them once more, empty and as the migrations have changed it since,
// in the session's own pg_temp. Functions and sequences that they name stay the database's.
// Without their triggers and what else has a statement of its own.
std::string temporary_tables(std::span<const Migration> migrations);

}  // namespace holdfast::audit
