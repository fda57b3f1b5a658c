#include "approval/rule_tests.h"

#include <algorithm>
#include <utility>

#include "approval/condition_builder.h"
#include "approval/decide.h"
#include "base/encoding.h"

namespace holdfast::approval {
namespace {

using identity::ActorKind;
using nlohmann::json;

constexpr std::string_view kUnknownWord = "unknown";

std::optional<std::string> given_text(const json& map, const char* key) {
  if (!map.contains(key) || map[key] == kUnknownWord) return std::nullopt;
  return map[key].get<std::string>();
}

std::optional<std::vector<std::string>> given_names(const json& map, const char* key) {
  if (!map.contains(key) || map[key] == kUnknownWord) return std::nullopt;
  if (map[key].is_string()) return std::vector{map[key].get<std::string>()};
  return map[key].get<std::vector<std::string>>();
}

// Said outright, or else plain from what else is given: a user makes a user's call, an app without
// a user calls for itself.
ActorKind actor_kind(const json& given, const json& actor) {
  const std::string kind = actor.value("kind", "");
  if (kind == "user") return ActorKind::kUser;
  if (kind == "app") return ActorKind::kApp;
  if (kind == kUnknownWord) return ActorKind::kUnknown;
  if (actor.contains("user") || given.contains("own_mailbox")) return ActorKind::kUser;
  return actor.contains("app") ? ActorKind::kApp : ActorKind::kUnknown;
}

// Where nothing is said of them: what action and mailbox say.
AffectedMailboxes given_affected(const json& given, const Facts& facts) {
  if (!given.contains("affected_mailboxes")) return affected_by_path(facts);
  AffectedMailboxes affected;
  const json& all = given["affected_mailboxes"];
  if (all == kUnknownWord) return affected;
  affected.complete = true;
  for (const json& mailbox : all.is_array() ? all : json::array({all})) {
    if (mailbox == kUnknownWord) {
      affected.complete = false;
    } else if (mailbox.is_array()) {
      affected.known.push_back(mailbox_named(mailbox.get<std::vector<std::string>>()));
    } else {
      affected.known.push_back(mailbox_named({mailbox.get<std::string>()}));
    }
  }
  return affected;
}

ItemFacts given_item(const json& given) {
  ItemFacts item;
  if (const auto age = given_text(given, "message_age")) item.message_age = parse_duration(*age);
  item.sender = given_names(given, "sender");
  item.recipients = given_names(given, "recipients");
  item.categories = given_names(given, "categories");
  if (given.contains("size")) item.size_bytes = given["size"].get<std::int64_t>();
  return item;
}

// One test: its facts, and the lists with the ages it asks for.
class RuleTest {
 public:
  // `fresh` are the rules with lists of any age.
  RuleTest(const json& test, std::string pointer, const std::shared_ptr<const RuleSetData>& fresh,
           Problems& problems)
      : test_(test), pointer_(std::move(pointer)), fresh_(fresh), problems_(problems) {}

  void run() {
    const std::optional<Facts> facts = read_facts();
    const std::optional<RuleSet> rules = rules_with_ages();
    if (!facts || !rules) return;
    const Decision decision = decide(*rules, *facts);
    Ids by;
    by.reserve(decision.by.size());
    for (const RuleMatch& match : decision.by) by.push_back(match.id);
    Ids glass;
    for (const BreakGlass& way : decision.break_glass) glass.push_back(way.rule.id);
    const json& expect = test_["expect"];
    const std::string wanted = expect["effect"].get<std::string>();
    const std::optional<Ids> wanted_by = given_ids(expect, "by");
    const std::optional<Ids> wanted_glass = given_ids(expect, "break_glass");
    if (wanted == to_string(decision.effect) && (!wanted_by || *wanted_by == by) &&
        (!wanted_glass || *wanted_glass == glass)) {
      return;
    }
    std::string text = "test \"" + test_["name"].get<std::string>() + "\" expected " + wanted;
    if (wanted_by) text += " by " + ids_text(*wanted_by);
    if (wanted_glass) text += ", break_glass " + ids_text(*wanted_glass);
    text += ", got " + std::string(to_string(decision.effect)) + " by " + ids_text(by);
    if (wanted_glass) text += ", break_glass " + ids_text(glass);
    problems_.add(pointer_, text);
  }

 private:
  using Ids = std::vector<std::string>;

  static std::optional<Ids> given_ids(const json& expect, const char* name) {
    if (!expect.contains(name)) return std::nullopt;
    Ids ids = expect[name].get<Ids>();
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  static std::string ids_text(const Ids& ids) {
    std::string text;
    for (const std::string& id : ids) text += (text.empty() ? "" : ", ") + id;
    return "[" + text + "]";
  }

  std::optional<Facts> read_facts() {
    const json& given = test_["given"];
    const json actor = given.value("actor", json::object());
    const std::string place = pointer_ + "/given";
    const std::optional<std::string> action = given_text(given, "action");
    const std::optional<std::string> resource = given_text(given, "resource");
    // Of a call that cannot be, a test says nothing, whatever it expects.
    const auto wrong_action = action ? action_complaint(*action) : std::nullopt;
    const auto wrong_resource = resource ? resource_complaint(*resource) : std::nullopt;
    if (wrong_action) problems_.add(place + "/action", *wrong_action);
    if (wrong_resource) problems_.add(place + "/resource", *wrong_resource);
    if (wrong_action || wrong_resource) return std::nullopt;
    Facts facts;
    facts.action = action.value_or("");
    facts.resource = resource.value_or("");
    facts.actor_kind = actor_kind(given, actor);
    facts.user = given_text(actor, "user");
    facts.app = given_text(actor, "app");
    facts.groups = given_names(actor, "group");
    facts.roles = given_names(actor, "role");
    if (const auto names = given_names(given, "mailbox")) facts.mailbox = mailbox_named(*names);
    if (given.contains("own_mailbox") && given["own_mailbox"].is_boolean()) {
      facts.own_mailbox = given["own_mailbox"].get<bool>();
    }
    facts.folder = given_text(given, "folder");
    facts.affected = given_affected(given, facts);
    facts.item = given_item(given);
    facts.source_ip = given_text(given, "source_ip");
    if (facts.source_ip && !parse_ip(*facts.source_ip)) {
      problems_.add(place + "/source_ip", "\"" + *facts.source_ip + "\" is not an IP address");
      return std::nullopt;
    }
    if (const auto at = given_text(given, "at")) {
      const Result<WallTime> time = parse_rfc3339(*at);
      if (!time.ok()) {
        problems_.add(place + "/at",
                      "\"" + *at + "\" is not a time such as 2026-10-05T10:00:00+02:00");
        return std::nullopt;
      }
      facts.now = *time;
    }
    return facts;
  }

  std::optional<RuleSet> rules_with_ages() {
    if (!test_["given"].contains("stale_lists")) return RuleSet(fresh_);
    auto data = std::make_shared<RuleSetData>(*fresh_);
    const json stale = test_["given"].value("stale_lists", json::array());
    for (std::size_t i = 0; i < stale.size(); ++i) {
      const auto list =
          std::find_if(data->lists.begin(), data->lists.end(),
                       [&](const RuleList& candidate) { return stale[i] == candidate.name; });
      if (list == data->lists.end()) {
        problems_.add(pointer_ + "/given/stale_lists/" + std::to_string(i),
                      "unknown list \"" + stale[i].get<std::string>() + "\"");
        return std::nullopt;
      }
      list->stale_from = WallTime::min();
    }
    return RuleSet(std::move(data));
  }

  const json& test_;
  const std::string pointer_;
  const std::shared_ptr<const RuleSetData>& fresh_;
  Problems& problems_;
};

}  // namespace

std::size_t run_rule_tests(const config::YamlDocument& document, const RuleSetData& data,
                           Problems& problems) {
  if (!document.value.contains("tests")) return 0;
  const json& tests = document.value["tests"];
  auto ageless = std::make_shared<RuleSetData>(data);
  for (RuleList& list : ageless->lists) list.stale_from.reset();
  const std::shared_ptr<const RuleSetData> fresh = std::move(ageless);
  for (std::size_t i = 0; i < tests.size(); ++i) {
    RuleTest(tests[i], "/tests/" + std::to_string(i), fresh, problems).run();
  }
  return tests.size();
}

}  // namespace holdfast::approval
