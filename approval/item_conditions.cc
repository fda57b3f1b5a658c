// Conditions on the item itself, on whom it reaches, and on when a rule is in force.
#include <algorithm>

#include "approval/condition_builder.h"

namespace holdfast::approval {

using nlohmann::json;

void ConditionBuilder::add_item_conditions(const json& map, const std::string& pointer,
                                           std::vector<Condition>& conditions) {
  const std::size_t others = conditions.size();
  any_about_items_ = any_about_items_ || map.contains("folder");
  if (map.contains("affected_mailboxes")) {
    conditions.push_back(
        affected_condition(map["affected_mailboxes"], pointer + "/affected_mailboxes"));
  }
  if (map.contains("message_age")) {
    conditions.push_back(range_condition("message_age", MeasuredFact::kMessageAge,
                                         map["message_age"], pointer + "/message_age"));
  }
  if (map.contains("sender")) {
    conditions.push_back(name_condition("sender", NamedFact::kSender, Use::kMailbox, map["sender"],
                                        pointer + "/sender"));
  }
  const auto add_any = [&](const char* key, NamedFact fact, Use use) {
    if (!map.contains(key)) return;
    conditions.push_back(name_condition(key, fact, use, map[key], pointer + "/" + key));
  };
  add_any("recipients", NamedFact::kRecipients, Use::kMailbox);
  add_any("categories", NamedFact::kCategories, Use::kText);
  if (map.contains("size")) {
    conditions.push_back(
        range_condition("size", MeasuredFact::kSize, map["size"], pointer + "/size"));
  }
  any_about_items_ = any_about_items_ || conditions.size() > others;
}

Condition ConditionBuilder::affected_condition(const json& value, const std::string& pointer) {
  const Condition names =
      name_condition("affected_mailboxes", NamedFact::kMailbox, Use::kMailbox, value, pointer);
  const auto& test = std::get<NameTest>(names.test);
  return {names.key, "any " + names.wants, AffectedTest{test.values, test.lists}};
}

Condition ConditionBuilder::range_condition(std::string key, MeasuredFact fact, const json& value,
                                            const std::string& pointer) {
  RangeTest test{.fact = fact, .min = std::nullopt, .max = std::nullopt};
  std::string wants;
  const auto end = [&](const char* name, const char* words) -> std::optional<std::int64_t> {
    if (!value.contains(name)) return std::nullopt;
    const json& written = value[name];
    const std::string text = written.is_string() ? written.get<std::string>() : written.dump();
    wants += (wants.empty() ? "" : " and ") + std::string(words) + text;
    if (written.is_string()) return parse_duration(text).count();
    return written.get<std::int64_t>();
  };
  test.min = end("min", "at least ");
  test.max = end("max", "at most ");
  if (test.min && test.max && *test.min > *test.max) {
    problems_.add(pointer, "min is more than max, so nothing is between them");
  }
  return {std::move(key), wants, test};
}

std::optional<WallTime> ConditionBuilder::instant_of(const json& value, bool is_end,
                                                     const std::string& pointer) {
  const std::string text = value.get<std::string>();
  const Result<WallTime> instant = parse_rfc3339(text);
  if (instant.ok()) return *instant;
  const Result<WallTime> day = parse_rfc3339(text + "T00:00:00Z");
  if (!day.ok()) {
    problems_.add(pointer, "\"" + text + "\" is neither a day such as 2026-10-05 nor a time such " +
                               "as 2026-10-05T10:00:00+02:00");
    return std::nullopt;
  }
  if (!default_zone_) return std::nullopt;
  // The last day counts whole.
  return day_begin(*default_zone_,
                   std::chrono::floor<std::chrono::days>(*day) + std::chrono::days(is_end ? 1 : 0));
}

std::optional<Condition> ConditionBuilder::validity(const json& rule, const std::string& pointer) {
  ValidityTest test;
  std::string wants;
  const auto bound = [&](const char* key, const char* word, bool is_end) {
    std::optional<WallTime> time;
    if (!rule.contains(key)) return time;
    const std::string text = rule[key].get<std::string>();
    wants += (wants.empty() ? "" : " ") + std::string(word) + " " + text;
    time = instant_of(rule[key], is_end, pointer + "/" + key);
    // When a day begins is the zone's to say; a time says it itself.
    if (time && !parse_rfc3339(text).ok()) wants += " (" + to_string(*default_zone_) + ")";
    return time;
  };
  test.from = bound("valid_from", "from", false);
  test.to = bound("valid_to", "to", true);
  if (wants.empty()) return std::nullopt;
  if (test.from && test.to && *test.from >= *test.to) {
    problems_.add(pointer + "/valid_to", "valid_to is not after valid_from");
  }
  return Condition{"valid", wants, test};
}

}  // namespace holdfast::approval
