#include "proxy/preimage.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "approval/decide.h"
#include "base/canonical_object.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::proxy {
namespace {

using nlohmann::json;

constexpr std::size_t kTextBytesMax = 256;
constexpr std::size_t kRecordedNamesMax = 50;
constexpr std::chrono::minutes kClockSkewMax{5};
// Where Exchange keeps a message's size (MAPI's PidTagMessageSize): no property of Graph's own.
constexpr std::string_view kSizeProperty = "Integer 0x0E08";

// What can be selected of each type.
struct Fields {
  std::string_view resource;
  std::string_view select;
};
constexpr std::array kFields = {
    Fields{"message",
           "id,internetMessageId,sentDateTime,receivedDateTime,from,sender,toRecipients,"
           "ccRecipients,bccRecipients,categories,parentFolderId"},
    Fields{"event", "id,createdDateTime,organizer,attendees,categories"},
    Fields{"contact", "id,createdDateTime,categories,parentFolderId"},
    Fields{"outlookTask", "id,createdDateTime,categories,parentFolderId"}};

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found != object.end() && !found->is_null() ? &*found : nullptr;
}

std::optional<std::string> text(const json& object, const char* name) {
  const json* value = member(object, name);
  return value != nullptr && value->is_string() ? std::optional(value->get<std::string>())
                                                : std::nullopt;
}

// {"emailAddress":{"address"}}
std::optional<std::string> address_of(const json& recipient) {
  const json* address = member(recipient, "emailAddress");
  std::optional<std::string> name = address != nullptr ? text(*address, "address") : std::nullopt;
  if (!name || name->empty()) return std::nullopt;
  return ascii_lower(*name);
}

// All addresses of the lists together; nullopt unless every list is there and every entry has one.
template <std::size_t N>
std::optional<std::vector<std::string>> addresses_in(const json& body,
                                                     const std::array<const char*, N>& lists) {
  std::vector<std::string> all;
  for (const char* name : lists) {
    const json* list = member(body, name);
    if (list == nullptr || !list->is_array()) return std::nullopt;
    for (const json& recipient : *list) {
      std::optional<std::string> address = address_of(recipient);
      if (!address) return std::nullopt;
      all.push_back(*std::move(address));
    }
  }
  return all;
}

std::optional<std::vector<std::string>> texts_in(const json& body, const char* name) {
  const json* list = member(body, name);
  if (list == nullptr || !list->is_array()) return std::nullopt;
  std::vector<std::string> all;
  for (const json& value : *list) {
    if (!value.is_string()) return std::nullopt;
    all.push_back(value.get<std::string>());
  }
  return all;
}

std::optional<std::vector<std::string>> senders_in(const json& body) {
  std::vector<std::string> all;
  for (const char* name : {"from", "sender", "organizer"}) {
    const json* who = member(body, name);
    if (who == nullptr) continue;
    std::optional<std::string> address = address_of(*who);
    if (!address) return std::nullopt;
    if (std::ranges::find(all, *address) == all.end()) all.push_back(*std::move(address));
  }
  return all.empty() ? std::nullopt : std::optional(std::move(all));
}

std::optional<std::chrono::seconds> age_in(const json& body, bool is_recall, WallTime now) {
  std::optional<std::string> when =
      is_recall ? text(body, "sentDateTime") : text(body, "receivedDateTime");
  if (!when) return std::nullopt;
  const Result<WallTime> time = parse_rfc3339(*when);
  // A message from the future has no age to go by.
  if (!time.ok() || *time > now + kClockSkewMax) return std::nullopt;
  return std::max(std::chrono::floor<std::chrono::seconds>(now - *time), std::chrono::seconds(0));
}

std::optional<std::int64_t> size_in(const json& body) {
  const json* properties = member(body, "singleValueExtendedProperties");
  if (properties == nullptr || !properties->is_array() || properties->size() != 1) {
    return std::nullopt;
  }
  const std::optional<std::string> value = text(properties->front(), "value");
  if (!value || value->empty() || value->size() > 12 ||
      value->find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoll(*value);
}

std::vector<std::string> for_record(const std::vector<std::string>& names) {
  std::vector<std::string> some;
  for (const std::string& name : names) {
    if (some.size() == kRecordedNamesMax) break;
    some.push_back(to_text(name, kTextBytesMax));
  }
  return some;
}

std::string recorded_item(const json& body, const Preimage& preimage, WallTime now) {
  CanonicalObject content;
  const auto add_text = [&](std::string_view name, const std::optional<std::string>& value) {
    if (value) content.text(name, to_text(*value, kTextBytesMax));
  };
  const auto add_names = [&](std::string_view name,
                             const std::optional<std::vector<std::string>>& value) {
    if (value) content.texts(name, for_record(*value));
  };
  const approval::ItemFacts& item = preimage.item;
  add_names("categories", item.categories);
  add_text("created", text(body, "createdDateTime"));
  add_text("etag", text(body, "@odata.etag"));
  add_text("folder", preimage.folder);
  add_text("internet_message_id", text(body, "internetMessageId"));
  content.text("read_at", to_rfc3339(now));
  add_text("received", text(body, "receivedDateTime"));
  add_names("recipients", item.recipients);
  if (item.recipients) {
    content.integer("recipients_count", static_cast<std::int64_t>(item.recipients->size()));
  }
  add_names("sender", item.sender);
  add_text("sent", text(body, "sentDateTime"));
  if (item.size_bytes) content.integer("size_bytes", *item.size_bytes);
  content.integer("status", 200);
  return std::move(content).take();
}

std::string recorded_failure(const std::string& why, std::optional<int> status, WallTime now) {
  CanonicalObject content;
  content.text("failure", to_text(why, kTextBytesMax));
  content.text("read_at", to_rfc3339(now));
  if (status) content.integer("status", *status);
  return std::move(content).take();
}

// `/v1.0/me/messages/{id}` of `/v1.0/me/messages/{id}/permanentdelete`, encoded for a request
// line. Empty for a path of another shape.
std::string item_path(const std::string& canonical_path) {
  std::string path;
  const std::string_view all = canonical_path;
  for (std::size_t at = 0; at < all.rfind('/') && at < all.size();) {
    const std::size_t next = all.find('/', at + 1);
    const std::string_view segment = all.substr(at + 1, next - at - 1);
    const std::optional<std::string> decoded = percent_decode(segment);
    const bool plain = decoded && decoded->find_first_not_of('.') != std::string::npos &&
                       segment.find_first_of("():") == std::string_view::npos;
    if (!plain) return {};
    path += "/" + percent_encode(*decoded);
    at = next;
  }
  return path;
}

}  // namespace

std::string preimage_target(const graph::Operation& operation,
                            const std::vector<std::string>& facts) {
  const bool one_item = operation.action == "permanentDelete" || operation.action == "recall";
  const auto fields = std::ranges::find(kFields, operation.resource, &Fields::resource);
  if (facts.empty() || !one_item || !operation.item || fields == kFields.end()) return {};
  std::string target = item_path(operation.canonical_path);
  if (target.empty()) return {};
  target += "?$select=" + std::string(fields->select);
  const bool asks_size = std::ranges::find(facts, "size") != facts.end();
  if (asks_size && operation.resource == "message") {
    target += "&$expand=singleValueExtendedProperties($filter=" +
              percent_encode("id eq '" + std::string(kSizeProperty) + "'") + ")";
  }
  return target;
}

Preimage read_preimage(const Result<identity::GraphAnswer>& answer,
                       const graph::Operation& operation, WallTime now) {
  Preimage preimage;
  if (!answer.ok()) {
    preimage.recorded = recorded_failure(answer.error().message, std::nullopt, now);
    return preimage;
  }
  const Result<json> body = parse_json(answer->body);
  if (answer->status != 200 || !body.ok() || !body->is_object()) {
    const std::string why =
        answer->status == 200 ? "the answer is not an item" : "the item could not be read";
    preimage.recorded = recorded_failure(why, answer->status, now);
    return preimage;
  }
  const bool is_event = operation.resource == "event";
  preimage.folder = text(*body, "parentFolderId");
  preimage.item.message_age = age_in(*body, operation.action == "recall", now);
  preimage.item.sender = senders_in(*body);
  preimage.item.recipients =
      is_event ? addresses_in(*body, std::array{"attendees"})
               : addresses_in(*body, std::array{"toRecipients", "ccRecipients", "bccRecipients"});
  preimage.item.categories = texts_in(*body, "categories");
  preimage.item.size_bytes = size_in(*body);
  preimage.recorded = recorded_item(*body, preimage, now);
  return preimage;
}

Task<void> ItemReader::find_out(const approval::RuleSet& rules, const identity::Actor& actor,
                                const identity::BearerToken& token, Subject& subject,
                                approval::Facts& facts) const {
  const std::vector<std::string> in_doubt = approval::item_facts_in_doubt(rules, facts);
  const graph::Operation& operation = *subject.operation;
  const std::string target = preimage_target(operation, in_doubt);
  if (target.empty()) co_return;
  const SteadyTime deadline = clock.steady_now() + timeout;
  http::Headers more;
  // Ids come in two kinds; the item has to be asked for by the kind the call uses.
  const std::string prefer = subject.call.request.head.headers.joined("Prefer");
  if (!prefer.empty()) more.add("Prefer", prefer);
  const Result<identity::GraphAnswer> answer = co_await graph.get(target, token.text, more);
  Preimage preimage = read_preimage(answer, operation, clock.now());
  subject.preimage = std::move(preimage.recorded);
  facts.item = std::move(preimage.item);
  if (!facts.folder) facts.folder = std::move(preimage.folder);
  const bool reach = std::ranges::find(in_doubt, "affected_mailboxes") != in_doubt.end();
  if (!reach || operation.action != "recall" || !facts.mailbox) co_return;
  co_await find_recipients(actor, token, deadline, facts);
}

Task<void> ItemReader::find_recipients(const identity::Actor& actor,
                                       const identity::BearerToken& token, SteadyTime deadline,
                                       approval::Facts& facts) const {
  if (!facts.item.recipients) co_return;
  const std::vector<std::string> recipients = *facts.item.recipients;
  bool complete = recipients.size() <= kRecipientsResolvedMax;
  for (const std::string& recipient : recipients) {
    if (facts.affected.known.size() > kRecipientsResolvedMax) break;
    // Even where nothing more is known of it, the address itself may be listed.
    approval::MailboxNames mailbox{{recipient}};
    const graph::Mailbox question{.kind = graph::MailboxKind::kUser, .key = recipient};
    std::optional<identity::Names> names;
    if (clock.steady_now() < deadline) {
      names = co_await mailboxes.resolve(graph, question, actor, token);
    }
    complete = complete && names.has_value();
    if (names) mailbox.names = *std::move(names);
    facts.affected.known.push_back(std::move(mailbox));
  }
  facts.affected.complete = complete;
}

}  // namespace holdfast::proxy
