#include "cli/text_table.h"

#include <algorithm>

#include "officers/record_table.h"

namespace holdfast::cli {

std::string text_of(const nlohmann::json& object, const char* pointer) {
  const nlohmann::json::json_pointer place(pointer);
  if (!object.contains(place) || !object.at(place).is_string()) return {};
  return officers::printable(object.at(place).get<std::string>());
}

std::string mailbox_of(const nlohmann::json& record) {
  const std::string key = text_of(record, "/operation/mailbox/key");
  return key.empty() ? text_of(record, "/operation/mailbox/kind") : key;
}

std::string texts_of(const nlohmann::json& list, std::string_view separator) {
  std::string text;
  for (const nlohmann::json& one : list) {
    if (!one.is_string()) continue;
    if (!text.empty()) text += separator;
    text += officers::printable(one.get<std::string>());
  }
  return text;
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], officers::width(row[i]));
    }
  }
  std::string table;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] - officers::width(row[i]) + 2, ' ');
    }
    line.resize(line.find_last_not_of(' ') + 1);
    table += line + "\n";
  }
  return table;
}

}  // namespace holdfast::cli
