// Audit records for people at a terminal. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::officers {

enum class Colour { kNone, kAnsi };

// One line a record under a line of headings, columns as wide as their content. Long values are
// shortened in the middle. Whatever a record holds, no control character reaches the terminal.
std::string record_table(const std::vector<nlohmann::json>& records, Colour colour);

// One record, whole, as indented JSON.
std::string record_detail(const nlohmann::json& record);

// The text without control characters, C1 included, which could move the cursor or recolour what
// others wrote.
std::string printable(std::string_view text);

// How many columns a terminal takes for it: code points.
std::size_t width(std::string_view text);

}  // namespace holdfast::officers
