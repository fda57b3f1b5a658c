#include "graph/hard_delete.h"

#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "base/json.h"
#include "graph/fold.h"
#include "graph/target.h"

namespace holdfast::graph {
namespace {

constexpr std::string_view kDisposalType = "disposaltype";
constexpr std::string_view kHardDelete = "harddelete";

// A member of an enumeration by name. Numbers, quotes, lists and types are read differently by
// different readers.
bool is_member_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

}  // namespace

Asked disposal_asked(std::string_view query) {
  if (query.empty()) return Asked::kUnsaid;
  int hard = 0;
  int soft = 0;
  int other = 0;
  for (std::size_t start = 0; start <= query.size();) {
    const std::size_t end = std::min(query.find('&', start), query.size());
    const std::string_view pair = query.substr(start, end - start);
    start = end + 1;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (ascii_lower(decode_once(pair.substr(0, equals))) != kDisposalType) continue;
    const std::string value =
        ascii_lower(decode_once(pair.substr(std::min(equals + 1, pair.size()))));
    (value == kHardDelete ? hard : is_member_name(value) ? soft : other) += 1;
  }
  if (hard > 0 && soft + other == 0) return Asked::kHarder;
  if (hard + other > 0 || soft > 1) return Asked::kAmbiguous;
  // Both words there, and yet not as a plain parameter: some decoding may bring them together.
  const std::string folded = fold(query);
  const bool hidden = folded.find(kDisposalType) != std::string::npos &&
                      folded.find(kHardDelete) != std::string::npos;
  if (hidden) return Asked::kAmbiguous;
  return soft == 1 ? Asked::kSofter : Asked::kUnsaid;
}

Asked body_asks(std::string_view body, std::string_view name, std::string_view harder) {
  const Result<nlohmann::json> parsed = parse_json(body);
  if (!parsed.ok() || !parsed->is_object()) return Asked::kAmbiguous;
  const nlohmann::json* value = nullptr;
  for (const auto& member : parsed->items()) {
    if (!ascii_iequals(member.key(), name)) continue;
    if (value != nullptr) return Asked::kAmbiguous;
    value = &member.value();
  }
  if (value == nullptr) return Asked::kUnsaid;
  if (!value->is_string()) return Asked::kAmbiguous;
  const std::string said = ascii_lower(value->get_ref<const std::string&>());
  if (said == ascii_lower(harder)) return Asked::kHarder;
  return is_member_name(said) ? Asked::kSofter : Asked::kAmbiguous;
}

}  // namespace holdfast::graph
