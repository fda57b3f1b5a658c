// The program's own log: one JSON object a line on standard error.
//
//   log_info("listening", {{"address", "0.0.0.0"}, {"port", 8443}});
//
// The event is a fixed phrase to search for; everything that varies is a field. Never pass a token,
// a key or a request body. Safe from any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace holdfast {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

void set_log_level(LogLevel level);

void log_debug(std::string_view event, nlohmann::json fields = nlohmann::json::object());
void log_info(std::string_view event, nlohmann::json fields = nlohmann::json::object());
void log_warning(std::string_view event, nlohmann::json fields = nlohmann::json::object());
void log_error(std::string_view event, nlohmann::json fields = nlohmann::json::object());

}  // namespace holdfast
