#include "base/canonical_object.h"

#include <cassert>
#include <utility>

#include "base/encoding.h"
#include "base/json.h"

namespace holdfast {
namespace {

void append_text(std::string& out, std::string_view value) {
  if (is_utf8(value)) {
    append_json_string(out, value);
  } else {
    append_json_string(out, to_text(value));
  }
}

template <class Append>
void append_array(std::string& out, std::span<const std::string> values, Append append) {
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    append(out, values[i]);
  }
  out += ']';
}

}  // namespace

void CanonicalObject::begin(std::string_view name) {
  assert(last_name_ < name);
  if (text_.size() > 1) text_ += ',';
  append_json_string(text_, name);
  text_ += ':';
  last_name_ = name;
}

CanonicalObject& CanonicalObject::text(std::string_view name, std::string_view value) {
  begin(name);
  append_text(text_, value);
  return *this;
}

CanonicalObject& CanonicalObject::texts(std::string_view name,
                                        std::span<const std::string> values) {
  begin(name);
  append_array(text_, values, append_text);
  return *this;
}

CanonicalObject& CanonicalObject::integer(std::string_view name, std::int64_t value) {
  assert(value >= -kJsonIntegerMax && value <= kJsonIntegerMax);
  begin(name);
  text_ += std::to_string(value);
  return *this;
}

CanonicalObject& CanonicalObject::boolean(std::string_view name, bool value) {
  begin(name);
  text_ += value ? "true" : "false";
  return *this;
}

CanonicalObject& CanonicalObject::null(std::string_view name) {
  begin(name);
  text_ += "null";
  return *this;
}

CanonicalObject& CanonicalObject::written(std::string_view name, std::string_view json) {
  begin(name);
  text_ += json;
  return *this;
}

CanonicalObject& CanonicalObject::written(std::string_view name,
                                          std::span<const std::string> array) {
  begin(name);
  append_array(text_, array, [](std::string& out, std::string_view json) { out += json; });
  return *this;
}

std::string CanonicalObject::take() && {
  text_ += '}';
  return std::move(text_);
}

}  // namespace holdfast
