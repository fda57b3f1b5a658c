#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

#include "base/clock.h"

namespace holdfast {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto created = std::make_shared<spdlog::logger>(
        "holdfast", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    created->set_pattern("%v");
    return created;
  }();
  return *instance;
}

void write(spdlog::level::level_enum level, const char* name, std::string_view event,
           nlohmann::json fields) {
  if (!logger().should_log(level)) return;
  nlohmann::ordered_json line;
  line["time"] = to_rfc3339(system_clock().now());
  line["level"] = name;
  line["event"] = event;
  for (auto& [key, value] : fields.items()) line[key] = std::move(value);
  // Field values may hold bytes from outside; a bad one is replaced rather than thrown over.
  logger().log(level, "{}", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

void set_log_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      logger().set_level(spdlog::level::debug);
      return;
    case LogLevel::kInfo:
      logger().set_level(spdlog::level::info);
      return;
    case LogLevel::kWarning:
      logger().set_level(spdlog::level::warn);
      return;
    case LogLevel::kError:
      logger().set_level(spdlog::level::err);
      return;
  }
}

void log_debug(std::string_view event, nlohmann::json fields) {
  write(spdlog::level::debug, "debug", event, std::move(fields));
}

void log_info(std::string_view event, nlohmann::json fields) {
  write(spdlog::level::info, "info", event, std::move(fields));
}

void log_warning(std::string_view event, nlohmann::json fields) {
  write(spdlog::level::warn, "warning", event, std::move(fields));
}

void log_error(std::string_view event, nlohmann::json fields) {
  write(spdlog::level::err, "error", event, std::move(fields));
}

}  // namespace holdfast
