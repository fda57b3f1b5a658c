#include "graph/fold.h"

#include <algorithm>
#include <cstdint>

#include "base/encoding.h"

namespace holdfast::graph {
namespace {

constexpr int kRoundsMax = 6;

void append_utf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | ((point >> 12) & 0x0F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

// %XX, and the %uXXXX of old IIS.
std::string decode_round(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (rest.size() >= 3 && rest[0] == '%') {
      const int high = hex_value(rest[1]);
      const int low = hex_value(rest[2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    if (rest.size() >= 6 && rest[0] == '%' && (rest[1] == 'u' || rest[1] == 'U') &&
        std::ranges::all_of(rest.substr(2, 4), [](char c) { return hex_value(c) >= 0; })) {
      std::uint32_t point = 0;
      for (const char c : rest.substr(2, 4))
        point = point * 16 + static_cast<unsigned>(hex_value(c));
      append_utf8(out, point);
      i += 5;
      continue;
    }
    out += text[i];
  }
  return out;
}

bool is_invisible(std::uint32_t p) {
  return p == 0xAD || p == 0x34F || p == 0x61C || p == 0x180E || (p >= 0x200B && p <= 0x200F) ||
         (p >= 0x202A && p <= 0x202E) || (p >= 0x2060 && p <= 0x206F) ||
         (p >= 0xFE00 && p <= 0xFE0F) || p == 0xFEFF || (p >= 0xE0000 && p <= 0xE0FFF);
}

bool is_blank(std::uint32_t p) {
  return p == 0x85 || p == 0xA0 || p == 0x1680 || (p >= 0x2000 && p <= 0x200A) || p == 0x2028 ||
         p == 0x2029 || p == 0x202F || p == 0x205F || p == 0x3000;
}

// Some servers drop control characters, others end a word at them.
enum class Controls { kDropped, kBlank };

// A code point as the ASCII character it may be taken for; -1: dropped; -2: none.
int folded(std::uint32_t point, Controls controls) {
  if (point == 0) return 0;
  if (point < 0x20 || point == 0x7F) return controls == Controls::kBlank ? ' ' : -1;
  if (point == '\\') return '/';
  if (point < 0x80)
    return point >= 'A' && point <= 'Z' ? static_cast<int>(point) + 32 : static_cast<int>(point);
  if (is_invisible(point)) return -1;
  if (is_blank(point)) return ' ';
  if (point >= 0xFF01 && point <= 0xFF5E) return folded(point - 0xFEE0, controls);
  switch (point) {
    case 0x2044:
    case 0x2215:
    case 0x29F8:
    case 0xFE68:
    case 0x2216:
    case 0x29F5:
      return '/';
    case 0x2024:
    case 0xFE52:
      return '.';
    case 0x130:
    case 0x131:
      return 'i';
    case 0x17F:
      return 's';
    case 0x212A:
      return 'k';
    default:
      return -2;
  }
}

struct CodePoint {
  std::uint32_t value;
  std::size_t length;
};

// Lenient on purpose: overlong forms yield what they overlong-encode, a stray byte is Latin-1.
CodePoint read_code_point(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const std::uint32_t lead = byte(at);
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (length == 1) return {lead, 1};
  std::uint32_t value = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return {lead, 1};
    value = (value << 6) | (byte(at + i) & 0x3F);
  }
  return {value, length};
}

std::string fold_characters(std::string_view text, Controls controls) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = read_code_point(text, i);
    const int ascii = folded(point.value, controls);
    if (ascii >= 0) {
      out += static_cast<char>(ascii);
    } else if (ascii == -2) {
      out.append(text.substr(i, point.length));
    }
    i += point.length;
  }
  return out;
}

constexpr std::string_view kCuts{";?#&,(%\0", 8};
constexpr std::string_view kLeadingJunk = " .'\"`+*!~:)[]{}<>|^=";
constexpr std::string_view kTrailingJunk = " .'\"`+*!~:)[]{}<>|^=$";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kLeadingJunk);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kTrailingJunk) - begin + 1);
}

std::string fold_as(std::string_view text, Controls controls) {
  std::string current = fold_characters(text, controls);
  for (int round = 0; round < kRoundsMax && current.find('%') != std::string::npos; ++round) {
    std::string next = fold_characters(decode_round(current), controls);
    if (next == current) break;
    current = std::move(next);
  }
  return current;
}

// The word itself, after a qualifier, or before a blank and whatever follows.
bool is_word(std::string_view name, std::string_view word) {
  name = trimmed(name);
  if (name == word) return true;
  if (name.size() <= word.size()) return false;
  const char before = name[name.size() - word.size() - 1];
  if (name.ends_with(word) && (before == '.' || before == ':' || before == ' ')) return true;
  return name.starts_with(word) && name[word.size()] == ' ';
}

// Whoever stops at a cut character reads what is before it, or what is behind.
bool word_within(std::string_view folded_segment, std::string_view word) {
  for (std::size_t start = 0; start <= folded_segment.size();) {
    const std::size_t cut =
        std::min(folded_segment.find_first_of(kCuts, start), folded_segment.size());
    if (is_word(folded_segment.substr(start, cut - start), word)) return true;
    start = cut + 1;
  }
  return false;
}

bool segment_matches_as(std::string_view segment, std::string_view word, Controls controls) {
  const std::string text = fold_as(segment, controls);
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t slash = std::min(text.find('/', start), text.size());
    if (word_within(std::string_view(text).substr(start, slash - start), word)) return true;
    start = slash + 1;
  }
  return false;
}

bool segment_matches(std::string_view segment, std::string_view word) {
  return segment_matches_as(segment, word, Controls::kDropped) ||
         (needs_folding(segment) && segment_matches_as(segment, word, Controls::kBlank));
}

}  // namespace

std::string fold(std::string_view text) {
  return fold_as(text, Controls::kDropped);
}

bool needs_folding(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte >= 0x7F || c == '%' || c == '\\';
  });
}

bool resembles(std::string_view segment, std::string_view word) {
  if (segment.size() < word.size()) return false;
  return segment_matches(segment, word);
}

bool resembles_batch(std::string_view segment) {
  if (segment.size() < std::string_view("$batch").size()) return false;
  return segment_matches(segment, "$batch");
}

}  // namespace holdfast::graph
