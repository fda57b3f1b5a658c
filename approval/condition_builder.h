// Turns the condition maps of a rule file (when, unless) into conditions, and the lists and
// calendars they name into what decide() reads.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "approval/build_rules.h"
#include "approval/list_file.h"

namespace holdfast::approval {

// One file's worth; used by one thread. Everything wrong goes to `problems`.
class ConditionBuilder {
 public:
  // Reads all lists and calendars of the document, which must outlive the builder.
  ConditionBuilder(const config::YamlDocument& document, const ListReader& read, WallTime now,
                   Problems& problems);

  // `map` fits the schema's "conditions".
  std::vector<Condition> build(const nlohmann::json& map, const std::string& pointer);

  // The condition that a rule's valid_from and valid_to are; nullopt where it has neither.
  std::optional<Condition> validity(const nlohmann::json& rule, const std::string& pointer);

  std::vector<std::string> list_files() const;

  // Whether what was built hangs on the item at all, or on whom it reaches.
  bool any_about_items() const { return any_about_items_; }

  std::vector<RuleList> take_lists();
  std::map<std::string, Schedule> take_calendars() { return std::move(calendars_); }
  SourceFiles take_sources() { return std::move(sources_); }

 private:
  // How a condition compares, which says what a list entry must look like.
  enum class Use { kText, kAction, kResource, kKind, kGuid, kMailbox, kFolder, kNetwork };

  struct SourceList {
    RuleList list;
    std::vector<ListEntry> entries;
    std::string file;  // Empty for values in the rule file itself.
    ListContent content;
    std::set<Use> checked;
  };

  // Values as written, with their places, and the lists they stand beside.
  struct Named {
    std::vector<std::pair<std::string, std::string>> values;  // Text, pointer.
    std::vector<std::size_t> lists;
    std::string wants;
  };

  bool check_name(const std::string& pointer, const std::string& name);
  void read_lists(const ListReader& read, WallTime now);
  void read_list_file(SourceList& source, const nlohmann::json& list, const std::string& pointer,
                      const ListReader& read, WallTime now);
  void read_calendars();
  std::optional<Zone> zone_of(const nlohmann::json& map, const std::string& pointer);
  std::optional<Schedule> schedule_of(const nlohmann::json& map, const std::string& pointer,
                                      const std::optional<Zone>& zone);

  Named named(const nlohmann::json& value, const std::string& pointer);
  void check_values(const Named& named, Use use);
  void use_list(SourceList& source, Use use);
  Condition name_condition(std::string key, NamedFact fact, Use use, const nlohmann::json& value,
                           const std::string& pointer);
  Condition network_condition(const nlohmann::json& value, const std::string& pointer);
  void add_mailbox(const nlohmann::json& value, const std::string& pointer,
                   std::vector<Condition>& conditions);
  Condition time_condition(const nlohmann::json& value, const std::string& pointer);

  // Of the item and of those it reaches (item_conditions.cc).
  void add_item_conditions(const nlohmann::json& map, const std::string& pointer,
                           std::vector<Condition>& conditions);
  Condition affected_condition(const nlohmann::json& value, const std::string& pointer);
  Condition range_condition(std::string key, MeasuredFact fact, const nlohmann::json& value,
                            const std::string& pointer);
  std::optional<WallTime> instant_of(const nlohmann::json& value, bool is_end,
                                     const std::string& pointer);

  static std::optional<std::string> complaint(const std::string& text, Use use);
  // What is compared with the fact.
  static std::string normal(const std::string& text, Use use);

  const config::YamlDocument& document_;
  Problems& problems_;
  std::vector<SourceList> lists_;
  std::map<std::string, std::size_t> list_index_;
  std::map<std::string, Schedule> calendars_;
  std::set<std::string> broken_calendars_;
  std::optional<Zone> default_zone_;
  SourceFiles sources_;
  bool any_about_items_ = false;
};

void sort_unique(std::vector<std::string>& values);

// What is wrong with the name of an action or of a resource, in any case; nullopt: calls have it.
std::optional<std::string> action_complaint(const std::string& text);
std::optional<std::string> resource_complaint(const std::string& text);

}  // namespace holdfast::approval
