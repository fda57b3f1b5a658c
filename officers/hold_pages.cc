#include "officers/hold_pages.h"

#include <algorithm>

#include "approval/build_rules.h"
#include "approval/list_file.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

constexpr std::size_t kLinkBytesMax = 8 * 1024;

Error odd(const std::string& what) {
  return {ErrorCode::kInvalid, "Graph's answer " + what};
}

bool is_same(const http::Origin& a, const http::Origin& b) {
  return a.tls == b.tls && a.port == b.port && ascii_iequals(a.host, b.host);
}

// The part of an absolute link behind its origin, where that is Graph's; else empty.
std::string target_at(std::string_view link, const http::Origin& graph) {
  const auto is_plain = [](char c) { return c > ' ' && c < '\x7f' && c != '#' && c != '\\'; };
  if (link.size() > kLinkBytesMax || !std::ranges::all_of(link, is_plain)) return {};
  const std::size_t scheme = link.find("://");
  if (scheme == std::string_view::npos) return {};
  const std::size_t path = link.find_first_of("/?", scheme + 3);
  if (path == std::string_view::npos || link[path] != '/') return {};
  const Result<http::Origin> origin = http::parse_origin(link.substr(0, path));
  if (!origin.ok() || !is_same(*origin, graph)) return {};
  return std::string(link.substr(path));
}

}  // namespace

bool is_address(std::string_view text) {
  return text.size() <= kAddressBytesMax && text.find('@') != std::string_view::npos &&
         text.find_first_of(" \t\r\n") == std::string_view::npos &&
         approval::looks_like_mailbox(std::string(text));
}

Result<HoldPage> read_hold_page(std::string_view body, const http::Origin& graph) {
  const Result<json> parsed = parse_json(body);
  if (!parsed.ok()) return odd("is no JSON: " + parsed.error().message);
  const auto values = parsed->is_object() ? parsed->find("value") : parsed->end();
  if (values == parsed->end() || !values->is_array()) return odd("has no collection of values");
  HoldPage page;
  for (const json& value : *values) {
    if (!value.is_object()) return odd("has a value that is no object");
    page.values.push_back(value);
  }
  const auto link = parsed->find("@odata.nextLink");
  if (link == parsed->end()) return page;
  const auto* text = link->get_ptr<const std::string*>();
  page.next = text == nullptr ? "" : target_at(*text, graph);
  if (page.next.empty()) {
    return odd("has a next page that is not at upstream.origin: " + to_text(link->dump(), 200));
  }
  return page;
}

Result<std::string> id_in(const json& value) {
  std::string id = text_at(value, "/id");
  if (id.empty()) return odd("names a case or a hold without an id");
  return id;
}

bool is_closed_case(const json& value) {
  return ascii_iequals(text_at(value, "/status"), "closed");
}

Result<std::optional<std::string>> held_mailbox(const json& source) {
  if (ascii_iequals(text_at(source, "/includedSources"), "site")) {
    return std::optional<std::string>();
  }
  const std::string address = text_at(source, "/email");
  if (!is_address(address)) {
    return odd("has a user source without the address of a mailbox, id \"" +
               to_text(text_at(source, "/id"), 100) + "\"; take it out of the hold or correct it");
  }
  return std::optional<std::string>(ascii_lower(address));
}

std::string hold_list(const std::set<std::string>& mailboxes) {
  std::string text =
      "# Mailboxes on legal hold in eDiscovery. holdfast audit writes this file again and again.\n"
      "mailbox\n";
  for (const std::string& mailbox : mailboxes) text += approval::list_line(mailbox);
  return text;
}

}  // namespace holdfast::officers
