// Reading is itself recorded, before it is answered; and what failures of reading are answered
// with.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <variant>

#include "audit/audit_log.h"
#include "http/message.h"
#include "officers/target.h"
#include "officers/tokens.h"

namespace holdfast::officers {

// One request on its way to an answer.
struct Asked {
  const http::Request& request;
  const Target& target;
  const Officer& officer;
};

// The members of the request's body, none where there is no body; or what is wrong with it.
Task<std::variant<nlohmann::json, http::Response>> body_of(const Asked& asked);

// A record of what an officer changes: who asked, and how.
audit::Record change_record(audit::Kind kind, const Asked& asked);

// Durable when it returns well; else nothing may be shown.
Task<Status> record_access(audit::AuditLog& log, const Asked& asked, std::string_view endpoint,
                           nlohmann::json query, std::size_t count);

// The answer where that failed.
http::Response unrecorded(const Error& error);

// The answer where the question failed.
http::Response failure(const Error& error);

}  // namespace holdfast::officers
