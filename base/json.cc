#include "base/json.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <vector>

#include "base/encoding.h"

namespace holdfast {
namespace {

using nlohmann::json;

// Builds nothing: only looks for what the DOM parser would silently accept.
class StrictnessCheck final : public nlohmann::json_sax<json> {
 public:
  const std::string& problem() const { return problem_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return depth_allowed();
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    keys_.emplace_back();
    return depth_allowed();
  }
  bool end_array() override {
    keys_.pop_back();
    return true;
  }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem_ = "duplicate key \"" + name + "\"";
    return false;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    problem_ = "not valid JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  bool depth_allowed() {
    if (keys_.size() <= kJsonDepthMax) return true;
    problem_ = "nested deeper than " + std::to_string(kJsonDepthMax) + " levels";
    return false;
  }

  std::vector<std::set<std::string>> keys_;
  std::string problem_;
};

// UTF-8 orders like code points. UTF-16 differs from that in one place: U+E000..U+FFFF sort after
// the surrogates that supplementary code points (UTF-8 lead bytes from 0xF0) are made of.
unsigned utf16_rank(unsigned char byte) {
  if (byte >= 0xF0) return 0xEEU;
  if (byte == 0xEE || byte == 0xEF) return byte + 1U;
  return byte;
}

bool is_plain_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void append_escape(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  out += "\\u00";
  out += to_hex(std::string_view(&c, 1));
}

class CanonicalWriter {
 public:
  bool write(const json& value) {
    switch (value.type()) {
      case json::value_t::null:
        text_ += "null";
        return true;
      case json::value_t::boolean:
        text_ += value.get<bool>() ? "true" : "false";
        return true;
      case json::value_t::number_integer:
      case json::value_t::number_unsigned:
        return write_integer(value);
      case json::value_t::string:
        return write_string(value.get_ref<const std::string&>());
      case json::value_t::array:
        return write_array(value);
      case json::value_t::object:
        return write_object(value);
      default:
        return fail("is neither a string, an integer, a boolean, null, an array nor an object");
    }
  }

  std::string take_text() { return std::move(text_); }
  std::string problem() const { return "canonical JSON: \"" + path_ + "\" " + problem_; }

 private:
  bool fail(std::string why) {
    problem_ = std::move(why);
    return false;
  }

  bool write_integer(const json& value) {
    const bool too_large =
        value.is_number_unsigned()
            ? value.get<std::uint64_t>() > static_cast<std::uint64_t>(kJsonIntegerMax)
            : value.get<std::int64_t>() > kJsonIntegerMax ||
                  value.get<std::int64_t>() < -kJsonIntegerMax;
    if (too_large) return fail("is an integer beyond 2^53-1");
    text_ += std::to_string(value.get<std::int64_t>());
    return true;
  }

  bool write_string(const std::string& string) {
    if (!is_utf8(string)) return fail("is not UTF-8");
    append_json_string(text_, string);
    return true;
  }

  bool write_array(const json& array) {
    text_ += '[';
    for (std::size_t i = 0; i < array.size(); ++i) {
      if (i > 0) text_ += ',';
      if (!write_at(std::to_string(i), array[i])) return false;
    }
    text_ += ']';
    return true;
  }

  bool write_object(const json& object) {
    std::vector<const json::object_t::value_type*> members;
    members.reserve(object.size());
    bool ascii = true;
    for (const auto& member : object.get_ref<const json::object_t&>()) {
      ascii = ascii && is_plain_ascii(member.first);
      members.push_back(&member);
    }
    // nlohmann keeps keys in byte order, which for ASCII is the order wanted already.
    if (!ascii) {
      std::sort(members.begin(), members.end(),
                [](const auto* a, const auto* b) { return utf16_less(a->first, b->first); });
    }
    text_ += '{';
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i > 0) text_ += ',';
      if (!write_string(members[i]->first)) return false;
      text_ += ':';
      if (!write_at(members[i]->first, members[i]->second)) return false;
    }
    text_ += '}';
    return true;
  }

  // Keeps path_ at the failing place when it fails.
  bool write_at(const std::string& step, const json& value) {
    const std::size_t length = path_.size();
    path_ += '/';
    path_ += step;
    if (!write(value)) return false;
    path_.resize(length);
    return true;
  }

  std::string text_;
  std::string path_;
  std::string problem_;
};

}  // namespace

bool utf16_less(std::string_view a, std::string_view b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto left = static_cast<unsigned char>(x);
    const auto right = static_cast<unsigned char>(y);
    const unsigned left_rank = utf16_rank(left);
    const unsigned right_rank = utf16_rank(right);
    return left_rank == right_rank ? left < right : left_rank < right_rank;
  });
}

void append_json_string(std::string& out, std::string_view utf8) {
  out += '"';
  std::size_t written = 0;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(utf8, written, i - written);
    append_escape(out, utf8[i]);
    written = i + 1;
  }
  out.append(utf8, written);
  out += '"';
}

Result<json> parse_json(std::string_view text) {
  StrictnessCheck check;
  if (!json::sax_parse(text.begin(), text.end(), &check)) {
    return Error{ErrorCode::kInvalid, check.problem()};
  }
  return json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

Result<std::string> canonical_json(const json& value) {
  CanonicalWriter writer;
  if (!writer.write(value)) return Error{ErrorCode::kInvalid, writer.problem()};
  return writer.take_text();
}

std::string text_at(const json& document, const char* pointer) {
  const json::json_pointer place(pointer);
  if (!document.contains(place) || !document.at(place).is_string()) return {};
  return document.at(place).get<std::string>();
}

}  // namespace holdfast
