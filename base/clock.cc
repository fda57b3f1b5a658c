#include "base/clock.h"

#include <array>
#include <string>

namespace holdfast {
namespace {

using namespace std::chrono;

class SystemClock final : public Clock {
 public:
  WallTime now() const override { return time_point_cast<microseconds>(system_clock::now()); }
  SteadyTime steady_now() const override { return steady_clock::now(); }
};

// Writes the last `count` decimal digits of what is not negative.
void put_digits(std::string& text, std::size_t at, std::size_t count, std::int64_t value) {
  for (std::size_t i = at + count; i > at; value /= 10) {
    text[--i] = static_cast<char>('0' + value % 10);
  }
}

// Reads exactly `count` digits at the front of `text` and removes them; -1 if they are not there.
int take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

// Decimals past the sixth are dropped: the microsecond is the unit everywhere.
bool take_fraction(std::string_view& text, microseconds& fraction) {
  if (!take(text, '.')) return true;
  int digits = 0;
  std::int64_t value = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    if (digits < 6) value = value * 10 + (text.front() - '0');
    ++digits;
    text.remove_prefix(1);
  }
  for (int i = digits; i < 6; ++i) value *= 10;
  fraction = microseconds(value);
  return digits > 0;
}

bool take_offset(std::string_view& text, minutes& offset) {
  if (take(text, 'Z') || take(text, 'z')) return true;
  const bool east = take(text, '+');
  if (!east && !take(text, '-')) return false;
  const int hour = take_digits(text, 2);
  if (!take(text, ':')) return false;
  const int minute = take_digits(text, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return false;
  offset = hours(hour) + minutes(minute);
  if (!east) offset = -offset;
  return true;
}

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

std::string to_rfc3339(WallTime time) {
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss of_day(time - day);
  std::string text = "0000-00-00T00:00:00.000000Z";
  put_digits(text, 5, 2, static_cast<unsigned>(date.month()));
  put_digits(text, 8, 2, static_cast<unsigned>(date.day()));
  put_digits(text, 11, 2, of_day.hours().count());
  put_digits(text, 14, 2, of_day.minutes().count());
  put_digits(text, 17, 2, of_day.seconds().count());
  put_digits(text, 20, 6, of_day.subseconds().count());
  const int year = static_cast<int>(date.year());
  if (year >= 0 && year <= 9999) {
    put_digits(text, 0, 4, year);
  } else {
    text.replace(0, 4, std::to_string(year));
  }
  return text;
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  const Error wrong{ErrorCode::kInvalid, "'" + std::string(text) +
                                             "' is not an RFC 3339 time such as "
                                             "2026-10-05T08:00:00Z"};
  const int y = take_digits(text, 4);
  if (y < 0 || !take(text, '-')) return wrong;
  const int mon = take_digits(text, 2);
  if (mon < 0 || !take(text, '-')) return wrong;
  const int d = take_digits(text, 2);
  if (d < 0 || !(take(text, 'T') || take(text, 't') || take(text, ' '))) return wrong;
  const int h = take_digits(text, 2);
  if (h < 0 || h > 23 || !take(text, ':')) return wrong;
  const int min = take_digits(text, 2);
  if (min < 0 || min > 59 || !take(text, ':')) return wrong;
  const int s = take_digits(text, 2);
  if (s < 0 || s > 60) return wrong;
  const year_month_day date{year(y), month(static_cast<unsigned>(mon)),
                            day(static_cast<unsigned>(d))};
  microseconds fraction{0};
  minutes offset{0};
  if (!date.ok() || !take_fraction(text, fraction) || !take_offset(text, offset) || !text.empty()) {
    return wrong;
  }
  return WallTime(sys_days(date) + hours(h) + minutes(min) + seconds(s) + fraction - offset);
}

std::string to_http_date(WallTime time) {
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss of_day(floor<seconds>(time - day));
  std::array<char, 48> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
      kDays.at(weekday(day).c_encoding()), static_cast<unsigned>(date.day()),
      kMonths.at(static_cast<unsigned>(date.month()) - 1), static_cast<int>(date.year()),
      static_cast<int>(of_day.hours().count()), static_cast<int>(of_day.minutes().count()),
      static_cast<int>(of_day.seconds().count()));
  return std::string(text.data(), static_cast<std::size_t>(length));
}

}  // namespace holdfast
