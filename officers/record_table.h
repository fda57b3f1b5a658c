// Audit records for people at a terminal. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace holdfast::officers {

enum class Colour { kNone, kAnsi };

// One line a record under a line of headings, columns as wide as their content. Long values are
// shortened in the middle. Whatever a record holds, no control character reaches the terminal.
std::string record_table(const std::vector<nlohmann::json>& records, Colour colour);

// One record, whole, as indented JSON.
std::string record_detail(const nlohmann::json& record);

}  // namespace holdfast::officers
