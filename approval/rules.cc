#include "approval/rules.h"

#include <array>

#include "approval/rule_model.h"

namespace holdfast::approval {
namespace {

constexpr std::size_t kDays = 7;
constexpr std::array<const char*, kDays> kDayNames = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                      "Friday", "Saturday", "Sunday"};

// Three days in a row or more are told by the first and the last of them.
std::string days_in_words(unsigned days) {
  if (days == 0x7f) return "every day";
  std::string text;
  for (std::size_t first = 0; first < kDays; ++first) {
    if ((days >> first & 1U) == 0) continue;
    std::size_t last = first;
    while (last + 1 < kDays && (days >> (last + 1) & 1U) != 0) ++last;
    text += (text.empty() ? "" : ", ") + std::string(kDayNames[first]);
    if (last < first + 2) continue;
    text += " to " + std::string(kDayNames[last]);
    first = last;
  }
  return text;
}

std::string clock_time(std::chrono::minutes time) {
  const auto two_digits = [](long number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
  };
  return two_digits(time.count() / 60) + ":" + two_digits(time.count() % 60);
}

}  // namespace

std::string to_string(const Schedule& schedule) {
  return days_in_words(schedule.days) + " " + clock_time(schedule.from) + " to " +
         clock_time(schedule.to) + " (" + to_string(schedule.zone) + ")";
}

std::string_view to_string(Effect effect) {
  switch (effect) {
    case Effect::kAllow:
      return "allow";
    case Effect::kRequireApproval:
      return "require_approval";
    case Effect::kDeny:
      return "deny";
    case Effect::kBreakGlass:
      return "break_glass";
  }
  return "deny";
}

std::string_view to_string(LimitBy by) {
  switch (by) {
    case LimitBy::kActor:
      return "actor";
    case LimitBy::kMailbox:
      return "mailbox";
    case LimitBy::kRule:
      return "rule";
  }
  return "rule";
}

const std::string& RuleSet::revision() const {
  return data_->revision;
}

const std::string& RuleSet::sha256() const {
  return data_->sha256;
}

}  // namespace holdfast::approval
