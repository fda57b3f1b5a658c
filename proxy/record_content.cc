#include "proxy/record_content.h"

#include <algorithm>
#include <string_view>

#include "approval/requirements.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"
#include "graph/classify.h"
#include "proxy/recall_answer.h"

namespace holdfast::proxy {
namespace {

using nlohmann::json;

constexpr std::size_t kHeaderTextBytesMax = 256;
constexpr std::size_t kReasonBytesMax = 512;

json as_texts(const std::vector<std::string>& texts) {
  json array = json::array();
  for (const std::string& text : texts) array.push_back(to_text(text));
  return array;
}

// The request line may not even have been valid; what a URL cannot hold is percent-encoded.
std::string printable(std::string_view text) {
  std::string printed;
  for (const char c : text) {
    const bool plain = c > ' ' && c < '\x7f';
    printed += plain ? std::string(1, c) : "%" + to_hex(std::string_view(&c, 1));
  }
  return printed;
}

void set_if_present(json& object, const char* key, std::string_view value) {
  if (!value.empty()) object[key] = to_text(value, kHeaderTextBytesMax);
}

// Whether text holds access_token under any number of encodings, or, in a query, a JWT's beginning.
// Item ids may begin like a JWT too, so outside a query that counts for nothing.
bool may_hold_token(std::string_view text, bool is_query) {
  constexpr int kEncodingsMax = 4;
  std::string current(text);
  for (int i = 0; i < kEncodingsMax; ++i) {
    if (ascii_lower(current).find("access_token") != std::string::npos) return true;
    if (is_query && current.find("eyJ") != std::string::npos) return true;
    const std::optional<std::string> decoded = percent_decode(current);
    if (decoded == current) return false;
    if (!decoded) return is_query;
    current = *decoded;
  }
  return true;
}

// A token in a target is refused, and it must not be recorded.
std::string without_token(std::string_view text, bool is_query = false) {
  constexpr std::string_view kRemoved = "(removed: it may hold a token)";
  return may_hold_token(text, is_query) ? std::string(kRemoved) : to_text(text);
}

std::string target_for_record(const std::string& target) {
  const std::size_t query = std::min(target.find('?'), target.size());
  std::string recorded = without_token(printable(target.substr(0, query)));
  if (query < target.size()) {
    recorded += "?" + without_token(printable(target.substr(query + 1)), true);
  }
  return recorded;
}

json request_content(const Call& call) {
  const http::RequestHead& head = call.request.head;
  json content = {{"method", to_text(printable(head.method), kHeaderTextBytesMax)},
                  {"target", target_for_record(head.target)},
                  {"request_id", call.request_id},
                  {"client_request_id", call.client_request_id},
                  {"source_ip", call.source_ip}};
  set_if_present(content, "user_agent", head.headers.get("User-Agent"));
  set_if_present(content, "prefer", head.headers.joined("Prefer"));
  set_if_present(content, "ticket", head.headers.get("Holdfast-Ticket"));
  if (const std::string* header = head.headers.find("x-msft-approval-justification")) {
    const Result<std::string> justification = approval::decode_justification(*header);
    if (justification.ok()) content["justification"] = to_text(*justification);
  }
  if (call.content && !call.content->empty()) {
    content["body_bytes"] = call.content->size();
    content["body_sha256"] = to_hex(sha256(*call.content));
  }
  return content;
}

json operation_content(const graph::Operation& operation, const std::vector<std::string>& names) {
  json mailbox = {{"kind", graph::to_string(operation.mailbox.kind)}};
  if (!operation.mailbox.key.empty()) mailbox["key"] = without_token(operation.mailbox.key);
  if (!names.empty()) mailbox["names"] = as_texts(names);
  json content = {{"action", operation.action},
                  {"mailbox", std::move(mailbox)},
                  {"path", without_token(operation.canonical_path)}};
  set_if_present(content, "resource", operation.resource);
  if (operation.item) content["item"] = without_token(*operation.item);
  if (operation.folder) content["folder"] = without_token(*operation.folder);
  if (operation.version) content["version"] = *operation.version;
  if (operation.may_be_shared) content["may_be_shared"] = true;
  return content;
}

json actor_content(const identity::Actor& actor) {
  json content = {{"kind", identity::to_string(actor.kind)},
                  {"verification", identity::to_string(actor.verification)}};
  set_if_present(content, "tenant", actor.tenant_id);
  set_if_present(content, "user",
                 actor.kind == identity::ActorKind::kUser ? actor.object_id : std::string());
  set_if_present(content, "app", actor.app_id);
  set_if_present(content, "name", actor.name);
  set_if_present(content, "token_id", actor.token_id);
  set_if_present(content, "token_sha256", actor.token_sha256);
  return content;
}

json match_content(const std::vector<approval::RuleMatch>& matches) {
  json content = json::array();
  for (const approval::RuleMatch& match : matches) {
    json item = {{"id", match.id}, {"effect", approval::to_string(match.effect)}};
    if (!match.unknown_facts.empty()) item["unknown_facts"] = match.unknown_facts;
    content.push_back(std::move(item));
  }
  return content;
}

// The facts the rules saw, unknown ones as null, so that a reader can decide again.
json facts_content(const approval::Facts& facts) {
  const auto known = [](const auto& fact) { return fact ? json(*fact) : json(); };
  const auto known_texts = [](const auto& fact) { return fact ? as_texts(*fact) : json(); };
  return {{"actor_kind", identity::to_string(facts.actor_kind)},
          {"groups", known_texts(facts.groups)},
          {"roles", known_texts(facts.roles)},
          {"mailbox", facts.mailbox ? as_texts(facts.mailbox->names) : json()},
          {"own_mailbox", known(facts.own_mailbox)},
          {"folder", facts.folder ? json(without_token(*facts.folder)) : json()},
          {"source_ip", known(facts.source_ip)},
          {"at", to_rfc3339(facts.now)}};
}

json decision_content(const DecisionBasis& basis) {
  json rules = json::array();
  for (const approval::RuleMatch& match : basis.decision.by) rules.push_back(match.id);
  json content = {{"effect", approval::to_string(basis.decision.effect)},
                  {"rules", std::move(rules)},
                  {"matched", match_content(basis.decision.matched)},
                  {"default", basis.decision.by.empty()},
                  {"rules_sha256", basis.rules_sha256},
                  {"rules_revision", basis.rules_revision},
                  {"facts", facts_content(basis.facts)}};
  if (!basis.decision.monitored.empty()) {
    content["monitored"] = match_content(basis.decision.monitored);
  }
  return content;
}

audit::Record common_record(audit::Kind kind, const Subject& subject) {
  audit::Record record{.kind = kind, .operation_id = subject.call.operation_id};
  record.content["request"] = request_content(subject.call);
  if (subject.operation) {
    record.content["operation"] = operation_content(*subject.operation, subject.mailbox_names);
  }
  if (subject.actor) record.content["actor"] = actor_content(*subject.actor);
  return record;
}

// Graph's own error code and message, where the answer is an error of its shape.
void add_graph_error(json& outcome, const std::string& body) {
  const Result<json> parsed = parse_json(body);
  if (!parsed.ok() || !parsed->is_object()) return;
  const auto error = parsed->find("error");
  if (error == parsed->end() || !error->is_object()) return;
  for (const auto& [member, key] : {std::pair{"code", "error_code"}, {"message", "error"}}) {
    const auto value = error->find(member);
    if (value != error->end() && value->is_string()) {
      set_if_present(outcome, key, value->get_ref<const std::string&>());
    }
  }
}

void add_answer(json& outcome, const http::Response& response, const Subject& subject) {
  outcome["status"] = response.status;
  set_if_present(outcome, "graph_request_id", response.headers.get("request-id"));
  if (response.content.empty()) return;
  outcome["body_bytes"] = response.content.size();
  outcome["body_sha256"] = to_hex(sha256(response.content));
  if (response.status >= 400) add_graph_error(outcome, response.content);
  if (subject.operation && subject.operation->action == "recall" && response.status == 202) {
    if (const auto recall = parse_recall_answer(response.content)) {
      outcome["recall"] = {{"message_id", recall->message_id}, {"hub_server", recall->hub_server}};
    }
  }
}

}  // namespace

audit::Record intent_record(const Subject& subject, const DecisionBasis& basis) {
  audit::Record record = common_record(audit::Kind::kIntent, subject);
  record.content["decision"] = decision_content(basis);
  return record;
}

audit::Record outcome_record(const Subject& subject, const ForwardResult& result,
                             std::chrono::microseconds duration) {
  audit::Record record = common_record(audit::Kind::kOutcome, subject);
  json outcome = {{"result", audit::to_string(result.result)}, {"duration_us", duration.count()}};
  set_if_present(outcome, "reason", result.reason);
  if (result.response) add_answer(outcome, *result.response, subject);
  record.content["outcome"] = std::move(outcome);
  return record;
}

audit::Record refusal_record(const Subject& subject, const RefusalNote& note,
                             const DecisionBasis* basis) {
  audit::Record record = common_record(audit::Kind::kDecision, subject);
  json decision = basis != nullptr ? decision_content(*basis) : json::object();
  decision["effect"] = note.effect;
  decision["reason"] = to_text(note.reason, kReasonBytesMax);
  decision["status"] = note.status;
  record.content["decision"] = std::move(decision);
  if (note.approval_code) {
    record.content["approval"] = {{"code", *note.approval_code}, {"state", "PENDING"}};
  }
  return record;
}

audit::Record counted_refusals_record(const UnrecordedRefusals& count, WallTime now) {
  audit::Record record{.kind = audit::Kind::kDecision, .operation_id = make_uuid_v7(now)};
  record.content["decision"] = {{"effect", "bad_request"},
                                {"reason", "refusals beyond the recorded rate, counted"},
                                {"counted",
                                 {{"unverified", count.unverified},
                                  {"verified", count.verified},
                                  {"from", to_rfc3339(count.since)},
                                  {"to", to_rfc3339(now)}}}};
  return record;
}

}  // namespace holdfast::proxy
