#include "officers/paging.h"

#include <charconv>
#include <utility>

#include "officers/problem.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

// Where the next page is, at the host that was asked.
std::string next_page(const Asked& asked, std::string_view path, std::int64_t before) {
  std::vector<audit::Parameter> parameters;
  for (const audit::Parameter& parameter : asked.target.parameters) {
    if (parameter.name != "cursor") parameters.push_back(parameter);
  }
  parameters.push_back({"cursor", std::to_string(before)});
  const std::string host(asked.request.head.headers.get("Host"));
  const std::string scheme = asked.request.peer.tls ? "https://" : "http://";
  return (host.empty() ? "" : scheme + host) + std::string(path) + "?" + encode_query(parameters);
}

}  // namespace

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1) return std::nullopt;
  return number;
}

std::optional<http::Response> take_paging(const audit::Parameter& parameter, Page& page) {
  if (parameter.name == "limit") {
    const auto limit = parse_number(parameter.value);
    if (!limit || *limit > page.limit_max) {
      return problem(
          400, "limit must be a whole number from 1 to " + std::to_string(page.limit_max), "limit");
    }
    page.at_most = static_cast<int>(*limit);
    return std::nullopt;
  }
  if (parameter.name == "cursor") {
    page.before = parse_number(parameter.value);
    if (!page.before) return problem(400, "cursor is not one of ours", "cursor");
    return std::nullopt;
  }
  return problem(400, parameter.name + " is not a parameter of this request", parameter.name);
}

json page_json(const Asked& asked, std::string_view path, const Page& page, json values,
               std::int64_t last) {
  const std::size_t count = values.size();
  json body = {{"count", count}, {"value", std::move(values)}};
  if (std::cmp_equal(count, page.at_most)) body["@odata.nextLink"] = next_page(asked, path, last);
  return body;
}

json query_json(const Asked& asked) {
  json query = json::object();
  for (const audit::Parameter& parameter : asked.target.parameters) {
    query[parameter.name] = parameter.value;
  }
  return query;
}

}  // namespace holdfast::officers
