#include "proxy/record_content.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "approval/binding.h"
#include "approval/requirements.h"
#include "base/canonical_object.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"
#include "graph/classify.h"
#include "identity/mailboxes.h"
#include "proxy/recall_answer.h"

namespace holdfast::proxy {
namespace {

using nlohmann::json;

constexpr std::size_t kHeaderTextBytesMax = 256;
constexpr std::size_t kReasonBytesMax = 512;
// An authority's certificates are believed, but they need not fill a record.
constexpr std::size_t kCertificateNamesMax = 16;
constexpr std::size_t kNamesBytesMax = 8 * 1024;  // An entry has room for several of these.
constexpr std::size_t kDecisionBytesMax = 24 * 1024;
// Of each list: a thousand rules may match a call of which little is known.
constexpr std::size_t kRulesNamedMax = 100;

std::vector<std::string> as_texts(const std::vector<std::string>& texts) {
  std::vector<std::string> clean;
  clean.reserve(texts.size());
  for (const std::string& text : texts) clean.push_back(to_text(text));
  return clean;
}

// The request line may not even have been valid; what a URL cannot hold is percent-encoded.
std::string printable(std::string_view text) {
  const auto is_plain = [](char c) { return c > ' ' && c < '\x7f'; };
  if (std::ranges::all_of(text, is_plain)) return std::string(text);
  std::string printed;
  for (const char c : text) {
    printed += is_plain(c) ? std::string(1, c) : "%" + to_hex(std::string_view(&c, 1));
  }
  return printed;
}

void add_if_present(CanonicalObject& object, std::string_view name, std::string_view value) {
  if (!value.empty()) object.text(name, to_text(value, kHeaderTextBytesMax));
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

std::string certificate_content(const http::ClientCertificate& certificate) {
  std::vector<std::string> names = as_texts(certificate.names);
  if (names.size() > kCertificateNamesMax) names.resize(kCertificateNamesMax);
  CanonicalObject content;
  if (!names.empty()) content.texts("names", names);
  content.text("sha256", certificate.sha256);
  add_if_present(content, "subject", certificate.subject);
  return std::move(content).take();
}

std::string request_content(const Call& call) {
  const http::RequestHead& head = call.request.head;
  CanonicalObject content;
  if (call.content && !call.content->empty()) {
    content.integer("body_bytes", static_cast<std::int64_t>(call.content->size()));
    content.text("body_sha256", to_hex(sha256(*call.content)));
  }
  if (call.request.peer.certificate) {
    content.written("client_certificate", certificate_content(*call.request.peer.certificate));
  }
  content.text("client_request_id", call.client_request_id);
  if (const std::string* header = head.headers.find("x-msft-approval-justification")) {
    const Result<std::string> justification = approval::decode_justification(*header);
    if (justification.ok()) content.text("justification", to_text(*justification));
  }
  content.text("method", to_text(printable(head.method), kHeaderTextBytesMax));
  add_if_present(content, "prefer", head.headers.joined("Prefer"));
  content.text("request_id", call.request_id);
  add_if_present(content, "source_ip", call.source_ip);
  content.text("target", target_for_record(head.target));
  add_if_present(content, "ticket", head.headers.get("Holdfast-Ticket"));
  add_if_present(content, "user_agent", head.headers.get("User-Agent"));
  return std::move(content).take();
}

std::string actor_content(const identity::Actor& actor) {
  CanonicalObject content;
  add_if_present(content, "app", actor.app_id);
  content.text("kind", identity::to_string(actor.kind));
  add_if_present(content, "name", actor.name);
  add_if_present(content, "tenant", actor.tenant_id);
  add_if_present(content, "token_id", actor.token_id);
  add_if_present(content, "token_sha256", actor.token_sha256);
  if (actor.kind == identity::ActorKind::kUser) add_if_present(content, "user", actor.object_id);
  content.text("verification", identity::to_string(actor.verification));
  return std::move(content).take();
}

template <typename Element>
std::span<const Element> first_of(const std::vector<Element>& list) {
  return std::span(list).first(std::min(list.size(), kRulesNamedMax));
}

// How many of a list are not named. The object keeps the name, and so literals are given.
void add_more(CanonicalObject& content, const char* name, std::size_t size) {
  if (size <= kRulesNamedMax) return;
  content.integer(name, static_cast<std::int64_t>(size - kRulesNamedMax));
}

void add_matches(CanonicalObject& content, const char* name, const char* more,
                 const std::vector<approval::RuleMatch>& matches) {
  std::vector<std::string> array;
  for (const approval::RuleMatch& match : first_of(matches)) {
    CanonicalObject item;
    item.text("effect", approval::to_string(match.effect)).text("id", match.id);
    if (!match.unknown_facts.empty()) item.texts("unknown_facts", match.unknown_facts);
    array.push_back(std::move(item).take());
  }
  content.written(name, array);
  add_more(content, more, matches.size());
}

std::size_t bytes_of(const std::vector<std::string>& names) {
  std::size_t bytes = 0;
  for (const std::string& name : names) bytes += name.size() + 3;
  return bytes;
}

// {"complete","known":[[names]]}
std::string affected_content(const approval::Facts& facts) {
  std::vector<std::string> known;
  known.reserve(facts.affected.known.size());
  std::size_t bytes = 0;
  bool all = true;
  for (const approval::MailboxNames& mailbox : facts.affected.known) {
    bytes += bytes_of(mailbox.names);
    all = all && bytes <= kNamesBytesMax;
    if (!all) continue;
    known.push_back(canonical_json(as_texts(mailbox.names)).value());
  }
  CanonicalObject content;
  content.boolean("complete", facts.affected.complete && all).written("known", known);
  return std::move(content).take();
}

// The facts the rules saw, unknown ones as null, so that a reader can decide again.
std::string facts_content(const approval::Facts& facts) {
  CanonicalObject content;
  const auto texts = [&content](std::string_view name,
                                const std::optional<std::vector<std::string>>& fact) {
    if (fact) {
      content.texts(name, as_texts(*fact));
    } else {
      content.null(name);
    }
  };
  const auto text = [&content](std::string_view name, const std::optional<std::string>& fact) {
    if (fact) {
      content.text(name, *fact);
    } else {
      content.null(name);
    }
  };
  content.text("actor_kind", identity::to_string(facts.actor_kind));
  const approval::ItemFacts& item = facts.item;
  // For anything but a recall it is the mailbox.
  if (facts.action == "recall") content.written("affected_mailboxes", affected_content(facts));
  content.text("at", to_rfc3339(facts.now));
  if (item.categories && bytes_of(*item.categories) <= kNamesBytesMax) {
    texts("categories", item.categories);
  }
  text("folder", facts.folder ? std::optional(without_token(*facts.folder)) : std::nullopt);
  texts("groups", facts.groups);
  texts("mailbox", facts.mailbox ? std::optional(facts.mailbox->names) : std::nullopt);
  if (item.message_age) content.integer("message_age_seconds", item.message_age->count());
  if (facts.own_mailbox) {
    content.boolean("own_mailbox", *facts.own_mailbox);
  } else {
    content.null("own_mailbox");
  }
  if (item.recipients && bytes_of(*item.recipients) <= kNamesBytesMax) {
    texts("recipients", item.recipients);
  }
  texts("roles", facts.roles);
  if (item.sender) texts("sender", item.sender);
  if (item.size_bytes) content.integer("size_bytes", *item.size_bytes);
  text("source_ip", facts.source_ip);
  return std::move(content).take();
}

// What the limit counts together, and the mailbox that this call is about. One that is not known
// may be any: it counts as one of its own.
std::string limit_content(const approval::TakenLimit& taken, const Subject& subject) {
  const std::vector<std::string>& names = subject.mailbox_names;
  std::string mailbox = "unknown " + to_string(subject.call.operation_id);
  if (!names.empty()) mailbox = identity::mailbox_id(names).value_or(names.front());
  const approval::Limit& limit = taken.limit;
  std::string key = taken.rule.id + "|" + std::string(to_string(limit.by)) + "|";
  if (limit.by == approval::LimitBy::kActor) key += approval::actor_key(*subject.actor);
  if (limit.by == approval::LimitBy::kMailbox) key += names.empty() ? "unknown" : mailbox;
  CanonicalObject content;
  content.integer("count", limit.count);
  if (limit.distinct_mailboxes) content.integer("distinct_mailboxes", *limit.distinct_mailboxes);
  content.text("key", to_text(key)).text("mailbox", to_text(mailbox));
  content.integer("per_s", limit.per.count()).text("rule", taken.rule.id);
  return std::move(content).take();
}

enum class Length { kWhole, kShort };

// The effect is the note's where there is one: a call may be refused before or after the rules
// were asked. kShort: without what may be long.
std::string decision_content(const Subject& subject, const DecisionBasis* basis,
                             const RefusalNote* note, Length length) {
  CanonicalObject content;
  const bool whole = length == Length::kWhole;
  const auto effect = [&] {
    if (note != nullptr) return std::string_view(note->effect);
    return approval::to_string(subject.review ? approval::Effect::kBreakGlass
                                              : basis->decision.effect);
  };
  if (basis != nullptr) content.boolean("default", basis->decision.by.empty());
  content.text("effect", effect());
  if (basis != nullptr) {
    if (whole) content.written("facts", facts_content(basis->facts));
    if (note == nullptr && !basis->decision.limits.empty()) {
      content.written("limits", limits_content(subject, basis->decision.limits));
    }
    if (whole) add_matches(content, "matched", "matched_more", basis->decision.matched);
    if (whole && !basis->decision.monitored.empty()) {
      add_matches(content, "monitored", "monitored_more", basis->decision.monitored);
    }
  }
  if (note != nullptr) content.text("reason", to_text(note->reason, kReasonBytesMax));
  if (basis != nullptr) {
    std::vector<std::string> rules;
    if (note == nullptr && subject.review) {
      rules = subject.review->rules;
    } else {
      rules.reserve(basis->decision.by.size());
      for (const approval::RuleMatch& match : basis->decision.by) rules.push_back(match.id);
    }
    content.texts("rules", first_of(rules));
    content.integer("rules_generation", basis->rules_generation);
    add_more(content, "rules_more", rules.size());
    content.text("rules_revision", basis->rules_revision);
    content.text("rules_sha256", basis->rules_sha256);
    if (!whole) content.boolean("shortened", true);
  }
  if (note != nullptr) content.integer("status", note->status);
  return std::move(content).take();
}

// What happened must be told even where why does not fit.
std::string decision_that_fits(const Subject& subject, const DecisionBasis* basis,
                               const RefusalNote* note) {
  std::string content = decision_content(subject, basis, note, Length::kWhole);
  if (content.size() <= kDecisionBytesMax) return content;
  return decision_content(subject, basis, note, Length::kShort);
}

audit::Record call_record(audit::Kind kind, const Subject& subject, CallMembers members) {
  return {.kind = kind,
          .operation_id = subject.call.operation_id,
          .content = json::object(),
          .written = std::move(members)};
}

// Graph's own error code and message, where the answer is an error of its shape.
struct GraphError {
  std::string code;
  std::string message;
};

GraphError graph_error(const std::string& body) {
  const Result<json> parsed = parse_json(body);
  if (!parsed.ok() || !parsed->is_object()) return {};
  const auto error = parsed->find("error");
  if (error == parsed->end() || !error->is_object()) return {};
  const auto text = [&error](const char* member) {
    const auto value = error->find(member);
    return value != error->end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  return {.code = text("code"), .message = text("message")};
}

std::string outcome_content(const Subject& subject, const ForwardResult& result,
                            std::chrono::microseconds duration) {
  const http::Response* response = result.response ? &*result.response : nullptr;
  const bool has_body = response != nullptr && !response->content.empty();
  CanonicalObject content;
  if (has_body) {
    content.integer("body_bytes", static_cast<std::int64_t>(response->content.size()));
    content.text("body_sha256", to_hex(sha256(response->content)));
  }
  content.integer("duration_us", duration.count());
  if (has_body && response->status >= 400) {
    const GraphError error = graph_error(response->content);
    add_if_present(content, "error", error.message);
    add_if_present(content, "error_code", error.code);
  }
  if (response != nullptr) {
    add_if_present(content, "graph_request_id", response->headers.get("request-id"));
  }
  add_if_present(content, "reason", result.reason);
  if (has_body && subject.operation && subject.operation->action == "recall" &&
      response->status == 202) {
    if (const auto recall = parse_recall_answer(response->content)) {
      CanonicalObject member;
      member.text("hub_server", recall->hub_server).text("message_id", recall->message_id);
      content.written("recall", std::move(member).take());
    }
  }
  content.text("result", audit::to_string(result.result));
  if (response != nullptr) content.integer("status", response->status);
  return std::move(content).take();
}

}  // namespace

std::vector<std::string> limits_content(const Subject& subject,
                                        const std::vector<approval::TakenLimit>& limits) {
  std::vector<std::string> written;
  written.reserve(limits.size());
  for (const approval::TakenLimit& taken : limits) {
    written.push_back(limit_content(taken, subject));
  }
  return written;
}

std::string operation_content(const Subject& subject) {
  const graph::Operation& operation = *subject.operation;
  CanonicalObject mailbox;
  if (!operation.mailbox.key.empty()) mailbox.text("key", without_token(operation.mailbox.key));
  mailbox.text("kind", graph::to_string(operation.mailbox.kind));
  if (!subject.mailbox_names.empty()) mailbox.texts("names", as_texts(subject.mailbox_names));
  CanonicalObject content;
  content.text("action", operation.action);
  if (operation.folder) content.text("folder", without_token(*operation.folder));
  if (operation.item) content.text("item", without_token(*operation.item));
  content.written("mailbox", std::move(mailbox).take());
  if (operation.may_be_shared) content.boolean("may_be_shared", true);
  content.text("path", without_token(operation.canonical_path));
  add_if_present(content, "resource", operation.resource);
  if (operation.version) content.text("version", *operation.version);
  return std::move(content).take();
}

approval::Identity requester_of(const Subject& subject, const DecisionBasis& basis) {
  const bool own = basis.facts.own_mailbox.value_or(false);
  return approval::requester_of(
      *subject.actor,
      own ? std::span<const std::string>(subject.mailbox_names) : std::span<const std::string>());
}

CallMembers call_members(const Subject& subject) {
  CallMembers members;
  members.push_back({"request", request_content(subject.call)});
  if (subject.operation) {
    members.push_back({"operation", operation_content(subject)});
  }
  if (subject.actor) members.push_back({"actor", actor_content(*subject.actor)});
  return members;
}

audit::Record intent_record(const Subject& subject, CallMembers members,
                            const DecisionBasis& basis) {
  audit::Record record = call_record(audit::Kind::kIntent, subject, std::move(members));
  record.written.push_back({"decision", decision_that_fits(subject, &basis, nullptr)});
  record.is_limited = !basis.decision.limits.empty();
  record.generation = basis.rules_generation;
  if (subject.claim) {
    record.content["approval"] = approval::claim(subject.claim->code, subject.claim->binding);
    record.approval_step = audit::ApprovalStep::kClaim;
  }
  if (subject.review) {
    record.content["review"] = approval::opening(*subject.review, requester_of(subject, basis));
    record.approval_step = audit::ApprovalStep::kBreakGlass;
  }
  if (!subject.preimage.empty()) record.written.push_back({"preimage", subject.preimage});
  return record;
}

audit::Record outcome_record(const Subject& subject, CallMembers members,
                             const ForwardResult& result, std::chrono::microseconds duration) {
  audit::Record record = call_record(audit::Kind::kOutcome, subject, std::move(members));
  record.written.push_back({"outcome", outcome_content(subject, result, duration)});
  record.is_limited = result.result == audit::CallResult::kNotSent;
  if (subject.claim) {
    record.content["approval"] = approval::claim_ended(
        subject.claim->code, result.result, result.response ? result.response->status : 0);
    record.approval_step = audit::ApprovalStep::kEnd;
  }
  return record;
}

audit::Record refusal_record(const Subject& subject, const RefusalNote& note,
                             const DecisionBasis* basis) {
  audit::Record record = call_record(audit::Kind::kDecision, subject, call_members(subject));
  record.written.push_back({"decision", decision_that_fits(subject, basis, &note)});
  if (!subject.preimage.empty()) record.written.push_back({"preimage", subject.preimage});
  if (note.approval) {
    record.content["approval"] = note.approval->content;
    record.approval_step = note.approval->step;
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
