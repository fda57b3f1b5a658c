// A canonical JSON object written member by member, for hot paths where building a tree first would
// cost more than everything else:
//
//   CanonicalObject mailbox;
//   mailbox.text("key", key).text("kind", "user");
//   CanonicalObject operation;
//   operation.text("action", action).written("mailbox", std::move(mailbox).take());
//
// The bytes are those of canonical_json() (base/json.h). Members are added in ascending order of
// their names, which are ASCII and outlive the object; assertions check the order. Nothing fails:
// text that is not UTF-8 is written as to_text() has it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

class CanonicalObject {
 public:
  CanonicalObject() { text_.reserve(kReservedBytes); }

  CanonicalObject& text(std::string_view name, std::string_view value);
  CanonicalObject& texts(std::string_view name, std::span<const std::string> values);
  CanonicalObject& integer(std::string_view name, std::int64_t value);  // Within ±(2^53-1).
  CanonicalObject& boolean(std::string_view name, bool value);
  CanonicalObject& null(std::string_view name);
  // `json` is canonical already.
  CanonicalObject& written(std::string_view name, std::string_view json);
  CanonicalObject& written(std::string_view name, std::span<const std::string> array);

  // The whole object. Nothing may be added afterwards.
  std::string take() &&;

 private:
  static constexpr std::size_t kReservedBytes = 512;

  void begin(std::string_view name);

  std::string text_ = "{";
  std::string_view last_name_;
};

}  // namespace holdfast
