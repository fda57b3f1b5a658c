#include "audit/entry.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>
#include <vector>

#include "base/canonical_object.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;

constexpr std::string_view kVersionMember = ",\"v\":1";
constexpr std::size_t kTypicalBytes = 2048;
constexpr std::array<std::string_view, 6> kOwnMembers = {"v",    "id",     "kind",
                                                         "time", "writer", "operation_id"};
// As long as every time, and found nowhere else: a quote inside a JSON string is escaped.
constexpr std::string_view kTimeMember = "\"time\":\"0000-00-00T00:00:00.000000Z\"";
constexpr std::size_t kTimeOffset = 8;
constexpr std::size_t kTimeTextBytes = kTimeMember.size() - kTimeOffset - 1;

std::string as_json(std::string_view utf8) {
  std::string text;
  text.reserve(utf8.size() + 2);
  append_json_string(text, utf8);
  return text;
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// The caller's members, each as canonical JSON. Their names leave room for the entry's own.
Result<std::vector<WrittenMember>> members_of(const json& content,
                                              std::vector<WrittenMember> members) {
  if (!content.is_object()) return Error{ErrorCode::kInvalid, "a record is an object"};
  for (const auto& [name, value] : content.items()) {
    Result<std::string> text = canonical_json(value);
    if (!text.ok()) {
      return Error{ErrorCode::kInvalid, "\"" + name + "\" of a record: " + text.error().message};
    }
    members.push_back({.name = name, .value = *std::move(text)});
  }
  for (const WrittenMember& member : members) {
    if (std::ranges::find(kOwnMembers, member.name) != kOwnMembers.end()) {
      return Error{ErrorCode::kInvalid, "the record sets " + member.name + " itself"};
    }
    // Time, version and writer end every entry.
    if (member.name > "time" || !is_ascii(member.name)) {
      return Error{ErrorCode::kInvalid, "\"" + member.name + "\" is not a record's member"};
    }
  }
  return members;
}

std::optional<Kind> parse_kind(std::string_view text) {
  using enum Kind;
  for (const Kind kind :
       {kDecision, kIntent, kOutcome, kReconciliation, kApproval, kAccess, kRules, kSystem}) {
    if (to_string(kind) == text) return kind;
  }
  return std::nullopt;
}

// Seals what `record` says, the members that are written already included.
Result<std::vector<SealedDocument>> seal_record(Record& record) {
  for (const WrittenMember& member : record.written) {
    Result<json> value = parse_json(member.value);
    if (!value.ok()) return value.error();
    record.content[member.name] = *std::move(value);
  }
  record.written.clear();
  const bool is_decision = record.kind == Kind::kApproval;
  return seal(record.content, is_decision ? SealedPart::kMailbox : SealedPart::kAll);
}

// The last one is the entry's own: members are sorted, and only v and writer, whose content is
// fixed, come after it.
std::size_t time_at(std::string_view entry) {
  const std::size_t at = entry.rfind("\"time\":\"");
  assert(at != std::string_view::npos);
  return at + kTimeOffset;
}

bool was_not_sent(const json& entry) {
  const auto outcome = entry.find("outcome");
  return outcome != entry.end() && outcome->is_object() &&
         outcome->value("result", json()) == to_string(CallResult::kNotSent);
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
  const bool ends_claim = *kind == Kind::kOutcome && parsed->contains("approval");
  return Entry{.id = *id,
               .kind = *kind,
               .operation_id = parse_uuid(text("operation_id")).value_or(Uuid{}),
               .bytes = std::move(bytes),
               .approval_step = ends_claim ? ApprovalStep::kEnd : ApprovalStep::kNone,
               .is_limited = *kind == Kind::kOutcome && was_not_sent(*parsed)};
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

std::string_view to_string(ApprovalStep step) {
  switch (step) {
    case ApprovalStep::kNone:
      return "";
    case ApprovalStep::kFile:
      return "file";
    case ApprovalStep::kClaim:
      return "claim";
    case ApprovalStep::kEnd:
      return "end";
    case ApprovalStep::kInvalidate:
      return "invalidate";
    case ApprovalStep::kCancel:
      return "cancel";
    case ApprovalStep::kApprove:
      return "approve";
    case ApprovalStep::kReject:
      return "reject";
    case ApprovalStep::kRevoke:
      return "revoke";
    case ApprovalStep::kExpire:
      return "expire";
    case ApprovalStep::kBreakGlass:
      return "break_glass";
    case ApprovalStep::kReview:
      return "review";
  }
  return "";
}

std::string_view to_string(WriterRole role) {
  switch (role) {
    case WriterRole::kProxy:
      return "proxy";
    case WriterRole::kAudit:
      return "audit";
    case WriterRole::kRetention:
      return "retention";
  }
  return "unknown";
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
      return role != WriterRole::kRetention;
    case Kind::kSystem:
      return true;
  }
  return false;
}

void Entry::set_time(WallTime time) {
  const std::string text = to_rfc3339(time);
  bytes.replace(time_at(bytes), text.size(), text);
}

std::string_view Entry::time() const {
  return std::string_view(bytes).substr(time_at(bytes), kTimeTextBytes);
}

Result<Entry> make_entry(Record record, const Uuid& id, const Writer& writer) {
  std::vector<SealedDocument> documents;
  if (record.personal_data == PersonalData::kSealed) {
    Result<std::vector<SealedDocument>> sealed = seal_record(record);
    if (!sealed.ok()) return sealed.error();
    documents = *std::move(sealed);
  }
  Result<std::vector<WrittenMember>> members =
      members_of(record.content, std::move(record.written));
  if (!members.ok()) return members.error();
  const auto add = [&members](const char* name, std::string_view text) {
    members->push_back({.name = name, .value = as_json(text)});
  };
  add("id", to_string(id));
  add("kind", to_string(record.kind));
  if (record.operation_id != Uuid{}) add("operation_id", to_string(record.operation_id));
  std::ranges::sort(*members, {}, &WrittenMember::name);
  const auto twice = std::ranges::adjacent_find(*members, {}, &WrittenMember::name);
  if (twice != members->end()) {
    return Error{ErrorCode::kInvalid, "the record sets " + twice->name + " twice"};
  }
  std::string bytes;
  bytes.reserve(kTypicalBytes);
  for (const WrittenMember& member : *members) {
    bytes += bytes.empty() ? '{' : ',';
    bytes.append(as_json(member.name)).append(":").append(member.value);
  }
  CanonicalObject by;
  by.text("id", to_string(writer.id)).text("role", to_string(writer.role));
  bytes.append(",").append(kTimeMember).append(kVersionMember);
  bytes.append(",\"writer\":").append(std::move(by).take()).append("}");
  std::size_t size = bytes.size();
  for (const SealedDocument& document : documents) size += document.bytes.size();
  if (size > kEntryBytesMax) {
    return Error{ErrorCode::kLimit, "the entry has " + std::to_string(size) + " bytes, at most " +
                                        std::to_string(kEntryBytesMax) + " fit"};
  }
  return Entry{.id = id,
               .kind = record.kind,
               .operation_id = record.operation_id,
               .bytes = std::move(bytes),
               .approval_step = record.approval_step,
               .is_limited = record.is_limited,
               .generation = record.generation,
               .documents = std::move(documents)};
}

std::string spooled_form(const Entry& entry) {
  if (entry.documents.empty()) return entry.bytes;
  json documents = json::array();
  for (const SealedDocument& document : entry.documents) {
    documents.push_back({{"document", document.bytes}, {"names", document.names}});
  }
  return json{{"documents", std::move(documents)}, {"entry", entry.bytes}}.dump();
}

Result<Entry> read_spooled(std::string bytes) {
  const Result<json> parsed = parse_json(bytes);
  if (!parsed.ok() || !parsed->is_object() || !parsed->contains("documents")) {
    return read_entry(std::move(bytes));
  }
  try {
    Result<Entry> entry = read_entry(parsed->at("entry").get<std::string>());
    if (!entry.ok()) return entry;
    for (const json& document : parsed->at("documents")) {
      entry->documents.push_back({.names = document.at("names").get<std::vector<std::string>>(),
                                  .bytes = document.at("document").get<std::string>()});
    }
    return entry;
  } catch (const json::exception&) {
    return Error{ErrorCode::kInvalid, "not an entry with its documents"};
  }
}

json content_of(const Entry& entry) {
  Result<json> parsed = parse_json(entry.bytes);
  if (!parsed.ok() || !parsed->is_object()) return json::object();
  for (const std::string_view member : kOwnMembers) parsed->erase(std::string(member));
  for (std::size_t i = 0; i < entry.documents.size(); ++i) {
    open_with(*parsed, i, entry.documents[i].bytes);
  }
  return *std::move(parsed);
}

PersonalData personal_data_of(const json& content) {
  return content.contains("sealed") ? PersonalData::kSealed : PersonalData::kClear;
}

Record settled_outcome(const Uuid& operation_id, const json& intent_content, CallResult result,
                       std::string_view reason) {
  Record record{.kind = Kind::kOutcome,
                .operation_id = operation_id,
                .personal_data = personal_data_of(intent_content)};
  for (const char* member : {"actor", "operation", "request"}) {
    if (intent_content.contains(member)) record.content[member] = intent_content[member];
  }
  record.content["outcome"] = {{"result", to_string(result)}, {"reason", reason}};
  record.is_limited = result == CallResult::kNotSent;
  const auto approval = intent_content.find("approval");
  // What is no code the database would not take, nor anything beside it.
  if (approval != intent_content.end() && approval->is_object() && approval->contains("code") &&
      approval->at("code").is_string() &&
      parse_uuid(approval->at("code").get_ref<const std::string&>())) {
    record.approval_step = ApprovalStep::kEnd;
    record.content["approval"] = {
        {"code", approval->at("code")},
        {"state", result == CallResult::kNotSent ? "APPROVED" : "UNKNOWN"}};
  }
  return record;
}

Result<Entry> make_settled(const Entry& intent, CallResult result, std::string_view reason,
                           const Uuid& id, const Writer& writer) {
  // PostgreSQL takes JSON with this character for none as soon as it looks into it.
  constexpr std::string_view kNul = "\\u0000";
  if (intent.bytes.find(kNul) == std::string::npos) {
    Result<Entry> entry = make_entry(
        settled_outcome(intent.operation_id, content_of(intent), result, reason), id, writer);
    if (entry.ok()) return entry;
  }
  return make_entry(settled_outcome(intent.operation_id, json::object(), result, reason), id,
                    writer);
}

Record late_outcome(const Uuid& operation_id, const json& outcome_content) {
  Record record{.kind = Kind::kReconciliation,
                .operation_id = operation_id,
                .content = outcome_content,
                .personal_data = personal_data_of(outcome_content)};
  record.content.erase("sealed");
  json& outcome = record.content["outcome"];
  if (!outcome.is_object()) outcome = json::object();
  const std::string reported = outcome.value("result", "unknown");
  outcome["reported"] = reported;
  outcome["result"] = reported == "executed"  ? "executed"
                      : reported == "unknown" ? "indeterminate"
                                              : "not_executed";
  outcome["reason"] = "the operation had been ended before its own result came";
  if (record.content.contains("approval")) {
    record.content["approval"]["state"] = reported == "executed"  ? "EXECUTED"
                                          : reported == "unknown" ? "UNKNOWN"
                                                                  : "FAILED";
  }
  return record;
}

}  // namespace holdfast::audit
