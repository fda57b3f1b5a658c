// Decides from a request alone what it is, failing closed: a request that any plausible reading
// makes guarded is guarded, or rejected when another plausible reading disagrees.
//
//   Classification c = classify({.method = "POST", .target =
//   "/v1.0/me/messages/m1/permanentDelete"}); c.request_class == RequestClass::kGuarded &&
//   c.operation->action == "permanentDelete"
//
// Follows the OData URL conventions (OData 4.01 Part 2) as Graph's gateway applies them: split at
// raw '/', then decode once. Works from that grammar, not from a list of routes. Pure: no state, no
// I/O, safe from any thread, linear in the length of its input.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "graph/operation.h"

namespace holdfast::graph {

struct HeaderView {
  std::string_view name;
  std::string_view value;
};

struct RequestView {
  std::string_view method;
  std::string_view target;  // Raw, as received.
  std::span<const HeaderView> headers;
  // Absent: not read yet. Only some routes need it; see Classification::needs_body.
  std::optional<std::string_view> body;
};

struct Classification {
  RequestClass request_class = RequestClass::kPassThrough;
  std::optional<Operation> operation;  // Set when guarded, and when rejected as far as it is known.
  std::optional<std::string> version;  // Of the path, whatever the class.
  std::string reason;  // Why rejected, in words for the caller; else why, for explain. One line.
  // The class depends on the body and none was given: read it and classify again. Until then the
  // class is guarded; the body may make it anything else.
  bool needs_body = false;
};

Classification classify(const RequestView& request);

// guarded, batch, passthrough, rejected; me, user, group, none.
std::string_view to_string(RequestClass request_class);
std::string_view to_string(MailboxKind kind);

}  // namespace holdfast::graph
