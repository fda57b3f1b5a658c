#include "audit/shipped_functions.h"

#include <algorithm>
#include <array>

namespace holdfast::audit {
namespace {

constexpr std::string_view kCreate = "CREATE FUNCTION holdfast.";
constexpr std::string_view kReplace = "CREATE OR REPLACE FUNCTION holdfast.";
constexpr std::string_view kBody = "$$";
constexpr std::string_view kExpression = "\nRETURN ";  // Of a function that is nothing else.

// From the statement's beginning; takes it off `sql`.
ShippedFunction take_function(std::string_view& sql, std::size_t name_at) {
  ShippedFunction function;
  const std::string_view from_name = sql.substr(name_at);
  function.name = from_name.substr(0, from_name.find('('));
  const std::size_t body = sql.find(kBody);
  const std::size_t expression = sql.find(kExpression);
  std::size_t end = sql.find(';', expression);
  if (body < expression) {
    const std::size_t begin = body + kBody.size();
    const std::size_t close = std::min(sql.find(kBody, begin), sql.size());
    function.body = sql.substr(begin, close - begin);
    end = sql.find(';', close);
  }
  function.statement = sql.substr(0, end);
  sql.remove_prefix(function.statement.size());
  return function;
}

}  // namespace

std::vector<ShippedFunction> shipped_functions(std::span<const Migration> migrations) {
  std::vector<ShippedFunction> functions;
  for (const Migration& migration : migrations) {
    std::string_view sql = migration.sql;
    while (true) {
      const std::size_t begin = std::min(sql.find(kCreate), sql.find(kReplace));
      if (begin == std::string_view::npos) break;
      sql.remove_prefix(begin);
      functions.push_back(
          take_function(sql, sql.starts_with(kCreate) ? kCreate.size() : kReplace.size()));
    }
  }
  return functions;
}

std::string temporary_search_functions(std::span<const ShippedFunction> functions) {
  constexpr std::array<std::string_view, 3> kNeeded = {"search_name", "search_rows", "search_row"};
  constexpr std::string_view kPermanent = "holdfast.search_";
  constexpr std::string_view kTemporary = "pg_temp.search_";
  std::string sql;
  for (const std::string_view name : kNeeded) {
    std::string statement;
    for (const ShippedFunction& function : functions) {
      if (function.name == name) statement = function.statement;
    }
    for (std::size_t at = 0; (at = statement.find(kPermanent, at)) != std::string::npos;) {
      statement.replace(at, kPermanent.size(), kTemporary);
    }
    sql += statement + ";\n";
  }
  return sql;
}

}  // namespace holdfast::audit
