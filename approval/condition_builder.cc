#include "approval/condition_builder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/uuid.h"
#include "graph/vocabulary.h"

namespace holdfast::approval {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kActions = {"permanentdelete", "recall", "harddelete",
                                                      "remediate", "purgedata"};

// What the name of a list or calendar may look like; the schema validator cannot say it of keys.
bool is_plain_name(const std::string& name) {
  return name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ||
                  c == '-';
         });
}

std::chrono::minutes time_of_day(const std::string& text) {
  return std::chrono::hours(std::stoi(text.substr(0, 2))) +
         std::chrono::minutes(std::stoi(text.substr(3)));
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : " or ") + part;
  return text;
}

}  // namespace

std::optional<std::string> action_complaint(const std::string& text) {
  if (std::find(kActions.begin(), kActions.end(), ascii_lower(text)) != kActions.end()) {
    return std::nullopt;
  }
  return "\"" + to_text(text) +
         "\" is not an action (permanentDelete, recall, hardDelete, remediate, purgeData)";
}

std::optional<std::string> resource_complaint(const std::string& text) {
  if (graph::is_resource_name(text)) return std::nullopt;
  return "\"" + to_text(text) +
         "\" is not a type that can be destroyed or recalled, such as message or event";
}

void sort_unique(std::vector<std::string>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

ConditionBuilder::ConditionBuilder(const config::YamlDocument& document, const ListReader& read,
                                   WallTime now, Problems& problems)
    : document_(document), problems_(problems) {
  default_zone_ = zone_of(document.value, "");
  read_lists(read, now);
  read_calendars();
}

bool ConditionBuilder::check_name(const std::string& pointer, const std::string& name) {
  if (is_plain_name(name)) return true;
  problems_.add(pointer, "the name \"" + name +
                             "\" must be of at most 64 letters, digits, dots, hyphens and "
                             "underscores");
  return false;
}

void ConditionBuilder::read_lists(const ListReader& read, WallTime now) {
  if (!document_.value.contains("lists")) return;
  // nlohmann keeps members sorted by name, which is the order the digests are promised in.
  for (const auto& [name, list] : document_.value["lists"].items()) {
    if (!check_name("/lists", name)) continue;
    const std::string pointer = "/lists/" + name;
    SourceList source;
    source.list.name = name;
    if (list.contains("file") == list.contains("values")) {
      problems_.add(pointer, "a list has either values or a file");
    } else if (list.contains("file")) {
      read_list_file(source, list, pointer, read, now);
    } else {
      if (list.contains("max_age")) {
        problems_.add(pointer + "/max_age", "max_age is only for lists with a file");
      }
      for (const json& value : list["values"]) {
        source.entries.push_back({value.get<std::string>(), 0});
      }
    }
    list_index_.emplace(name, lists_.size());
    lists_.push_back(std::move(source));
  }
}

void ConditionBuilder::read_list_file(SourceList& source, const json& list,
                                      const std::string& pointer, const ListReader& reader,
                                      WallTime now) {
  const std::string file = list["file"].get<std::string>();
  source.list.file = file;
  source.file = (std::filesystem::path(document_.file).parent_path() / file).string();
  Result<FileBytes> read = reader(file);
  if (!read.ok()) {
    problems_.add(pointer + "/file",
                  "cannot read \"" + source.file + "\": " + read.error().message);
    return;
  }
  const WallTime modified = std::min(read->modified, now);
  if (list.contains("max_age")) {
    source.list.max_age = parse_duration(list["max_age"].get<std::string>());
    source.list.stale_from = modified + *source.list.max_age;
  }
  Result<std::vector<ListEntry>> entries = parse_list(read->bytes);
  sources_.push_back({.name = file, .bytes = std::move(read->bytes), .modified = modified});
  if (!entries.ok()) {
    problems_.add_line(source.file + ":" + entries.error().message);
    return;
  }
  source.entries = std::move(*entries);
}

void ConditionBuilder::read_calendars() {
  if (!document_.value.contains("calendars")) return;
  for (const auto& [name, calendar] : document_.value["calendars"].items()) {
    if (!check_name("/calendars", name)) continue;
    const std::string pointer = "/calendars/" + name;
    const std::optional<Zone> zone =
        calendar.contains("timezone") ? zone_of(calendar, pointer) : default_zone_;
    const std::optional<Schedule> schedule = schedule_of(calendar, pointer, zone);
    if (schedule) {
      calendars_.emplace(name, *schedule);
    } else {
      broken_calendars_.insert(name);
    }
  }
}

std::optional<Zone> ConditionBuilder::zone_of(const json& map, const std::string& pointer) {
  const std::string name = map.value("timezone", "UTC");
  const std::optional<Zone> zone = find_zone(name);
  if (!zone) problems_.add(pointer + "/timezone", "unknown time zone \"" + name + "\"");
  return zone;
}

std::optional<Schedule> ConditionBuilder::schedule_of(const json& map, const std::string& pointer,
                                                      const std::optional<Zone>& zone) {
  if (map.contains("from") != map.contains("to")) {
    problems_.add(pointer, "from and to belong together");
    return std::nullopt;
  }
  if (!zone) return std::nullopt;
  Schedule schedule;
  schedule.zone = *zone;
  if (map.contains("from")) {
    schedule.from = time_of_day(map["from"].get<std::string>());
    schedule.to = time_of_day(map["to"].get<std::string>());
    if (schedule.from == schedule.to || schedule.from == std::chrono::hours(24)) {
      problems_.add(pointer + "/from", "from must be before to, or after it to run over midnight");
      return std::nullopt;
    }
  }
  if (map.contains("days")) {
    schedule.days = 0;
    for (const json& day : map["days"]) {
      const unsigned bit = 1U << weekday_index(day.get<std::string>());
      schedule.days = static_cast<std::uint8_t>(schedule.days | bit);
    }
  }
  return schedule;
}

std::vector<Condition> ConditionBuilder::build(const json& map, const std::string& pointer) {
  std::vector<Condition> conditions;
  const auto add = [&](const json& from, const std::string& base, const char* key,
                       std::string shown, NamedFact fact, Use use) {
    if (!from.contains(key)) return;
    conditions.push_back(name_condition(std::move(shown), fact, use, from[key], base + "/" + key));
  };
  add(map, pointer, "action", "action", NamedFact::kAction, Use::kAction);
  add(map, pointer, "resource", "resource", NamedFact::kResource, Use::kResource);
  if (map.contains("actor")) {
    const json& actor = map["actor"];
    const std::string base = pointer + "/actor";
    add(actor, base, "user", "actor.user", NamedFact::kUser, Use::kGuid);
    add(actor, base, "app", "actor.app", NamedFact::kApp, Use::kGuid);
    add(actor, base, "group", "actor.group", NamedFact::kGroup, Use::kGuid);
    add(actor, base, "role", "actor.role", NamedFact::kRole, Use::kText);
    add(actor, base, "kind", "actor.kind", NamedFact::kKind, Use::kKind);
  }
  if (map.contains("mailbox")) add_mailbox(map["mailbox"], pointer + "/mailbox", conditions);
  add(map, pointer, "folder", "folder", NamedFact::kFolder, Use::kFolder);
  if (map.contains("source_ip")) {
    conditions.push_back(network_condition(map["source_ip"], pointer + "/source_ip"));
  }
  if (map.contains("time")) {
    conditions.push_back(time_condition(map["time"], pointer + "/time"));
  }
  add_item_conditions(map, pointer, conditions);
  return conditions;
}

void ConditionBuilder::add_mailbox(const json& value, const std::string& pointer,
                                   std::vector<Condition>& conditions) {
  if (!value.is_object() || value.contains("in")) {
    json in = value;
    if (value.is_object()) in = json::object({{"in", value["in"]}});
    conditions.push_back(
        name_condition("mailbox", NamedFact::kMailbox, Use::kMailbox, in, pointer));
  }
  if (!value.is_object()) return;
  if (value.contains("domain")) {
    const Named domains = named(value["domain"], pointer + "/domain");
    DomainTest test;
    for (const auto& [domain, place] : domains.values) {
      if (!looks_like_domain(domain)) {
        problems_.add(place, "\"" + to_text(domain) +
                                 "\" is not a domain such as contoso.com: letters, digits and "
                                 "hyphens, with one dot between them and none at the ends");
      }
      test.domains.push_back(ascii_lower(domain));
    }
    sort_unique(test.domains);
    conditions.push_back({"mailbox.domain", domains.wants, std::move(test)});
  }
  if (value.contains("own")) {
    const bool own = value["own"].get<bool>();
    conditions.push_back({"mailbox.own", own ? "true" : "false", OwnMailboxTest{own}});
  }
}

ConditionBuilder::Named ConditionBuilder::named(const json& value, const std::string& pointer) {
  Named result;
  std::vector<std::string> shown;
  const bool in = value.is_object();
  const std::string key = in && value.contains("any_in") ? "any_in" : "in";
  const json& content = in ? value[key] : value;
  const std::string base = in ? pointer + "/" + key : pointer;
  if (in && content.is_string()) {
    const std::string name = content.get<std::string>();
    const auto list = list_index_.find(name);
    if (list == list_index_.end()) {
      problems_.add(base, "unknown list \"" + name + "\"");
    } else {
      result.lists.push_back(list->second);
    }
    result.wants = "in " + name;
    return result;
  }
  if (content.is_string()) {
    result.values.emplace_back(content.get<std::string>(), base);
  } else {
    for (std::size_t i = 0; i < content.size(); ++i) {
      result.values.emplace_back(content[i].get<std::string>(), base + "/" + std::to_string(i));
    }
  }
  shown.reserve(shown.size() + result.values.size());
  for (const auto& [text, place] : result.values) shown.push_back(text);
  result.wants = join(shown);
  return result;
}

std::optional<std::string> ConditionBuilder::complaint(const std::string& text, Use use) {
  if (has_control_characters(text) || text.find('\t') != std::string::npos) {
    return "a value must not hold control characters";
  }
  const std::string quoted = "\"" + text + "\" ";
  switch (use) {
    case Use::kText:
    case Use::kFolder:
      return std::nullopt;
    case Use::kAction:
      return action_complaint(text);
    case Use::kResource:
      return resource_complaint(text);
    case Use::kKind:
      if (text == "user" || text == "app") return std::nullopt;
      return quoted + "is not a kind of actor (user, app)";
    case Use::kGuid:
      if (parse_uuid(text)) return std::nullopt;
      return quoted + "is not an id such as 6a1e55aa-0000-4000-8000-000000000004";
    case Use::kMailbox:
      if (looks_like_mailbox(text)) return std::nullopt;
      if (ascii_iequals(text, "me")) {
        return quoted + "is whoever calls: name a mailbox, or write mailbox: { own: true }";
      }
      return quoted + "is neither a mail address nor an object id";
    case Use::kNetwork: {
      const Result<Network> network = parse_network(text);
      if (network.ok()) return std::nullopt;
      return network.error().message;
    }
  }
  return std::nullopt;
}

std::string ConditionBuilder::normal(const std::string& text, Use use) {
  if (use == Use::kFolder) return text;
  return use == Use::kMailbox ? normal_mailbox(text) : ascii_lower(text);
}

void ConditionBuilder::check_values(const Named& named, Use use) {
  for (const auto& [text, place] : named.values) {
    if (const auto wrong = complaint(text, use)) problems_.add(place, *wrong);
  }
  for (const std::size_t index : named.lists) use_list(lists_[index], use);
}

void ConditionBuilder::use_list(SourceList& source, Use use) {
  if (!source.checked.insert(use).second) return;
  std::vector<Network> networks;
  for (std::size_t i = 0; i < source.entries.size(); ++i) {
    const ListEntry& entry = source.entries[i];
    if (const auto wrong = complaint(entry.text, use)) {
      if (source.file.empty()) {
        problems_.add("/lists/" + source.list.name + "/values/" + std::to_string(i), *wrong);
      } else {
        problems_.add_line(source.file + ":" + std::to_string(entry.line) + ": " + *wrong);
      }
      return;  // One line for a list of a hundred thousand that is of another kind.
    }
    if (use == Use::kNetwork) {
      networks.push_back(*parse_network(entry.text));
    } else if (use == Use::kFolder) {
      source.content.exact.push_back(entry.text);
    } else {
      source.content.names.push_back(normal(entry.text, use));
    }
  }
  if (use == Use::kNetwork) source.content.networks = NetworkSet(std::move(networks));
}

Condition ConditionBuilder::name_condition(std::string key, NamedFact fact, Use use,
                                           const json& value, const std::string& pointer) {
  const Named values = named(value, pointer);
  check_values(values, use);
  NameTest test{.fact = fact, .values = {}, .lists = values.lists};
  for (const auto& [text, place] : values.values) test.values.push_back(normal(text, use));
  sort_unique(test.values);
  return {std::move(key), values.wants, std::move(test)};
}

Condition ConditionBuilder::network_condition(const json& value, const std::string& pointer) {
  const Named values = named(value, pointer);
  check_values(values, Use::kNetwork);
  NetworkTest test{.networks = {}, .lists = values.lists};
  for (const auto& [text, place] : values.values) {
    const Result<Network> network = parse_network(text);
    if (network.ok()) test.networks.push_back(*network);
  }
  return {"source_ip", values.wants, std::move(test)};
}

Condition ConditionBuilder::time_condition(const json& value, const std::string& pointer) {
  TimeTest test;
  if (!value.contains("during")) {
    const std::optional<Schedule> schedule = schedule_of(value, pointer, default_zone_);
    if (schedule) test.any_of.push_back(*schedule);
    return {"time", schedule ? to_string(*schedule) : "", std::move(test)};
  }
  if (value.size() > 1) problems_.add(pointer, "time has either during or from, to and days");
  const Named calendars = named(value["during"], pointer + "/during");
  for (const auto& [name, place] : calendars.values) {
    const auto calendar = calendars_.find(name);
    if (calendar != calendars_.end()) {
      test.any_of.push_back(calendar->second);
    } else if (!broken_calendars_.contains(name)) {
      problems_.add(place, "unknown calendar \"" + name + "\"");
    }
  }
  return {"time", "during " + calendars.wants, std::move(test)};
}

std::vector<std::string> ConditionBuilder::list_files() const {
  std::vector<std::string> files;
  for (const SourceList& source : lists_) {
    if (!source.file.empty()) files.push_back(source.file);
  }
  return files;
}

std::vector<RuleList> ConditionBuilder::take_lists() {
  std::vector<RuleList> lists;
  for (SourceList& source : lists_) {
    sort_unique(source.content.names);
    sort_unique(source.content.exact);
    source.list.content = std::make_shared<const ListContent>(std::move(source.content));
    lists.push_back(std::move(source.list));
  }
  return lists;
}

}  // namespace holdfast::approval
