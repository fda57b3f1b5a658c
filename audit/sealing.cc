#include "audit/sealing.h"

#include <algorithm>
#include <array>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;
using Pointer = json::json_pointer;

enum class Whose { kActor, kMailbox };

struct PersonalValue {
  const char* where;  // A JSON pointer; after `*`, in each element of the array before it.
  Whose whose;
  const char* of = "";  // Only of text that holds this.
};

// All that is personal in a record of a call. Where the call is for no mailbox, or the actor's own,
// everything is the actor's.
constexpr std::array kPersonalValues = {
    PersonalValue{"/actor/name", Whose::kActor},
    PersonalValue{"/actor/user", Whose::kActor},
    PersonalValue{"/approval/binding", Whose::kActor},
    PersonalValue{"/approval/bound/actor", Whose::kActor},
    PersonalValue{"/approval/bound/path", Whose::kMailbox},
    PersonalValue{"/approval/limits/*/key", Whose::kActor, "|actor|"},
    PersonalValue{"/approval/limits/*/key", Whose::kMailbox, "|mailbox|"},
    PersonalValue{"/approval/limits/*/mailbox", Whose::kMailbox},
    PersonalValue{"/approval/requested_by", Whose::kActor},
    PersonalValue{"/approval/requester", Whose::kActor},
    PersonalValue{"/decision/facts/affected_mailboxes", Whose::kMailbox},
    PersonalValue{"/decision/facts/mailbox", Whose::kMailbox},
    PersonalValue{"/decision/facts/recipients", Whose::kMailbox},
    PersonalValue{"/decision/facts/sender", Whose::kMailbox},
    PersonalValue{"/decision/facts/source_ip", Whose::kActor},
    PersonalValue{"/decision/limits/*/key", Whose::kActor, "|actor|"},
    PersonalValue{"/decision/limits/*/key", Whose::kMailbox, "|mailbox|"},
    PersonalValue{"/decision/limits/*/mailbox", Whose::kMailbox},
    PersonalValue{"/operation/mailbox/key", Whose::kMailbox},
    PersonalValue{"/operation/mailbox/names", Whose::kMailbox},
    PersonalValue{"/operation/path", Whose::kMailbox},
    PersonalValue{"/outcome/error", Whose::kMailbox},
    PersonalValue{"/outcome/evidence/target", Whose::kMailbox},
    PersonalValue{"/preimage/recipients", Whose::kMailbox},
    PersonalValue{"/preimage/sender", Whose::kMailbox},
    PersonalValue{"/request/client_certificate", Whose::kActor},
    PersonalValue{"/request/justification", Whose::kActor},
    PersonalValue{"/request/source_ip", Whose::kActor},
    PersonalValue{"/request/target", Whose::kMailbox},
    PersonalValue{"/request/user_agent", Whose::kActor},
    PersonalValue{"/review/binding", Whose::kActor},
    PersonalValue{"/review/requested_by", Whose::kActor},
    PersonalValue{"/review/requester", Whose::kActor},
};

constexpr std::size_t kSaltBytes = 32;
// Whoever cannot be named; nobody can ask for their erasure apart from the others'.
constexpr const char* kNobody = "unknown";

// The value there; nullptr: none.
json* find_value(json& content, const std::string& pointer) {
  json* at = &content;
  for (std::size_t begin = 1; begin <= pointer.size();) {
    const std::size_t end = std::min(pointer.find('/', begin), pointer.size());
    const std::string name = pointer.substr(begin, end - begin);
    begin = end + 1;
    if (at->is_object()) {
      const auto found = at->find(name);
      if (found == at->end()) return nullptr;
      at = &*found;
    } else if (at->is_array() && !name.empty() && name.size() < 6 &&
               std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; }) &&
               std::stoul(name) < at->size()) {
      at = &(*at)[std::stoul(name)];
    } else {
      return nullptr;
    }
  }
  return at;
}

// The pointers that one of the table stands for in this record.
std::vector<std::string> places_of(json& content, std::string_view where) {
  const std::size_t star = where.find("/*");
  if (star == std::string_view::npos) return {std::string(where)};
  std::vector<std::string> places;
  const std::string array(where.substr(0, star));
  const json* elements = find_value(content, array);
  if (elements == nullptr || !elements->is_array()) return places;
  places.reserve(elements->size());
  for (std::size_t i = 0; i < elements->size(); ++i) {
    places.push_back(array + "/" + std::to_string(i) + std::string(where.substr(star + 2)));
  }
  return places;
}

std::vector<std::string> actor_names(const json& content) {
  const std::string user = text_at(content, "/actor/user");
  const std::string name = text_at(content, "/actor/name");
  const std::string app = text_at(content, "/actor/app");
  const std::string verification = text_at(content, "/actor/verification");
  // An app's name is what its owner chose, which may be a person's.
  const bool is_app = text_at(content, "/actor/kind") == "app" || (user.empty() && !app.empty());
  // What nobody has verified may name two people to make one of them.
  const bool verified = !verification.empty() && verification != "none";
  if (!is_app && !user.empty() && verified && !name.empty()) return {user, name};
  for (const std::string& only : {is_app ? app : user, is_app ? std::string() : name,
                                  text_at(content, "/request/source_ip")}) {
    if (!only.empty()) return {only};
  }
  return {kNobody};
}

// What a decision on a call repeats of it. Its own request and its comment are the officer's.
bool is_repeated(std::string_view where) {
  return where.starts_with("/operation/");
}

// Empty: it is nobody's, or the actor's.
std::vector<std::string> mailbox_names(json& content) {
  std::vector<std::string> names;
  if (text_at(content, "/operation/mailbox/kind") == "none") return names;
  const std::string key = text_at(content, "/operation/mailbox/key");
  if (!key.empty()) names.push_back(key);
  const json* resolved = find_value(content, "/operation/mailbox/names");
  if (resolved == nullptr || !resolved->is_array()) return names;
  for (const json& name : *resolved) {
    if (name.is_string() && !name.get_ref<const std::string&>().empty()) names.push_back(name);
  }
  return names;
}

bool share_one(const std::vector<std::string>& some, const std::vector<std::string>& others) {
  return std::ranges::any_of(some, [&others](const std::string& name) {
    return std::ranges::any_of(
        others, [&name](const std::string& other) { return ascii_iequals(name, other); });
  });
}

// What will be a document.
struct Taken {
  std::vector<std::string> names;
  json values = json::object();
};

void take(json& content, const PersonalValue& personal, json& values) {
  for (const std::string& place : places_of(content, personal.where)) {
    const std::size_t last = place.rfind('/');
    json* parent = find_value(content, place.substr(0, last));
    if (parent == nullptr || !parent->is_object()) continue;
    const auto found = parent->find(place.substr(last + 1));
    if (found == parent->end() || found->is_null()) continue;  // Null says: unknown.
    if (*personal.of != '\0' && (!found->is_string() || found->get_ref<const std::string&>().find(
                                                            personal.of) == std::string::npos)) {
      continue;
    }
    values[place] = std::move(*found);
    parent->erase(found);
  }
}

Result<std::string> document_of(const json& values) {
  std::array<std::uint8_t, kSaltBytes> salt{};
  random_bytes(salt);
  return canonical_json(
      {{"salt", to_base64({reinterpret_cast<const char*>(salt.data()), salt.size()})},
       {"values", values}});
}

void put_back(json& content, const std::string& pointer, const json& value) {
  const std::size_t last = pointer.rfind('/');
  if (last == std::string::npos) return;
  json* parent = find_value(content, pointer.substr(0, last));
  if (parent != nullptr && parent->is_object()) (*parent)[pointer.substr(last + 1)] = value;
}

}  // namespace

std::vector<SealedDocument> seal(json& content, SealedPart part) {
  std::array<Taken, 2> taken{Taken{.names = actor_names(content)},
                             Taken{.names = mailbox_names(content)}};
  auto& [actor, mailbox] = taken;
  const bool all = part == SealedPart::kAll;
  if (all && share_one(actor.names, mailbox.names)) {
    actor.names.insert(actor.names.end(), mailbox.names.begin(), mailbox.names.end());
    mailbox.names.clear();
  }
  for (const PersonalValue& personal : kPersonalValues) {
    if (!all && (mailbox.names.empty() || !is_repeated(personal.where))) continue;
    const bool is_actors = personal.whose == Whose::kActor || mailbox.names.empty();
    take(content, personal, is_actors ? actor.values : mailbox.values);
  }
  std::vector<SealedDocument> documents;
  json named = json::array();
  for (Taken& one : taken) {
    if (one.values.empty()) continue;
    Result<std::string> document = document_of(one.values);
    if (!document.ok()) {  // The entry will be refused for the same reason.
      for (const auto& [pointer, value] : one.values.items()) put_back(content, pointer, value);
      continue;
    }
    named.push_back({{"sha256", to_hex(sha256(*document))}});
    documents.push_back({.names = std::move(one.names), .bytes = *std::move(document)});
  }
  if (!named.empty()) content["sealed"] = std::move(named);
  return documents;
}

bool open_with(json& content, std::size_t place, std::string_view document) {
  const json* named = find_value(content, "/sealed/" + std::to_string(place) + "/sha256");
  if (named == nullptr || *named != to_hex(sha256(document))) return false;
  Result<json> parsed = parse_json(document);
  if (!parsed.ok()) return false;
  json* values = find_value(*parsed, "/values");
  if (values == nullptr || !values->is_object()) return false;
  for (const auto& [pointer, value] : values->items()) put_back(content, pointer, value);
  return true;
}

std::vector<FoundDocument> found_documents(std::string_view text) {
  std::vector<FoundDocument> documents;
  const Result<json> list = parse_json(text);
  if (!list.ok() || !list->is_array()) return documents;
  documents.reserve(list->size());
  for (const json& document : *list) {
    documents.push_back(
        {.bytes = text_at(document, "/document"), .erased = document.contains("erased")});
  }
  return documents;
}

std::string documents_fault(std::string_view entry, const std::vector<FoundDocument>& documents) {
  if (entry.find("\"sealed\":[") == std::string_view::npos) return {};
  Result<json> parsed = parse_json(entry);
  const json* named = parsed.ok() ? find_value(*parsed, "/sealed") : nullptr;
  if (named == nullptr || !named->is_array()) return {};
  for (std::size_t i = 0; i < named->size(); ++i) {
    const std::string which = "its sealed document " + std::to_string(i);
    if (i >= documents.size()) return which + " is not there";
    if (documents[i].erased) continue;
    if (documents[i].bytes.empty()) return which + " cannot be opened";
    if (text_at((*named)[i], "/sha256") != to_hex(sha256(documents[i].bytes))) {
      return which + " is not the one that the entry names";
    }
  }
  return {};
}

}  // namespace holdfast::audit
