#include "audit/shipped_tables.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace holdfast::audit {
namespace {

// At the beginning of a line: what functions do stands deeper.
constexpr std::string_view kCreateTable = "\nCREATE TABLE holdfast.";
constexpr std::string_view kAlterTable = "\nALTER TABLE holdfast.";
constexpr std::string_view kAboutTriggers = " TRIGGER ";
constexpr std::string_view kTableSchema = "holdfast.";
// What stands before the name of a table.
constexpr std::array<std::string_view, 3> kBeforeTables = {"TABLE ", "REFERENCES ", "INHERITS ("};

// Comments may hold semicolons; names and texts of these statements hold no "--".
std::string without_comments(std::string_view sql) {
  std::string text;
  for (std::size_t begin = 0; begin < sql.size();) {
    const std::size_t comment = std::min(sql.find("--", begin), sql.size());
    text += sql.substr(begin, comment - begin);
    begin = std::min(sql.find('\n', comment), sql.size());
  }
  return text;
}

std::string with_temporary_names(std::string_view statement) {
  std::string text(statement);
  for (const std::string_view before : kBeforeTables) {
    const std::string name = std::string(before) + std::string(kTableSchema);
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos;) {
      text.replace(at + before.size(), kTableSchema.size(), "pg_temp.");
    }
  }
  return text;
}

}  // namespace

std::string temporary_tables(std::span<const Migration> migrations) {
  std::string sql;
  for (const Migration& migration : migrations) {
    const std::string sources = without_comments(migration.sql);
    std::string_view rest = sources;
    while (true) {
      const std::size_t begin = std::min(rest.find(kCreateTable), rest.find(kAlterTable));
      if (begin == std::string_view::npos) break;
      rest.remove_prefix(begin + 1);
      const std::string_view statement = rest.substr(0, rest.find(';'));
      if (statement.find(kAboutTriggers) == std::string_view::npos) {
        sql += with_temporary_names(statement) + ";\n";
      }
      rest.remove_prefix(statement.size());
    }
  }
  return sql;
}

}  // namespace holdfast::audit
