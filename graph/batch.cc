#include "graph/batch.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::graph {
namespace {

using nlohmann::json;

std::string part_name(std::size_t index) {
  return "$batch: requests[" + std::to_string(index) + "] ";
}

// "Method" beside or instead of "method": some readers take it, some do not.
template <std::size_t N>
std::optional<std::string> misspelt_key(const json& object,
                                        const std::array<std::string_view, N>& names) {
  for (const auto& member : object.items()) {
    const std::string& key = member.key();
    const bool alike = std::ranges::any_of(
        names, [&](std::string_view name) { return key != name && ascii_iequals(key, name); });
    if (alike) return key;
  }
  return std::nullopt;
}

Result<std::vector<std::pair<std::string, std::string>>> read_headers(const json& part,
                                                                      std::size_t index) {
  std::vector<std::pair<std::string, std::string>> headers;
  const auto found = part.find("headers");
  if (found == part.end() || found->is_null()) return headers;
  if (!found->is_object()) return invalid(part_name(index) + "has headers that are no object");
  for (const auto& member : found->items()) {
    if (!member.value().is_string()) {
      return invalid(part_name(index) + "has a header whose value is no string");
    }
    headers.emplace_back(member.key(), member.value().get<std::string>());
  }
  return headers;
}

Result<std::string> read_target(const json& part, std::size_t index,
                                const std::optional<std::string>& version) {
  const auto url = part.find("url");
  if (url == part.end() || !url->is_string()) return invalid(part_name(index) + "has no url");
  std::string text = url->get<std::string>();
  const std::size_t scheme = text.find("://");
  const bool host = text.starts_with("//") || text.starts_with("/\\") || text.starts_with("\\");
  if (host || (scheme != std::string::npos && scheme < text.find_first_of("/?#'"))) {
    return invalid(part_name(index) + "has an absolute url; it must be relative to the version");
  }
  if (!text.starts_with('/')) text.insert(0, "/");
  return version.has_value() ? "/" + *version + text : text;
}

Result<BatchPart> read_part(const json& part, std::size_t index,
                            const std::optional<std::string>& version) {
  if (!part.is_object()) return invalid(part_name(index) + "is no object");
  constexpr std::array<std::string_view, 6> kNames = {"id",      "method", "url",
                                                      "headers", "body",   "dependsOn"};
  if (const auto key = misspelt_key(part, kNames)) {
    return invalid(part_name(index) + "has the key \"" + *key + "\", spelled in another case");
  }
  const auto id = part.find("id");
  if (id == part.end() || !id->is_string() || id->get_ref<const std::string&>().empty()) {
    return invalid(part_name(index) + "has no id");
  }
  const auto method = part.find("method");
  if (method == part.end() || !method->is_string()) {
    return invalid(part_name(index) + "has no method");
  }
  Result<std::string> target = read_target(part, index, version);
  if (!target.ok()) return std::move(target).error();
  const auto headers = read_headers(part, index);
  if (!headers.ok()) return headers.error();

  BatchPart result{.id = id->get<std::string>(),
                   .method = ascii_lower(method->get_ref<const std::string&>()),
                   .target = std::move(*target),
                   .classification = {}};
  // Graph takes the methods within a batch in any case.
  std::ranges::transform(result.method, result.method.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  std::vector<HeaderView> views;
  for (const auto& [name, value] : *headers) views.push_back({.name = name, .value = value});
  const auto body = part.find("body");
  // No body in the part is a body that says nothing, not one that is still to be read.
  const std::string text = body == part.end() ? std::string() : body->dump();
  result.classification =
      classify({.method = result.method, .target = result.target, .headers = views, .body = text});
  if (result.classification.request_class == RequestClass::kBatch) {
    return invalid(part_name(index) + "is a batch itself, which Graph prohibits");
  }
  return result;
}

}  // namespace

Result<std::vector<BatchPart>> classify_batch(std::string_view body,
                                              const std::optional<std::string>& version) {
  const Result<json> parsed = parse_json(body);
  if (!parsed.ok()) return invalid("$batch: the body is " + parsed.error().message);
  if (!parsed->is_object()) return invalid("$batch: the body is no JSON object");
  constexpr std::array<std::string_view, 1> kNames = {"requests"};
  if (const auto key = misspelt_key(*parsed, kNames)) {
    return invalid("$batch: the key \"" + *key + "\" is spelled in another case");
  }
  const auto requests = parsed->find("requests");
  if (requests == parsed->end() || !requests->is_array()) {
    return invalid("$batch: the body has no array \"requests\"");
  }
  if (requests->size() > kBatchPartsMax) {
    return invalid("$batch: " + std::to_string(requests->size()) + " requests, at most " +
                   std::to_string(kBatchPartsMax) + " are allowed");
  }
  std::vector<BatchPart> parts;
  std::set<std::string> ids;
  for (std::size_t i = 0; i < requests->size(); ++i) {
    Result<BatchPart> part = read_part((*requests)[i], i, version);
    if (!part.ok()) return std::move(part).error();
    if (!ids.insert(ascii_lower(part->id)).second) {
      return invalid(part_name(i) + "repeats the id \"" + part->id + "\"");
    }
    parts.push_back(std::move(*part));
  }
  return parts;
}

}  // namespace holdfast::graph
