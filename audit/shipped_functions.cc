#include "audit/shipped_functions.h"

#include <algorithm>
#include <array>

namespace holdfast::audit {
namespace {

constexpr std::string_view kCreate = "CREATE FUNCTION holdfast.";
constexpr std::string_view kReplace = "CREATE OR REPLACE FUNCTION holdfast.";
constexpr std::string_view kDrop = "DROP FUNCTION holdfast.";
constexpr std::string_view kGrant = "GRANT EXECUTE ON FUNCTION";
constexpr std::string_view kSchema = "holdfast.";
constexpr std::string_view kBody = "$$";
constexpr std::string_view kExpression = "\nRETURN ";  // Of a function that is nothing else.
constexpr std::string_view kOfName = "abcdefghijklmnopqrstuvwxyz0123456789_";

std::string_view name_in(std::string_view text) {
  return text.substr(0, text.find_first_not_of(kOfName));
}

// Takes the statement that `sql` begins with off it.
void take_definition(std::string_view& sql, std::string_view keyword, ShippedFunctions& functions) {
  ShippedFunction& function = functions[name_in(sql.substr(keyword.size()))];
  const std::size_t body = sql.find(kBody);
  const std::size_t expression = sql.find(kExpression);
  std::size_t end = sql.find(';', expression);
  function.body = {};
  if (body < expression) {
    const std::size_t begin = body + kBody.size();
    const std::size_t close = std::min(sql.find(kBody, begin), sql.size());
    function.body = sql.substr(begin, close - begin);
    end = sql.find(';', close);
  }
  function.statement = sql.substr(0, end);
  sql.remove_prefix(function.statement.size());
}

// GRANT EXECUTE ON FUNCTION holdfast.a(types), holdfast.b(types) TO role, role. A type may be one
// of the schema's too, with nothing in parentheses behind it.
void note_grant(std::string_view statement, ShippedFunctions& functions) {
  const std::size_t to = std::min(statement.rfind(" TO "), statement.size());
  std::string_view list = statement.substr(0, to);
  std::string_view roles = statement.substr(to);
  roles.remove_prefix(std::min(roles.size(), std::string_view(" TO ").size()));
  for (std::size_t at = 0; (at = list.find(kSchema)) != std::string_view::npos;) {
    list.remove_prefix(at + kSchema.size());
    const std::string_view name = name_in(list);
    const auto function = functions.find(name);
    if (!list.substr(name.size()).starts_with('(') || function == functions.end()) continue;
    for (std::string_view rest = roles; !rest.empty();) {
      const std::string_view role = name_in(rest);
      if (!role.empty()) function->second.roles.insert(role);
      rest.remove_prefix(std::min(rest.size(), role.size() + 1));
    }
  }
}

// `statement` with another schema for the name that it begins with.
std::string in_pg_temp(std::string_view statement) {
  const std::size_t at = statement.find(kSchema);
  return std::string(statement.substr(0, at)) + "pg_temp." +
         std::string(statement.substr(at + kSchema.size()));
}

}  // namespace

ShippedFunctions shipped_functions(std::span<const Migration> migrations) {
  ShippedFunctions functions;
  for (const Migration& migration : migrations) {
    std::string_view sql = migration.sql;
    while (true) {
      const std::array<std::size_t, 4> found = {sql.find(kCreate), sql.find(kReplace),
                                                sql.find(kDrop), sql.find(kGrant)};
      const std::size_t begin = std::ranges::min(found);
      if (begin == std::string_view::npos) break;
      sql.remove_prefix(begin);
      if (sql.starts_with(kCreate)) {
        take_definition(sql, kCreate, functions);
      } else if (sql.starts_with(kReplace)) {
        take_definition(sql, kReplace, functions);
      } else {
        const std::string_view statement = sql.substr(0, sql.find(';'));
        if (statement.starts_with(kDrop)) {
          functions.erase(name_in(statement.substr(kDrop.size())));
        } else {
          note_grant(statement, functions);
        }
        sql.remove_prefix(statement.size());
      }
    }
  }
  return functions;
}

std::string temporary_functions(const ShippedFunctions& functions) {
  std::string sql;
  for (const auto& [name, function] : functions) sql += in_pg_temp(function.statement) + ";\n";
  return sql;
}

std::string temporary_search_functions(const ShippedFunctions& functions) {
  constexpr std::array<std::string_view, 3> kNeeded = {"search_name", "search_rows", "search_row"};
  constexpr std::string_view kPermanent = "holdfast.search_";
  constexpr std::string_view kTemporary = "pg_temp.search_";
  std::string sql;
  for (const std::string_view name : kNeeded) {
    const auto function = functions.find(name);
    if (function == functions.end()) continue;
    std::string statement(function->second.statement);
    for (std::size_t at = 0; (at = statement.find(kPermanent, at)) != std::string::npos;) {
      statement.replace(at, kPermanent.size(), kTemporary);
    }
    sql += statement + ";\n";
  }
  return sql;
}

}  // namespace holdfast::audit
