#include <date/tz.h>

#include <stdexcept>

#include "approval/zone.h"

namespace holdfast::approval {

std::optional<Zone> find_zone(const std::string& name) {
  // The library opens a file of this name below the database's folder.
  if (name.empty() || name.front() == '/' || name.find("..") != std::string::npos) {
    return std::nullopt;
  }
  // Each machine's own, and the same zones with leap seconds.
  if (name == "localtime" || name == "posixrules" || name.starts_with("right/")) {
    return std::nullopt;
  }
  try {
    return Zone{date::locate_zone(name)};
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

const std::string& to_string(const Zone& zone) {
  return zone.zone->name();
}

WallTime day_begin(const Zone& zone, std::chrono::sys_days day) {
  // Where clocks are put forward at midnight, the day begins with the hour that exists.
  const date::local_days local{day.time_since_epoch()};
  return zone.zone->to_sys(local, date::choose::earliest);
}

LocalTime local_time(const Zone& zone, WallTime time) {
  const auto local = zone.zone->to_local(std::chrono::floor<std::chrono::seconds>(time));
  const auto day = date::floor<date::days>(local);
  return {.weekday = std::chrono::weekday(date::weekday(day).c_encoding()),
          .since_midnight = local - day};
}

}  // namespace holdfast::approval
