// What the API said, for people at a terminal. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::cli {

// The text at that place, without what could move the cursor or recolour the terminal; empty where
// there is no text.
std::string text_of(const nlohmann::json& object, const char* pointer);

// The texts of a list, as above, with `separator` between.
std::string texts_of(const nlohmann::json& list, std::string_view separator);

// Whose data a record's operation is about, as its path says it: a name, or `me`.
std::string mailbox_of(const nlohmann::json& record);

// Rows of equally many cells, each column as wide as its widest cell; the first row is the
// headings.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace holdfast::cli
