#include "officers/record_table.h"

#include <algorithm>
#include <array>

namespace holdfast::officers {
namespace {

using nlohmann::json;

constexpr std::size_t kColumns = 10;
using Row = std::array<std::string, kColumns>;

constexpr std::array<const char*, kColumns> kHeadings = {
    "TIME", "INDEX", "KIND", "WHO", "ACTION", "RESOURCE", "MAILBOX", "ITEM", "RESULT", "RULE"};
constexpr std::array<std::size_t, kColumns> kWidthMax = {26, 12, 14, 28, 16, 14, 28, 14, 24, 28};
constexpr std::size_t kResultColumn = 8;

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// The byte at which code point number `count` begins.
std::size_t byte_of(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (!is_continuation(text[at])) {
      if (count == 0) break;
      --count;
    }
    ++at;
  }
  return at;
}

// Keeps both ends: ids differ at their end, names at their beginning.
std::string shortened(const std::string& text, std::size_t width_max) {
  const std::size_t length = width(text);
  if (length <= width_max) return text;
  const std::size_t head = (width_max - 1) / 2;
  const std::size_t tail = width_max - 1 - head;
  return text.substr(0, byte_of(text, head)) + "…" + text.substr(byte_of(text, length - tail));
}

std::string shown_at(const json& record, const char* pointer) {
  const json::json_pointer place(pointer);
  if (!record.contains(place)) return {};
  const json& value = record.at(place);
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}

std::string first_of(std::initializer_list<std::string> texts) {
  for (const std::string& text : texts) {
    if (!text.empty()) return text;
  }
  return {};
}

std::string who(const json& record) {
  const std::string name =
      first_of({shown_at(record, "/actor/name"), shown_at(record, "/actor/user"),
                shown_at(record, "/actor/app"), shown_at(record, "/access/by")});
  // An unverified claim must not look like a fact.
  const bool unproven = shown_at(record, "/actor/verification") == "none" && !name.empty();
  return unproven ? name + " (?)" : name;
}

// What people call the mailbox: an address where the names have one, else as the request has it.
std::string mailbox(const json& record) {
  std::string key = shown_at(record, "/operation/mailbox/key");
  if (key.find('@') != std::string::npos) return key;
  const json::json_pointer place("/operation/mailbox/names");
  if (record.contains(place) && record.at(place).is_array()) {
    for (const json& name : record.at(place)) {
      if (name.is_string() && name.get_ref<const std::string&>().find('@') != std::string::npos) {
        return name.get<std::string>();
      }
    }
  }
  return first_of({key, shown_at(record, "/operation/mailbox/kind")});
}

std::string result(const json& record) {
  if (record.contains("malformed")) return "malformed";
  const std::string what =
      first_of({shown_at(record, "/outcome/result"), shown_at(record, "/decision/effect"),
                shown_at(record, "/approval/state"), shown_at(record, "/system/event")});
  const std::string status =
      first_of({shown_at(record, "/outcome/status"), shown_at(record, "/decision/status")});
  return status.empty() ? what : what + " " + status;
}

std::string rules(const json& record) {
  std::string text;
  const json::json_pointer place("/decision/rules");
  if (!record.contains(place) || !record.at(place).is_array()) return text;
  for (const json& rule : record.at(place)) {
    if (!text.empty()) text += ',';
    text += rule.is_string() ? rule.get<std::string>() : rule.dump();
  }
  return text;
}

// 2026-10-05T08:00:00.123456Z reads better as 2026-10-05 08:00:00.123
std::string when(const json& record) {
  std::string time = shown_at(record, "/time");
  if (time.size() < 23) return time;
  time.resize(23);
  time[10] = ' ';
  return time;
}

Row row_of(const json& record) {
  Row row = {when(record),
             shown_at(record, "/index"),
             shown_at(record, "/kind"),
             who(record),
             shown_at(record, "/operation/action"),
             shown_at(record, "/operation/resource"),
             mailbox(record),
             shown_at(record, "/operation/item"),
             result(record),
             rules(record)};
  for (std::size_t i = 0; i < kColumns; ++i) row[i] = shortened(printable(row[i]), kWidthMax[i]);
  return row;
}

const char* colour_of(const std::string& result) {
  if (result.starts_with("executed") || result.starts_with("allow")) return "\x1b[32m";
  if (result.starts_with("unknown") || result.starts_with("require_approval")) return "\x1b[33m";
  return "\x1b[31m";
}

std::string line_of(const Row& row, const std::array<std::size_t, kColumns>& widths,
                    Colour colour) {
  std::string line;
  for (std::size_t i = 0; i < kColumns; ++i) {
    const bool coloured = colour == Colour::kAnsi && i == kResultColumn && !row[i].empty();
    if (i > 0) line += "  ";
    if (coloured) line += colour_of(row[i]);
    line += row[i];
    if (coloured) line += "\x1b[0m";
    line.append(widths[i] - width(row[i]), ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

}  // namespace

std::string printable(std::string_view text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || c1) {
      safe += '?';
      if (c1) ++i;
    } else {
      safe += text[i];
    }
  }
  return safe;
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

std::string record_table(const std::vector<json>& records, Colour colour) {
  Row headings;
  std::copy(kHeadings.begin(), kHeadings.end(), headings.begin());
  std::vector<Row> rows;
  rows.reserve(records.size());
  for (const json& record : records) rows.push_back(row_of(record));
  std::array<std::size_t, kColumns> widths{};
  for (std::size_t i = 0; i < kColumns; ++i) {
    widths[i] = width(headings[i]);
    for (const Row& row : rows) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string table = line_of(headings, widths, Colour::kNone);
  for (const Row& row : rows) table += line_of(row, widths, colour);
  return table;
}

std::string record_detail(const json& record) {
  const std::string text = record.dump(2, ' ', false, json::error_handler_t::replace);
  std::string safe;
  std::size_t start = 0;
  for (std::size_t end = text.find('\n'); start < text.size(); end = text.find('\n', start)) {
    if (end == std::string::npos) end = text.size();
    safe += printable(std::string_view(text).substr(start, end - start)) + "\n";
    start = end + 1;
  }
  return safe;
}

}  // namespace holdfast::officers
