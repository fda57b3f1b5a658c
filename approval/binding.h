// What an approval is good for: one operation by one caller, whatever its spelling.
//
//   Binding asked = bind(...);                       // of the call at hand
//   if (auto field = first_difference(approved, asked)) → 412 HoldfastApprovalMismatch, naming it
//
// Two spellings of one call (users('a')/… and users/a/…, %41 and A, me and the caller's own id)
// have one binding; two items, two callers or two bodies never have. Pure values and functions.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "graph/operation.h"
#include "identity/actor.h"

namespace holdfast::approval {

// The fields by the names that clients are told, in the order in which differences are named.
inline constexpr std::array<std::string_view, 9> kBoundFields = {
    "tenant", "actor", "method", "version", "path", "item", "query", "prefer", "body"};

// Digests, because records name a binding and a path may hold anything, a token even.
struct Binding {
  // SHA-256, hex, of each field in the order of kBoundFields; empty for an empty field.
  std::array<std::string, kBoundFields.size()> digests{};

  Sha256 digest() const;  // Of all of them.
  bool operator==(const Binding&) const = default;
};

// How a call is sent, as far as that is bound.
struct BoundRequest {
  std::string_view method;
  std::string_view target;  // As received; only its query counts here.
  std::string_view prefer;  // All Prefer fields, joined; only IdType counts.
  std::string_view body;
};

// `mailbox_names`: those of the mailbox that the path begins with, lower-case; empty: unknown. By
// its id among them the call is bound whichever of them the path has; while they are unknown, by
// the one that it has, in lower case.
Binding bind(const BoundRequest& request, const graph::Operation& operation,
             const identity::Actor& actor, std::span<const std::string> mailbox_names);

// The name of the first field in which they differ; nullopt: in none.
std::optional<std::string_view> first_difference(const Binding& approved, const Binding& asked);

// The caller as bindings and requesters name it: tenant/user or tenant/app, lower case.
std::string actor_key(const identity::Actor& actor);

// An object with every field, and back; nullopt: it is none.
nlohmann::json to_json(const Binding& binding);
std::optional<Binding> binding_from(const nlohmann::json& object);

}  // namespace holdfast::approval
