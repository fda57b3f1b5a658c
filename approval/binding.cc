#include "approval/binding.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "identity/mailboxes.h"

namespace holdfast::approval {
namespace {

using nlohmann::json;

// Names and values of a query in one spelling: each decoded and encoded again, in order of name and
// value. A part that does not decode stays as it is.
std::string canonical_query(std::string_view target) {
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {};
  std::string_view rest = target.substr(mark + 1);
  const auto spelled = [](std::string_view part) {
    const std::optional<std::string> decoded = percent_decode(part);
    return decoded ? percent_encode(*decoded) : std::string(part);
  };
  std::vector<std::string> parts;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    std::string text = spelled(part.substr(0, equals));
    if (equals != std::string_view::npos) text += "=" + spelled(part.substr(equals + 1));
    parts.push_back(std::move(text));
  }
  std::ranges::sort(parts);
  std::string query;
  for (const std::string& part : parts) query += (query.empty() ? "" : "&") + part;
  return query;
}

// The IdType preference, which says what kind of id the path holds; empty when there is none.
std::string id_type(std::string_view prefer) {
  std::vector<std::string> found;
  while (!prefer.empty()) {
    const std::size_t end = std::min(prefer.find_first_of(",;"), prefer.size());
    std::string text;
    for (const char c : prefer.substr(0, end)) {
      if (c != ' ' && c != '\t' && c != '"') text += c;
    }
    prefer.remove_prefix(std::min(end + 1, prefer.size()));
    text = ascii_lower(text);
    if (text.starts_with("idtype")) found.push_back(std::move(text));
  }
  std::string all;
  for (const std::string& text : found) all += (all.empty() ? "" : ",") + text;
  return all;
}

std::string without_version(const graph::Operation& operation) {
  const std::string prefix = "/" + operation.version.value_or("");
  const std::string& path = operation.canonical_path;
  if (!operation.version || !path.starts_with(prefix + "/")) return path;
  return path.substr(prefix.size());
}

// The mailbox that the path begins with, in one spelling; empty: as the path has it.
std::string mailbox_spelling(const graph::Mailbox& mailbox, const identity::Actor& actor,
                             std::span<const std::string> names) {
  if (mailbox.kind == graph::MailboxKind::kMe) {
    const bool is_user = actor.kind == identity::ActorKind::kUser;
    return is_user && !actor.object_id.empty() ? ascii_lower(actor.object_id) : std::string();
  }
  return identity::mailbox_id(names).value_or(ascii_lower(mailbox.key));
}

// The canonical path with its mailbox in one spelling, me as a user.
std::string bound_path(const graph::Operation& operation, const identity::Actor& actor,
                       std::span<const std::string> names) {
  std::string path = without_version(operation);
  const graph::Mailbox& mailbox = operation.mailbox;
  const std::string spelling = mailbox_spelling(mailbox, actor, names);
  if (spelling.empty()) return path;
  if (mailbox.kind == graph::MailboxKind::kMe) {
    return path.starts_with("/me/") ? "/users/" + spelling + path.substr(3) : path;
  }
  const std::string root = mailbox.kind == graph::MailboxKind::kUser ? "/users/" : "/groups/";
  const std::size_t end = path.find('/', root.size());
  // Another's mailbox may be reached through it: users/a/directReports/r.
  const bool begins = path.starts_with(root) && end != std::string::npos &&
                      percent_decode(path.substr(root.size(), end - root.size())) == mailbox.key;
  return begins ? root + percent_encode(spelling) + path.substr(end) : path;
}

}  // namespace

Sha256 Binding::digest() const {
  std::string all;
  for (const std::string& digest : digests) all += digest + "\n";
  return sha256(all);
}

std::string actor_key(const identity::Actor& actor) {
  const bool is_user = actor.kind == identity::ActorKind::kUser;
  return ascii_lower(actor.tenant_id + "/" + (is_user ? actor.object_id : actor.app_id));
}

Binding bind(const BoundRequest& request, const graph::Operation& operation,
             const identity::Actor& actor, std::span<const std::string> mailbox_names) {
  const std::string actor_field =
      std::string(identity::to_string(actor.kind)) + ":" + actor_key(actor);
  const std::array<std::string, kBoundFields.size()> fields = {
      ascii_lower(actor.tenant_id),
      actor_field,
      std::string(request.method),
      operation.version.value_or(""),
      bound_path(operation, actor, mailbox_names),
      operation.item.value_or(""),
      canonical_query(request.target),
      id_type(request.prefer),
      std::string(request.body)};
  Binding binding;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i].empty()) binding.digests[i] = to_hex(sha256(fields[i]));
  }
  return binding;
}

std::optional<std::string_view> first_difference(const Binding& approved, const Binding& asked) {
  for (std::size_t i = 0; i < kBoundFields.size(); ++i) {
    if (approved.digests[i] != asked.digests[i]) return kBoundFields[i];
  }
  return std::nullopt;
}

json to_json(const Binding& binding) {
  json object = json::object();
  for (std::size_t i = 0; i < kBoundFields.size(); ++i) {
    object[std::string(kBoundFields[i])] = binding.digests[i];
  }
  return object;
}

std::optional<Binding> binding_from(const json& object) {
  Binding binding;
  if (!object.is_object()) return std::nullopt;
  for (std::size_t i = 0; i < kBoundFields.size(); ++i) {
    const auto found = object.find(kBoundFields[i]);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    binding.digests[i] = found->get<std::string>();
  }
  return binding;
}

}  // namespace holdfast::approval
