// The database schema that this binary carries: schema/*.sql, embedded when it is built.
#pragma once

#include <span>
#include <string_view>

namespace holdfast::audit {

struct Migration {
  std::string_view name;  // The file's name without .sql; the order of names is the order of work.
  std::string_view sql;
};

// In order. Lives as long as the program.
std::span<const Migration> migrations();

}  // namespace holdfast::audit
