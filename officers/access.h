// Reading is itself recorded, before it is answered; and what failures of reading are answered
// with.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "audit/audit_log.h"
#include "audit/queries.h"
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

// The one text that a body may have, under `name`, at most 2,048 bytes; empty where there is none
// and none is needed. Or what is wrong with the body.
enum class Needed { kNo, kYes };
Task<std::variant<std::string, http::Response>> text_of_body(const Asked& asked, const char* name,
                                                             Needed needed);
// What is wrong with such a text; empty: nothing is. A `reason` and a `person` have no control
// characters either.
std::string text_problem(const std::string& text, const std::string& name, Needed needed);
// The same as an answer.
std::optional<http::Response> bad_text(const std::string& text, const std::string& name,
                                       Needed needed);
bool is_blank(std::string_view text);

// A record of what an officer changes: who asked, how, and until when their credential is good for
// it, which the database holds them to.
audit::Record change_record(audit::Kind kind, const Asked& asked);

// The record of an officer's decision on a call whose approval or review that document is, as the
// database shows it: with the call's operation, and sealed where the record that filed it is. Also
// where that one is not to be found: what is sealed for nothing can be read all the same, and what
// is in the clear stays. Errors: those of RecordSource, without kNotFound.
Task<Result<audit::Record>> decision_record(audit::RecordSource& records, const Asked& asked,
                                            const nlohmann::json& document);

// The answer where the log does not take that record; `what` is recorded: "decisions are". Where
// the officer's token or sign-in is over by now: 401.
http::Response not_recorded(const std::string& what, const Error& error);

// Durable when it returns well; else nothing may be shown.
Task<Status> record_access(audit::AuditLog& log, const Asked& asked, std::string_view endpoint,
                           nlohmann::json query, std::size_t count);

// The answer where that failed.
http::Response unrecorded(const Error& error);

// The answer where the question failed.
http::Response failure(const Error& error);

}  // namespace holdfast::officers
