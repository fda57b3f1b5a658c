#include "officers/finding.h"

#include <array>
#include <string_view>
#include <utility>

#include "audit/entry.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/uuid.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

constexpr std::string_view kItemNotFound = "ErrorItemNotFound";
constexpr std::size_t kTextBytesMax = 256;

// Where a mailbox holds items of a kind, whatever folder they are in.
struct Shelf {
  std::string_view resource;
  std::string_view version;
  std::string_view path;
};
constexpr std::array kShelves = {Shelf{"message", "v1.0", "messages"},
                                 Shelf{"event", "v1.0", "events"},
                                 Shelf{"contact", "v1.0", "contacts"},
                                 Shelf{"calendar", "v1.0", "calendars"},
                                 Shelf{"mailFolder", "v1.0", "mailFolders"},
                                 Shelf{"contactFolder", "v1.0", "contactFolders"},
                                 Shelf{"outlookTask", "beta", "outlook/tasks"},
                                 Shelf{"outlookTaskFolder", "beta", "outlook/taskFolders"}};

std::string text_in(const json& object, const char* member) {
  if (!object.is_object()) return {};
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const json& member_of(const json& object, const char* name) {
  static const json nothing;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() ? *found : nothing;
}

const Shelf* find_shelf(std::string_view resource) {
  for (const Shelf& shelf : kShelves) {
    if (shelf.resource == resource) return &shelf;
  }
  return nullptr;
}

// The mailbox under its id where that is known: a name may belong to somebody else by now.
std::string mailbox_path(const json& mailbox, const json& actor) {
  const std::string kind = text_in(mailbox, "kind");
  std::string key = kind == "me" ? text_in(actor, "user") : text_in(mailbox, "key");
  std::size_t ids = 0;
  for (const json& name : member_of(mailbox, "names")) {
    if (!name.is_string() || !parse_uuid(name.get_ref<const std::string&>())) continue;
    key = name.get<std::string>();
    ++ids;
  }
  if (key.empty() || ids > 1 || key.find_first_not_of('.') == std::string::npos) return {};
  if (kind == "group") return "groups/" + percent_encode(key);
  return kind == "me" || kind == "user" ? "users/" + percent_encode(key) : std::string();
}

}  // namespace

std::optional<Question> question_about(const json& outcome) {
  const json& operation = member_of(outcome, "operation");
  const std::string item = text_in(operation, "item");
  const Shelf* shelf = find_shelf(text_in(operation, "resource"));
  const std::string mailbox =
      mailbox_path(member_of(operation, "mailbox"), member_of(outcome, "actor"));
  const bool told = text_in(operation, "action") == "permanentDelete" && !item.empty() &&
                    item.find_first_not_of('.') != std::string::npos && shelf != nullptr &&
                    !mailbox.empty() && !operation.contains("may_be_shared");
  if (!told) return std::nullopt;
  Question question;
  question.target = "/" + std::string(shelf->version) + "/" + mailbox + "/" +
                    std::string(shelf->path) + "/" + percent_encode(item) + "?$select=id";
  const std::string prefer = text_in(member_of(outcome, "request"), "prefer");
  if (ascii_lower(prefer).find("immutableid") != std::string::npos) {
    question.headers.add("Prefer", "IdType=\"ImmutableId\"");
  }
  return question;
}

Finding judge(const identity::GraphAnswer& answer) {
  const Result<json> parsed = parse_json(answer.body);
  const json body = parsed.ok() ? *parsed : json();
  Finding finding{.status = answer.status,
                  .error_code = text_in(member_of(body, "error"), "code"),
                  .graph_request_id = std::string(answer.headers.get("request-id"))};
  if (answer.status == 200 && !text_in(body, "id").empty()) finding.fate = Fate::kThere;
  // Other 404s tell of the mailbox or the path, not of the item.
  if (answer.status == 404 && finding.error_code == kItemNotFound &&
      !finding.graph_request_id.empty()) {
    finding.fate = Fate::kGone;
  }
  return finding;
}

audit::Record reconciliation_record(const Uuid& operation_id, const json& outcome,
                                    const Question& question, const Finding& finding,
                                    WallTime asked_at) {
  audit::Record record{.kind = audit::Kind::kReconciliation,
                       .operation_id = operation_id,
                       .personal_data = audit::personal_data_of(outcome)};
  for (const char* member : {"actor", "operation", "request"}) {
    if (outcome.contains(member)) record.content[member] = outcome[member];
  }
  json evidence = {{"asked_at", to_rfc3339(asked_at)},
                   {"status", finding.status},
                   {"target", to_text(question.target)}};
  if (!finding.error_code.empty()) {
    evidence["error_code"] = to_text(finding.error_code, kTextBytesMax);
  }
  if (!finding.graph_request_id.empty()) {
    evidence["graph_request_id"] = to_text(finding.graph_request_id, kTextBytesMax);
  }
  const bool gone = finding.fate == Fate::kGone;
  record.content["outcome"] = {
      {"evidence", std::move(evidence)},
      {"reason", gone ? "Graph does not have the item any more" : "Graph still has the item"},
      {"result", gone ? "executed" : "not_executed"}};
  return record;
}

}  // namespace holdfast::officers
