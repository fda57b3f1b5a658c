#include "officers/collection.h"

#include <algorithm>
#include <string>
#include <utility>

#include "officers/paging.h"
#include "officers/problem.h"

namespace holdfast::officers {

using nlohmann::json;

bool is_of(std::string_view path, std::string_view collection) {
  return path.starts_with(collection) &&
         (path.size() == collection.size() || path[collection.size()] == '/');
}

std::optional<InCollection> in_collection(std::string_view path, std::string_view collection) {
  path.remove_prefix(collection.size());
  if (path.empty()) return std::nullopt;
  path.remove_prefix(1);
  const std::size_t slash = std::min(path.find('/'), path.size());
  InCollection found{.item = path.substr(0, slash), .verb = {}};
  // An item without a name, or a verb without one, is none.
  if (slash < path.size()) found.verb = path.substr(slash);
  return found;
}

bool is_read(const Asked& asked) {
  const std::string& method = asked.request.head.method;
  return method == "GET" || method == "HEAD";
}

std::variant<bool, http::Response> wants_all(const Asked& asked, std::string_view otherwise) {
  bool all = false;
  for (const audit::Parameter& parameter : asked.target.parameters) {
    if (parameter.name != "state") {
      return problem(400, parameter.name + " is not a parameter of this request", parameter.name);
    }
    all = parameter.value == "all";
    if (!all && parameter.value != otherwise) {
      return problem(400, "state must be " + std::string(otherwise) + " or all", "state");
    }
  }
  return all;
}

std::vector<std::string> upper_case_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string name(text.substr(0, end));
    std::ranges::transform(name, name.begin(), [](char c) {
      return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    names.push_back(std::move(name));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return names;
}

json list_json(json values) {
  const std::size_t count = values.size();
  return {{"count", count}, {"value", std::move(values)}};
}

Task<http::Response> answer_list(audit::AuditLog& log, const Asked& asked, std::string_view path,
                                 json list) {
  json query = query_json(asked);
  const std::size_t count = list.at("value").size();
  const Status recorded = co_await record_access(log, asked, path, std::move(query), count);
  if (!recorded.ok()) co_return unrecorded(recorded.error());
  co_return json_response(200, list);
}

Task<http::Response> answer_one(audit::AuditLog& log, const Asked& asked, std::string_view path,
                                json query, std::optional<json> found, const char* missing) {
  const std::size_t count = found ? 1 : 0;
  const Status recorded = co_await record_access(log, asked, path, std::move(query), count);
  if (!recorded.ok()) co_return unrecorded(recorded.error());
  if (!found) co_return problem(404, missing);
  co_return json_response(200, *found);
}

}  // namespace holdfast::officers
