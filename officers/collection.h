// What the collections of the API have in common: their paths, and answers that show what they
// hold.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "audit/audit_log.h"
#include "officers/access.h"

namespace holdfast::officers {

// Whether the path is that of a collection or of something in it.
bool is_of(std::string_view path, std::string_view collection);

// ITEM and ITEM/VERB, below a collection's path.
struct InCollection {
  std::string_view item;
  std::string_view verb;  // Empty: the item itself.
};
// Of a path of the collection; nullopt: it is the collection's own.
std::optional<InCollection> in_collection(std::string_view path, std::string_view collection);

bool is_read(const Asked& asked);  // GET or HEAD.

// A list that has `state` for its only parameter: whether it is `all`, or `otherwise`, which it is
// where nothing is said; or what is wrong.
std::variant<bool, http::Response> wants_all(const Asked& asked, std::string_view otherwise);

// The names with commas between, in upper case.
std::vector<std::string> upper_case_names(std::string_view text);

// "pending,APPROVED" as states; nullopt: one of them is none, or there are none.
template <class State>
std::optional<std::vector<State>> parse_states(std::string_view text,
                                               std::optional<State> (*parse)(std::string_view)) {
  std::vector<State> states;
  for (const std::string& name : upper_case_names(text)) {
    const std::optional<State> state = parse(name);
    if (!state) return std::nullopt;
    states.push_back(*state);
  }
  if (states.empty()) return std::nullopt;
  return states;
}

// {"count","value"}
nlohmann::json list_json(nlohmann::json values);

// Records that the officer reads the list at `path`, by the request's parameters, and answers with
// it: list_json(), or page_json() of paging.h.
Task<http::Response> answer_list(audit::AuditLog& log, const Asked& asked, std::string_view path,
                                 nlohmann::json list);

// Records that the officer asks for one thing at `path`, and answers with it; 404 where there is
// none, because of `missing`.
Task<http::Response> answer_one(audit::AuditLog& log, const Asked& asked, std::string_view path,
                                nlohmann::json query, std::optional<nlohmann::json> found,
                                const char* missing);

}  // namespace holdfast::officers
