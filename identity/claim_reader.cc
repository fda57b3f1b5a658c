#include "identity/claim_reader.h"

#include <chrono>
#include <cstdint>
#include <utility>

#include "base/uuid.h"

namespace holdfast::identity {
namespace {

using nlohmann::json;

// The last second of the year 9999: what RFC 3339 can still write.
constexpr std::int64_t kTimeMax = 253402300799;

}  // namespace

Error unreadable_token(std::string what) {
  return {ErrorCode::kInvalid, "the access token " + std::move(what)};
}

std::string ClaimReader::text(const char* name) {
  const json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return value->get<std::string>();
  fail(name, "is not a string");
  return {};
}

std::string ClaimReader::guid(const char* name) {
  if (!has(name)) return {};
  const std::optional<Uuid> id = parse_uuid(text(name));
  if (id) return to_string(*id);
  fail(name, "is not a GUID");
  return {};
}

std::vector<std::string> ClaimReader::texts(const char* name) {
  const json* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::string> list;
  if (value->is_array()) {
    for (const json& element : *value) {
      if (!element.is_string()) break;
      list.push_back(element.get<std::string>());
    }
  }
  if (!value->is_array() || list.size() != value->size()) {
    fail(name, "is not a list of strings");
    return {};
  }
  return list;
}

std::optional<WallTime> ClaimReader::time(const char* name) {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const bool sane = value->is_number_unsigned() &&
                    value->get<std::uint64_t>() <= static_cast<std::uint64_t>(kTimeMax);
  if (sane) return WallTime(std::chrono::seconds(value->get<std::int64_t>()));
  fail(name, "is not a time in whole seconds");
  return std::nullopt;
}

void ClaimReader::fail(std::string_view name, std::string_view what) {
  if (!problem_) {
    problem_ = unreadable_token("has a claim " + std::string(name) + " that " + std::string(what));
  }
}

const json* ClaimReader::find(const char* name) const {
  const auto it = claims_.find(name);
  return it == claims_.end() ? nullptr : &*it;
}

}  // namespace holdfast::identity
