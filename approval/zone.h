// Time zones: the local weekday and time of day of an instant, daylight saving included.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/clock.h"

namespace date {
class time_zone;
}

namespace holdfast::approval {

// A zone of the system's time zone database. A small value; the zone it points to lives as long as
// the program.
struct Zone {
  const date::time_zone* zone = nullptr;
  bool operator==(const Zone&) const = default;
};

struct LocalTime {
  std::chrono::weekday weekday;
  std::chrono::seconds since_midnight{0};  // As a clock on the wall shows it.
};

// nullopt for a name the database does not have. Reads files at the first call; safe from any
// thread.
std::optional<Zone> find_zone(const std::string& name);

// Its name in the database, "Europe/Berlin".
const std::string& to_string(const Zone& zone);

// The first instant of a calendar day there.
WallTime day_begin(const Zone& zone, std::chrono::sys_days day);

// Pure; safe from any thread.
LocalTime local_time(const Zone& zone, WallTime time);

}  // namespace holdfast::approval
