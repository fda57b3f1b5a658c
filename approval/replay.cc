#include "approval/replay.h"

#include <algorithm>

#include "approval/rule_diff.h"

namespace holdfast::approval {
namespace {

using nlohmann::json;
using Texts = std::vector<std::string>;

std::optional<Effect> parse_effect(const std::string& text) {
  for (const Effect effect :
       {Effect::kAllow, Effect::kRequireApproval, Effect::kDeny, Effect::kBreakGlass}) {
    if (text == to_string(effect)) return effect;
  }
  return std::nullopt;
}

// Absent or null: unknown.
template <class T>
std::optional<T> known(const json& facts, const char* name) {
  const auto fact = facts.find(name);
  if (fact == facts.end() || fact->is_null()) return std::nullopt;
  return fact->get<T>();
}

identity::ActorKind actor_kind(const std::string& text) {
  for (const auto kind : {identity::ActorKind::kUser, identity::ActorKind::kApp}) {
    if (text == identity::to_string(kind)) return kind;
  }
  return identity::ActorKind::kUnknown;
}

AffectedMailboxes affected(const json& recorded) {
  AffectedMailboxes mailboxes{.known = {}, .complete = recorded.at("complete").get<bool>()};
  for (const json& names : recorded.at("known")) mailboxes.known.push_back({names.get<Texts>()});
  return mailboxes;
}

Facts facts_of(const json& record) {
  const json& recorded = record.at("decision").at("facts");
  const json& operation = record.at("operation");
  const json& actor = record.at("actor");
  const Result<WallTime> at = parse_rfc3339(recorded.at("at").get<std::string>());
  Facts facts{.action = operation.at("action").get<std::string>(),
              .resource = operation.value("resource", ""),
              .actor_kind = actor_kind(recorded.at("actor_kind").get<std::string>()),
              .tenant = known<std::string>(actor, "tenant"),
              .user = known<std::string>(actor, "user"),
              .app = known<std::string>(actor, "app"),
              .groups = known<Texts>(recorded, "groups"),
              .roles = known<Texts>(recorded, "roles"),
              .mailbox = std::nullopt,
              .own_mailbox = known<bool>(recorded, "own_mailbox"),
              .folder = known<std::string>(recorded, "folder"),
              .source_ip = known<std::string>(recorded, "source_ip"),
              .now = at.ok() ? *at : WallTime()};
  if (auto names = known<Texts>(recorded, "mailbox")) facts.mailbox = {*std::move(names)};
  // As when the call was decided: an app's call is known to be nobody's.
  if (facts.actor_kind == identity::ActorKind::kApp) facts.user = std::string();
  facts.affected = affected_by_path(facts);
  if (recorded.contains("affected_mailboxes")) {
    facts.affected = affected(recorded.at("affected_mailboxes"));
  }
  if (const auto age = known<std::int64_t>(recorded, "message_age_seconds")) {
    facts.item.message_age = std::chrono::seconds(*age);
  }
  facts.item.sender = known<Texts>(recorded, "sender");
  facts.item.recipients = known<Texts>(recorded, "recipients");
  facts.item.categories = known<Texts>(recorded, "categories");
  facts.item.size_bytes = known<std::int64_t>(recorded, "size_bytes");
  return facts;
}

// Once a limit was spent, the record's effect is another than the rules', and the limits in it are
// those that were left.
std::optional<Texts> limited_by(const json& record, Effect effect) {
  const json& decision = record.at("decision");
  if (record.value("kind", "") != "intent" || decision.value("effect", "") != to_string(effect)) {
    return std::nullopt;
  }
  Texts rules;
  for (const json& limit : decision.value("limits", json::array())) {
    rules.push_back(limit.at("rule").get<std::string>());
  }
  return rules;
}

// What was decided; where that is not known, what would be now, so that it is no change.
Decision decided(const PastCall& call, const RuleSet* then, const Decision& now) {
  Decision before =
      then == nullptr ? now : decision_by(*then, call.matched, call.limited_by.value_or(Texts()));
  // As it was recorded, also where the same matches would come to something else by now.
  before.effect = call.effect;
  before.by.clear();
  for (const RuleMatch& match : call.matched) {
    if (match.effect == call.effect) before.by.push_back(match);
  }
  if (then != nullptr && !call.limited_by) before.limits = now.limits;
  return before;
}

}  // namespace

bool is_partial(const json& record) {
  const auto decision = record.find("decision");
  return decision != record.end() && decision->is_object() &&
         (decision->contains("shortened") || decision->contains("matched_more"));
}

std::optional<PastCall> past_call(const json& record) {
  try {
    const auto decision = record.find("decision");
    if (decision == record.end() || !decision->contains("facts") || is_partial(record)) {
      return std::nullopt;
    }
    PastCall call{.facts = facts_of(record),
                  .effect = Effect::kDeny,
                  .by = {},
                  .matched = {},
                  .limited_by = std::nullopt,
                  .generation = decision->value("rules_generation", std::int64_t{0})};
    for (const json& match : decision->at("matched")) {
      const auto effect = parse_effect(match.at("effect").get<std::string>());
      if (!effect) return std::nullopt;
      call.matched.push_back({.id = match.at("id").get<std::string>(),
                              .title = {},
                              .effect = *effect,
                              .unknown_facts = match.value("unknown_facts", Texts())});
    }
    // Where the record names no rule that decided, the default did, whatever matched in doubt.
    if (!decision->at("rules").empty()) call.effect = strictest_effect(call.matched);
    for (const RuleMatch& match : call.matched) {
      if (match.effect == call.effect) call.by.push_back(match.id);
    }
    call.limited_by = limited_by(record, call.effect);
    return call;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

PastCall as_of(PastCall call, WallTime now) {
  std::optional<std::chrono::seconds>& age = call.facts.item.message_age;
  if (age) *age += std::chrono::floor<std::chrono::seconds>(now - call.facts.now);
  call.facts.now = now;
  return call;
}

Replayed replay(const RuleSet& rules, const PastCall& call, const RuleSet* then) {
  Replayed replayed{.decision = decide(rules, call.facts),
                    .not_recorded = item_facts_in_doubt(rules, call.facts),
                    .changes = {}};
  replayed.changes = describe_changes(decided(call, then, replayed.decision), replayed.decision);
  return replayed;
}

}  // namespace holdfast::approval
