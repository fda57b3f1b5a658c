#include "identity/mailboxes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/encoding.h"
#include "base/json.h"
#include "base/uuid.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;

constexpr std::string_view kUserFields = "?$select=id,userPrincipalName,mail,proxyAddresses";
constexpr std::string_view kGroupFields = "?$select=id,mail,proxyAddresses";

// What to ask, and the name that a true answer must hold.
struct Question {
  std::string target;
  std::string expected;  // Lower case.
};

bool is_guid(std::string_view text) {
  return parse_uuid(text).has_value();
}

// A key without its caller's tenant: {guid}@{tenant} is {guid}. nullopt for another tenant's.
std::optional<std::string> strip_tenant(const std::string& key, const std::string& tenant) {
  const std::size_t at = key.find('@');
  const bool has_tenant = at != std::string::npos && is_guid(std::string_view(key).substr(0, at)) &&
                          is_guid(std::string_view(key).substr(at + 1));
  if (!has_tenant) return key;
  if (!ascii_iequals(std::string_view(key).substr(at + 1), tenant)) return std::nullopt;
  return key.substr(0, at);
}

std::optional<Question> ask(const graph::Mailbox& mailbox, const Actor& actor) {
  if (mailbox.kind == graph::MailboxKind::kMe) {
    if (actor.kind != ActorKind::kUser || actor.object_id.empty()) return std::nullopt;
    return Question{"/v1.0/me" + std::string(kUserFields), ascii_lower(actor.object_id)};
  }
  const bool is_user = mailbox.kind == graph::MailboxKind::kUser;
  if (!is_user && mailbox.kind != graph::MailboxKind::kGroup) return std::nullopt;
  const std::optional<std::string> key = strip_tenant(mailbox.key, actor.tenant_id);
  // Dots alone would be a path segment that walks upwards, encoded or not.
  if (!key || key->size() > kNameBytesMax || key->find_first_not_of('.') == std::string::npos) {
    return std::nullopt;
  }
  const std::string folder = is_user ? "/v1.0/users/" : "/v1.0/groups/";
  return Question{folder + percent_encode(*key) + std::string(is_user ? kUserFields : kGroupFields),
                  ascii_lower(*key)};
}

enum class Null { kAllowed, kRefused };

// Adds a name that must be listed, if only as null.
bool add_name(const json& body, const char* field, Null null, Names& names) {
  const auto it = body.find(field);
  if (it == body.end()) return false;
  if (it->is_null()) return null == Null::kAllowed;
  if (!it->is_string()) return false;
  names.push_back(ascii_lower(it->get_ref<const std::string&>()));
  return true;
}

bool add_addresses(const json& body, Names& names) {
  constexpr std::string_view kPrefix = "smtp:";
  const auto list = body.find("proxyAddresses");
  if (list == body.end() || !list->is_array() || list->size() > kNamesMax) return false;
  for (const json& element : *list) {
    if (!element.is_string()) return false;
    std::string address = ascii_lower(element.get_ref<const std::string&>());
    if (address.starts_with(kPrefix)) names.push_back(address.substr(kPrefix.size()));
  }
  return true;
}

std::optional<Names> read_names(const GraphAnswer& answer, graph::MailboxKind kind) {
  if (answer.status != 200) return std::nullopt;
  const Result<json> body = parse_json(answer.body);
  if (!body.ok() || !body->is_object()) return std::nullopt;
  Names names;
  const bool complete = add_name(*body, "id", Null::kRefused, names) &&
                        add_name(*body, "mail", Null::kAllowed, names) &&
                        (kind == graph::MailboxKind::kGroup ||
                         add_name(*body, "userPrincipalName", Null::kRefused, names)) &&
                        add_addresses(*body, names);
  const bool sane = names.size() <= kNamesMax && std::ranges::all_of(names, [](const auto& name) {
                      return !name.empty() && name.size() <= kNameBytesMax;
                    });
  if (!complete || !sane) return std::nullopt;
  std::ranges::sort(names);
  const auto repeats = std::ranges::unique(names);
  names.erase(repeats.begin(), repeats.end());
  return names;
}

}  // namespace

Task<std::optional<Names>> MailboxDirectory::resolve(GraphLookup& graph,
                                                     const graph::Mailbox& mailbox,
                                                     const Actor& actor, const BearerToken& token) {
  if (!actor.verified() || actor.tenant_id.empty()) co_return std::nullopt;
  const std::optional<Question> question = ask(mailbox, actor);
  if (!question) co_return std::nullopt;

  const SteadyTime asked = clock_.steady_now();
  // The expected name tells one caller's /me from another's.
  std::string key =
      actor.tenant_id + '\n' + ascii_lower(question->target) + '\n' + question->expected;
  // Graph's answer is about the tenant of the token, which a certificate does not prove.
  if (actor.verification == Verification::kCertificate) key += '\n' + actor.token_sha256;
  std::optional<Names> names = known_.find(key, asked);
  if (names) co_return names;

  const Result<GraphAnswer> answer = co_await graph.get(question->target, token.text);
  if (!answer.ok()) co_return std::nullopt;
  names = read_names(*answer, mailbox.kind);
  if (!names || !std::ranges::binary_search(*names, question->expected)) co_return std::nullopt;
  known_.put(key, *names, asked + names_age_max_);
  co_return names;
}

std::optional<std::string> mailbox_id(std::span<const std::string> names) {
  const auto id = std::ranges::find_if(names, is_guid);
  return id != names.end() ? std::optional(*id) : std::nullopt;
}

std::optional<bool> is_own_mailbox(const std::optional<Names>& names, const Actor& actor) {
  const bool is_user = actor.kind == ActorKind::kUser && actor.verified();
  if (!names || !is_user || actor.object_id.empty()) return std::nullopt;
  return std::ranges::find(*names, ascii_lower(actor.object_id)) != names->end();
}

}  // namespace holdfast::identity
