#include "graph/target.h"

#include <algorithm>

#include "base/encoding.h"

namespace holdfast::graph {
namespace {

// The character at `at`, decoded once, and how many raw ones it takes.
struct Decoded {
  char character;
  std::size_t length;
};

Decoded decode_at(std::string_view text, std::size_t at) {
  if (text[at] == '%' && at + 2 < text.size()) {
    const int high = hex_value(text[at + 1]);
    const int low = hex_value(text[at + 2]);
    if (high >= 0 && low >= 0) return {static_cast<char>(high * 16 + low), 3};
  }
  return {text[at], 1};
}

int count_dots(std::string_view raw) {
  int dots = 0;
  for (std::size_t i = 0; i < raw.size();) {
    const Decoded c = decode_at(raw, i);
    if (c.character != '.' || dots == 2) return 0;
    ++dots;
    i += c.length;
  }
  return dots;
}

bool is_skipped(std::string_view decoded) {
  return decoded.empty() || decoded == "$" || decoded == "/";
}

// Path addressing (root:/a/b.txt:/content) is opened and closed by a segment that ends in ':'.
// Between them are file names, where quotes and parentheses mean nothing.
bool ends_in_colon(std::string_view raw) {
  return raw.ends_with(':') || raw.ends_with("%3A") || raw.ends_with("%3a");
}

std::string unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '\'' || text.back() != '\'') return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string value;
  value.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    value += text[i];
    if (text[i] == '\'' && i + 1 < text.size() && text[i + 1] == '\'') ++i;
  }
  return value;
}

}  // namespace

Target split_target(std::string_view target) {
  Target parts;
  if (const std::size_t hash = target.find('#'); hash != std::string_view::npos) {
    parts.fragment = true;
    target = target.substr(0, hash);
  }
  if (const std::size_t mark = target.find('?'); mark != std::string_view::npos) {
    parts.query = target.substr(mark + 1);
    target = target.substr(0, mark);
  }
  parts.origin_form = target.starts_with('/');
  if (!parts.origin_form) {
    if (const std::size_t scheme = target.find("://"); scheme != std::string_view::npos) {
      const std::size_t slash = target.find('/', scheme + 3);
      target = slash == std::string_view::npos ? std::string_view() : target.substr(slash);
    }
  }
  parts.path = target;
  return parts;
}

std::vector<std::string_view> split_path(std::string_view path, SplitRule rule) {
  std::vector<std::string_view> segments;
  segments.reserve(12);
  std::size_t start = 0;
  int depth = 0;
  bool quoted = false;
  bool in_file_path = false;
  for (std::size_t i = 0; i < path.size();) {
    const Decoded c = decode_at(path, i);
    if (path[i] == '/' && !quoted) {
      const std::string_view segment = path.substr(start, i - start);
      if (ends_in_colon(segment)) in_file_path = !in_file_path;
      segments.push_back(segment);
      start = i + 1;
      depth = 0;
    } else if (rule == SplitRule::kQuotesHold && !in_file_path) {
      if (c.character == '(' && !quoted) ++depth;
      if (c.character == ')' && !quoted && depth > 0) --depth;
      if (c.character == '\'' && depth > 0) quoted = !quoted;
    }
    i += c.length;
  }
  segments.push_back(path.substr(start));
  return segments;
}

std::string decode_once(std::string_view text) {
  if (text.find('%') == std::string_view::npos) return std::string(text);
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Decoded c = decode_at(text, i);
    decoded += c.character;
    i += c.length;
  }
  return decoded;
}

bool has_dot_segments(const std::vector<std::string_view>& raw) {
  return std::ranges::any_of(raw, [](std::string_view segment) { return count_dots(segment) > 0; });
}

std::vector<std::string> effective_segments(const std::vector<std::string_view>& raw,
                                            DotRule rule) {
  std::vector<std::string> segments;
  segments.reserve(raw.size());
  // The path begins with '/': what is before it is no segment that ".." could remove.
  const std::size_t first = !raw.empty() && raw.front().empty() ? 1 : 0;
  for (std::size_t i = first; i < raw.size(); ++i) {
    const int dots = count_dots(raw[i]);
    if (dots > 0) {
      if (dots == 2 && rule != DotRule::kIgnore && !segments.empty()) segments.pop_back();
      continue;
    }
    std::string decoded = decode_once(raw[i]);
    if (rule != DotRule::kResolve && is_skipped(decoded)) continue;
    segments.push_back(std::move(decoded));
  }
  std::erase_if(segments, [](const std::string& segment) { return is_skipped(segment); });
  return segments;
}

SegmentName parse_name(std::string_view segment) {
  SegmentName name;
  if (segment.ends_with(')')) {
    if (const std::size_t open = segment.find('('); open != std::string_view::npos) {
      name.parentheses = true;
      name.arguments = segment.substr(open + 1, segment.size() - open - 2);
      segment = segment.substr(0, open);
    }
  }
  const std::size_t dot = segment.rfind('.');
  if (dot != std::string_view::npos && dot > 0) {
    name.qualifier = ascii_lower(segment.substr(0, dot));
    segment = segment.substr(dot + 1);
  }
  name.word = ascii_lower(segment);
  return name;
}

SegmentKey parse_key(std::string_view arguments) {
  const std::size_t equals = arguments.find('=');
  if (arguments.starts_with('\'') || equals == std::string_view::npos) {
    return {.value = unquote(arguments), .name = ""};
  }
  const std::string_view name = arguments.substr(0, equals);
  const bool is_identifier = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  const std::string_view value = arguments.substr(equals + 1);
  // Base64 ids may end in '=': (AAMk=) is a key, not a name.
  if (!is_identifier || value.find_first_not_of('=') == std::string_view::npos) {
    return {.value = unquote(arguments), .name = ""};
  }
  std::string lower = ascii_lower(name);
  return {.value = unquote(value), .name = lower == "id" ? std::string() : std::move(lower)};
}

}  // namespace holdfast::graph
