#include "audit/entry.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "base/json.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::array<const char*, 6> kOwnMembers = {"v",    "id",     "kind",
                                                    "time", "writer", "operation_id"};
// As long as every time, and found nowhere else: a quote inside a JSON string is escaped.
constexpr std::string_view kTimeMember = "\"time\":\"0000-00-00T00:00:00.000000Z\"";
constexpr std::size_t kTimeOffset = 8;

std::optional<Kind> parse_kind(std::string_view text) {
  using enum Kind;
  for (const Kind kind :
       {kDecision, kIntent, kOutcome, kReconciliation, kApproval, kAccess, kRules, kSystem}) {
    if (to_string(kind) == text) return kind;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::kDecision:
      return "decision";
    case Kind::kIntent:
      return "intent";
    case Kind::kOutcome:
      return "outcome";
    case Kind::kReconciliation:
      return "reconciliation";
    case Kind::kApproval:
      return "approval";
    case Kind::kAccess:
      return "access";
    case Kind::kRules:
      return "rules";
    case Kind::kSystem:
      return "system";
  }
  return "unknown";
}

std::string_view to_string(CallResult result) {
  switch (result) {
    case CallResult::kExecuted:
      return "executed";
    case CallResult::kRefused:
      return "refused";
    case CallResult::kNotSent:
      return "not_sent";
    case CallResult::kUnknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view to_string(WriterRole role) {
  return role == WriterRole::kProxy ? "proxy" : "audit";
}

bool may_write(WriterRole role, Kind kind) {
  switch (kind) {
    case Kind::kDecision:
    case Kind::kIntent:
      return role == WriterRole::kProxy;
    case Kind::kApproval:
    case Kind::kAccess:
      return role == WriterRole::kAudit;
    case Kind::kOutcome:
    case Kind::kReconciliation:
    case Kind::kRules:
    case Kind::kSystem:
      return true;
  }
  return false;
}

void Entry::set_time(WallTime time) {
  // The last one is the entry's own: members are sorted, and only v and writer, whose content is
  // fixed, come after it.
  const std::size_t at = bytes.rfind("\"time\":\"");
  assert(at != std::string::npos);
  const std::string text = to_rfc3339(time);
  bytes.replace(at + kTimeOffset, text.size(), text);
}

Result<Entry> make_entry(Record record, const Uuid& id, const Writer& writer) {
  if (!record.content.is_object()) return Error{ErrorCode::kInvalid, "a record is an object"};
  for (const char* member : kOwnMembers) {
    if (record.content.contains(member)) {
      return Error{ErrorCode::kInvalid, "the record sets " + std::string(member) + " itself"};
    }
  }
  const auto after_time = std::ranges::find_if(
      record.content.items(), [](const auto& item) { return item.key() > "time"; });
  if (after_time != record.content.items().end()) {
    return Error{ErrorCode::kInvalid, "\"" + after_time.key() + "\" is not a record's member"};
  }
  json members = std::move(record.content);
  members["v"] = kVersion;
  members["id"] = to_string(id);
  members["kind"] = to_string(record.kind);
  members["time"] = kTimeMember.substr(kTimeOffset, kTimeMember.size() - kTimeOffset - 1);
  members["writer"] = {{"id", to_string(writer.id)}, {"role", to_string(writer.role)}};
  if (record.operation_id != Uuid{}) members["operation_id"] = to_string(record.operation_id);
  Result<std::string> bytes = canonical_json(members);
  if (!bytes.ok()) return bytes.error();
  if (bytes->size() > kEntryBytesMax) {
    return Error{ErrorCode::kLimit, "the entry has " + std::to_string(bytes->size()) +
                                        " bytes, at most " + std::to_string(kEntryBytesMax) +
                                        " fit"};
  }
  return Entry{.id = id,
               .kind = record.kind,
               .operation_id = record.operation_id,
               .bytes = *std::move(bytes)};
}

Result<Entry> read_entry(std::string bytes) {
  const Error bad{ErrorCode::kInvalid, "not an entry"};
  const Result<json> parsed = parse_json(bytes);
  if (!parsed.ok() || !parsed->is_object()) return bad;
  const auto text = [&parsed](const char* member) {
    const auto found = parsed->find(member);
    return found != parsed->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::optional<Uuid> id = parse_uuid(text("id"));
  const std::optional<Kind> kind = parse_kind(text("kind"));
  if (!id || !kind) return bad;
  return Entry{.id = *id,
               .kind = *kind,
               .operation_id = parse_uuid(text("operation_id")).value_or(Uuid{}),
               .bytes = std::move(bytes)};
}

json content_of(const Entry& entry) {
  Result<json> parsed = parse_json(entry.bytes);
  if (!parsed.ok() || !parsed->is_object()) return json::object();
  for (const char* member : kOwnMembers) parsed->erase(member);
  return *std::move(parsed);
}

Record settled_outcome(const Uuid& operation_id, const json& intent_content, CallResult result,
                       std::string_view reason) {
  Record record{.kind = Kind::kOutcome, .operation_id = operation_id};
  for (const char* member : {"actor", "operation", "request"}) {
    if (intent_content.contains(member)) record.content[member] = intent_content[member];
  }
  record.content["outcome"] = {{"result", to_string(result)}, {"reason", reason}};
  return record;
}

Record late_outcome(const Uuid& operation_id, const json& outcome_content) {
  Record record{
      .kind = Kind::kReconciliation, .operation_id = operation_id, .content = outcome_content};
  json& outcome = record.content["outcome"];
  if (!outcome.is_object()) outcome = json::object();
  const std::string reported = outcome.value("result", "unknown");
  outcome["reported"] = reported;
  outcome["result"] = reported == "executed"  ? "executed"
                      : reported == "unknown" ? "indeterminate"
                                              : "not_executed";
  outcome["reason"] = "the operation had been ended before its own result came";
  return record;
}

}  // namespace holdfast::audit
