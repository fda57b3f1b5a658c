#include "base/canonical_scan.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/encoding.h"
#include "base/json.h"

namespace holdfast {
namespace {

constexpr std::size_t kIntegerDigitsMax = 16;
constexpr std::uint64_t kOnes = 0x0101010101010101;
constexpr std::uint64_t kHighs = 0x8080808080808080;

std::uint64_t load(const char* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Non-zero where one of the word's bytes is zero.
std::uint64_t zero_byte(std::uint64_t word) {
  return (word - kOnes) & ~word & kHighs;
}

// Non-zero where one of the eight bytes ends or breaks a run of plain characters: a quote, a
// backslash or a control character.
std::uint64_t special_byte(std::uint64_t word) {
  const std::uint64_t control = (word - kOnes * 0x20) & ~word & kHighs;
  return control | zero_byte(word ^ (kOnes * '"')) | zero_byte(word ^ (kOnes * '\\'));
}

bool is_ascii(std::string_view text) {
  while (text.size() >= sizeof(std::uint64_t)) {
    if ((load(text.data()) & kHighs) != 0) return false;
    text.remove_prefix(sizeof(std::uint64_t));
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// A string's text between its quotes, decoded.
std::string decoded(std::string_view escaped) {
  std::string text;
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] != '\\') {
      text += escaped[i];
      continue;
    }
    constexpr std::string_view kLetters = "bfnrt";
    constexpr std::string_view kControls = "\b\f\n\r\t";
    const char letter = escaped[++i];
    const std::size_t known = kLetters.find(letter);
    if (letter == 'u') {
      text += from_hex(escaped.substr(i + 3, 2)).value_or("");
      i += 4;
    } else {
      text += known == std::string_view::npos ? letter : kControls[known];
    }
  }
  return text;
}

bool keys_ascend(std::string_view before, std::string_view after, bool ascii) {
  const bool plain = ascii && before.find('\\') == std::string_view::npos &&
                     after.find('\\') == std::string_view::npos;
  return plain ? before < after : utf16_less(decoded(before), decoded(after));
}

class Scanner {
 public:
  Scanner(std::string_view text, MemberVisitor& visitor)
      : text_(text), visitor_(visitor), ascii_(is_ascii(text)) {}

  Status run() {
    if (!ascii_ && !is_utf8(text_)) return Error{ErrorCode::kInvalid, "is not UTF-8"};
    if (text_.empty() || text_.front() != '{') {
      fail("an object begins with {");
    } else if (object(1, {})) {
      if (at_ == text_.size()) return {};
      fail("nothing may follow the object");
    }
    return Error{ErrorCode::kInvalid,
                 "is not canonical JSON at byte " + std::to_string(at_) + ": " + problem_};
  }

 private:
  bool fail(const char* why) {
    problem_ = why;
    return false;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  // `parent` is the name of the member whose value this is, of the top-level object.
  bool object(int depth, std::string_view parent) {
    if (depth > kJsonDepthMax) return fail("too deep");
    ++at_;
    if (take('}')) return true;
    std::string_view before;
    for (bool first = true; true; first = false) {
      std::string_view name;
      if (!string(name)) return false;
      if (!first && !keys_ascend(before, name, ascii_)) return fail("names out of order, or twice");
      before = name;
      if (!take(':')) return fail("a colon follows a name");
      const std::size_t begin = at_;
      if (!value(depth, depth == 1 ? name : std::string_view())) return false;
      if (depth == 1 || !parent.empty()) {
        visitor_.member(parent, name, text_.substr(begin, at_ - begin));
      }
      if (take('}')) return true;
      if (!take(',')) return fail("a comma or } follows a value");
    }
  }

  bool array(int depth) {
    if (depth > kJsonDepthMax) return fail("too deep");
    ++at_;
    if (take(']')) return true;
    while (true) {
      if (!value(depth, {})) return false;
      if (take(']')) return true;
      if (!take(',')) return fail("a comma or ] follows a value");
    }
  }

  // `name` of a member of the top-level object; empty deeper down.
  bool value(int depth, std::string_view name) {
    switch (peek()) {
      case '"': {
        std::string_view ignored;
        return string(ignored);
      }
      case '{':
        return object(depth + 1, name);
      case '[':
        return array(depth + 1);
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return integer();
    }
  }

  bool word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) return fail("no value");
    at_ += wanted.size();
    return true;
  }

  bool integer() {
    const bool negative = take('-');
    const std::size_t begin = at_;
    std::uint64_t number = 0;
    while (peek() >= '0' && peek() <= '9') {
      if (at_ - begin == kIntegerDigitsMax) return fail("an integer beyond 2^53-1");
      number = number * 10 + static_cast<std::uint64_t>(text_[at_++] - '0');
    }
    const std::size_t digits = at_ - begin;
    if (digits == 0) return fail("no value");
    const bool padded = text_[begin] == '0' && (digits > 1 || negative);
    if (padded || number > std::uint64_t{kJsonIntegerMax})
      return fail("an integer in another than its one form");
    return true;
  }

  // `inside`: what stands between the quotes.
  bool string(std::string_view& inside) {
    if (!take('"')) return fail("a name or value is missing");
    const std::size_t begin = at_;
    while (true) {
      skip_plain();
      const char c = peek();
      if (c == '"') {
        inside = text_.substr(begin, at_ - begin);
        ++at_;
        return true;
      }
      if (c != '\\') return fail("a string does not end, or holds a control character");
      if (!escape()) return fail("an escape that canonical JSON does not have");
    }
  }

  void skip_plain() {
    while (text_.size() - at_ >= sizeof(std::uint64_t)) {
      const std::uint64_t special = special_byte(load(text_.data() + at_));
      if (special != 0) break;
      at_ += sizeof(std::uint64_t);
    }
    while (at_ < text_.size()) {
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte < 0x20 || byte == '"' || byte == '\\') return;
      ++at_;
    }
  }

  bool escape() {
    constexpr std::string_view kShort = "\"\\bfnrt";
    const std::string_view rest = text_.substr(at_ + 1);
    if (rest.empty()) return false;
    if (kShort.find(rest.front()) != std::string_view::npos) {
      at_ += 2;
      return true;
    }
    // Control characters that have no short form, in lower-case hex.
    if (rest.size() < 5 || !rest.starts_with("u00") || (rest[3] != '0' && rest[3] != '1')) {
      return false;
    }
    constexpr std::string_view kHex = "0123456789abcdef";
    if (kHex.find(rest[4]) == std::string_view::npos) return false;
    const bool has_short_form =
        rest[3] == '0' && std::string_view("89acd").find(rest[4]) != std::string_view::npos;
    at_ += 6;
    return !has_short_form;
  }

  const std::string_view text_;
  MemberVisitor& visitor_;
  const bool ascii_;
  std::size_t at_ = 0;
  const char* problem_ = "";
};

}  // namespace

Status scan_canonical(std::string_view text, MemberVisitor& visitor) {
  return Scanner(text, visitor).run();
}

std::string_view plain_text(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return {};
  value = value.substr(1, value.size() - 2);
  return value.find('\\') == std::string_view::npos ? value : std::string_view();
}

}  // namespace holdfast
