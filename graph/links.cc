#include "graph/links.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/encoding.h"

namespace holdfast::graph {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

constexpr std::string_view kAnnotation = "@odata.";
// Without that. All lead somewhere; none is an identifier that a client might send back.
constexpr auto kLinks = std::to_array<std::string_view>(
    {"context", "nextLink", "deltaLink", "readLink", "editLink", "mediaReadLink", "mediaEditLink",
     "navigationLink", "associationLink"});
constexpr std::size_t kLinkNameMin =
    kAnnotation.size() + std::ranges::min(kLinks, {}, &std::string_view::size).size();

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline bool is_json_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

inline bool is_scalar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
         c == 'E';
}

// Where an origin must end for a link to lead there: `https://graph.microsoft.com.evil` does not.
bool ends_origin(char c) {
  return c == '/' || c == '?' || c == '#';
}

bool is_one_of(const std::vector<std::string>& origins, std::string_view text) {
  return std::ranges::find(origins, text) != origins.end();
}

bool begins_one_of(const std::vector<std::string>& origins, std::string_view text) {
  return std::ranges::any_of(origins,
                             [&](const std::string& origin) { return origin.starts_with(text); });
}

// Which of eight bytes are `c`: their highest bits, exact up to the first of them.
inline std::uint64_t equal_bytes(std::uint64_t bytes, char c) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t differing = bytes ^ (kOnes * static_cast<unsigned char>(c));
  return (differing - kOnes) & ~differing & (kOnes << 7);
}

// The first quote or backslash from `at` on, or the size.
inline std::size_t find_end_or_escape(std::string_view text, std::size_t at) {
  for (; text.size() - at >= 8; at += 8) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text.data() + at, sizeof bytes);
    const std::uint64_t found = equal_bytes(bytes, '"') | equal_bytes(bytes, '\\');
    if (found == 0) continue;
    if constexpr (std::endian::native != std::endian::little) break;
    return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
  }
  while (at < text.size() && text[at] != '"' && text[at] != '\\') ++at;
  return at;
}

}  // namespace

std::string inside_link(std::string_view link, const LinkOrigins& origins) {
  for (const std::string& origin : origins.graph) {
    if (!ascii_iequals(link.substr(0, origin.size()), origin)) continue;
    const std::string_view rest = link.substr(origin.size());
    if (rest.empty() || ends_origin(rest.front())) return origins.outside + std::string(rest);
  }
  return std::string(link);
}

LinkRewriter::LinkRewriter(LinkOrigins origins, Content content)
    : origins_(std::move(origins)), content_(content) {}

bool LinkRewriter::take(std::string_view bytes, std::string& out) {
  out_ = &out;
  changed_ = holding_;
  std::size_t kept_from = 0;  // Bytes from here on go out as they are; none while holding.
  for (std::size_t at = 0; at < bytes.size() && state_ != State::kLost;) {
    if (holding_) {
      held_ += bytes[at];
      step(bytes[at]);
      kept_from = ++at;
      continue;
    }
    at = pass(bytes, at);
    if (!holding_) break;
    out.append(bytes.substr(kept_from, at - kept_from));
    changed_ = true;
  }
  if (holding_ && state_ == State::kLost) release(false);
  if (!changed_) return true;
  if (!holding_) out.append(bytes.substr(kept_from));
  return false;
}

std::string LinkRewriter::finish() {
  holding_ = false;
  return std::exchange(held_, {});
}

// Where bytes go on as they are: to the start of a link, to the end or to what is no JSON.
std::size_t LinkRewriter::pass(std::string_view bytes, std::size_t at) {
  while (at < bytes.size() && !holding_ && state_ != State::kLost) {
    const char c = bytes[at];
    if (c == '"' && (state_ == State::kKey || state_ == State::kFirstKey)) {
      at = pass_key(bytes, at + 1);
    } else if (state_ == State::kText && role_ == Role::kOther) {
      at = pass_text(bytes, at);
    } else if (state_ == State::kScalar) {
      while (at < bytes.size() && is_scalar(bytes[at])) ++at;
      if (at < bytes.size()) end_value();
    } else {
      step(c);
      ++at;
    }
  }
  return at;
}

// From behind its quote on: in one go when all of it is here and written as it is meant.
std::size_t LinkRewriter::pass_key(std::string_view bytes, std::size_t at) {
  std::size_t end = find_end_or_escape(bytes, at);
  if (end == bytes.size() || bytes[end] != '"') {
    begin_text(Role::kKey);
    return at;
  }
  meaning_ = meaning_of({bytes.data() + at, end - at});
  state_ = State::kColon;
  ++end;
  // What follows most keys.
  const bool text = bytes.size() - end >= 2 && bytes[end] == ':' && bytes[end + 1] == '"';
  if (!text || meaning_ != Meaning::kNone) return end;
  begin_text(Role::kOther);
  return pass_text(bytes, end + 2);
}

// The rest of a text that means nothing here, as most bytes of an answer are, and the comma
// behind it.
std::size_t LinkRewriter::pass_text(std::string_view bytes, std::size_t at) {
  for (;; at += 2) {
    at = find_end_or_escape(bytes, at);
    if (at == bytes.size()) return at;
    if (bytes[at] == '"') break;
    if (at + 1 == bytes.size()) {
      state_ = State::kEscape;
      return at + 1;
    }
  }
  ++at;
  end_value();
  if (at == bytes.size() || bytes[at] != ',' || depth_ == 0) return at;
  state_ = is_object_[depth_ - 1] ? State::kKey : State::kValue;
  return at + 1;
}

void LinkRewriter::step(char c) {
  switch (state_) {
    case State::kStart:
    case State::kMark:
      return step_mark(c);
    case State::kText:
      return step_text(c);
    case State::kEscape:
      return step_escape(c);
    case State::kUnicode:
      return step_unicode(c);
    default:
      break;
  }
  if (!is_json_blank(c) && !step_structure(c)) state_ = State::kLost;
}

void LinkRewriter::step_mark(char c) {
  if (c == kByteOrderMark[mark_bytes_]) {
    state_ = ++mark_bytes_ == kByteOrderMark.size() ? State::kValue : State::kMark;
    return;
  }
  const bool begun = mark_bytes_ > 0;
  state_ = begun ? State::kLost : State::kValue;
  if (!begun && !is_json_blank(c) && !step_structure(c)) state_ = State::kLost;
}

// Anything outside strings and scalars; keys are begun elsewhere. False: that cannot be.
bool LinkRewriter::step_structure(char c) {
  switch (state_) {
    case State::kValue:
      return begin_value(c);
    case State::kFirstElement:
      return c == ']' ? close(false) : begin_value(c);
    case State::kFirstKey:
      return c == '}' && close(true);
    case State::kColon:
      state_ = State::kValue;
      return c == ':';
    case State::kBehindValue:
      if (c == '}' || c == ']') return close(c == '}');
      state_ = is_object_[depth_ - 1] ? State::kKey : State::kValue;
      meaning_ = Meaning::kNone;
      return c == ',';
    default:
      return false;
  }
}

bool LinkRewriter::begin_value(char c) {
  const Meaning meaning = std::exchange(meaning_, Meaning::kNone);
  if (c == '"') {
    begin_text(meaning == Meaning::kLink ? Role::kLink : Role::kOther);
    return true;
  }
  if (c == '{' || c == '[') {
    if (depth_ == kDepthMax) return false;
    if (c == '[' && meaning == Meaning::kResponses) in_responses_ = true;
    if (c == '{' && meaning == Meaning::kHeaders) in_headers_ = true;
    open(c == '{');
    return true;
  }
  state_ = State::kScalar;
  return is_scalar(c);
}

void LinkRewriter::open(bool object) {
  is_object_[depth_] = object;
  ++depth_;
  state_ = object ? State::kFirstKey : State::kFirstElement;
}

bool LinkRewriter::close(bool object) {
  if (is_object_[depth_ - 1] != object) return false;
  --depth_;
  if (depth_ < 4) in_headers_ = false;
  if (depth_ < 2) in_responses_ = false;
  end_value();
  return true;
}

void LinkRewriter::end_value() {
  state_ = depth_ == 0 ? State::kEnded : State::kBehindValue;
}

void LinkRewriter::begin_text(Role role) {
  state_ = State::kText;
  role_ = role;
  name_size_ = 0;
  if (role != Role::kLink) return;
  holding_ = true;
  seen_.clear();
  seen_at_ = 0;
}

void LinkRewriter::step_text(char c) {
  if (holding_) seen_at_ = held_.size() - 1;
  if (c == '\\') {
    state_ = State::kEscape;
  } else if (c == '"') {
    end_text();
  } else {
    take_character(c);
  }
}

void LinkRewriter::step_escape(char c) {
  state_ = State::kText;
  if (role_ == Role::kOther) return;
  if (c == 'u') {
    state_ = State::kUnicode;
    unicode_ = 0;
    unicode_digits_ = 0;
  } else if (c == '"' || c == '\\' || c == '/') {
    take_character(c);
  } else if (std::string_view("bfnrt").find(c) != std::string_view::npos) {
    take_character('\n');  // Which of these it is makes no difference to any name or origin.
  } else {
    state_ = State::kLost;
  }
}

void LinkRewriter::step_unicode(char c) {
  const int digit = hex_value(c);
  if (digit < 0) {
    state_ = State::kLost;
    return;
  }
  unicode_ = unicode_ * 16 + static_cast<unsigned>(digit);
  if (++unicode_digits_ < 4) return;
  state_ = State::kText;
  take_character(unicode_ < 0x80 ? static_cast<char>(unicode_) : '\xFF');
}

void LinkRewriter::end_text() {
  if (role_ == Role::kKey) {
    meaning_ = name_size_ > kNameMax ? Meaning::kNone : meaning_of({name_.data(), name_size_});
    state_ = State::kColon;
    return;
  }
  release(is_one_of(origins_.graph, seen_));
  end_value();
}

// A character of a key or a link, as it is meant.
void LinkRewriter::take_character(char c) {
  if (role_ == Role::kLink) return match_link(c);
  if (c == '@') name_size_ = 0;
  if (name_size_ < kNameMax) name_[name_size_] = c;
  name_size_ = std::min(name_size_ + 1, kNameMax + 1);
}

void LinkRewriter::match_link(char c) {
  if (ends_origin(c) && is_one_of(origins_.graph, seen_)) return release(true);
  seen_ += lower(c);
  if (!begins_one_of(origins_.graph, seen_)) release(false);
}

// Where the link leads is known: its start goes out, with the origin exchanged or as it came.
void LinkRewriter::release(bool matched) {
  if (matched) {
    const std::string_view came = held_;
    const bool escapes_slashes = came.substr(0, seen_at_).find("\\/") != std::string_view::npos;
    for (const char c : origins_.outside) {
      if (c == '/' && escapes_slashes) *out_ += '\\';
      *out_ += c;
    }
    *out_ += came.substr(seen_at_);
  } else {
    *out_ += held_;
  }
  held_.clear();
  holding_ = false;
  role_ = Role::kOther;
}

// Of a key, or of its last part from '@' on.
LinkRewriter::Meaning LinkRewriter::meaning_of(std::string_view key) const {
  if (content_ == Content::kPlain && key.size() < kLinkNameMin) return Meaning::kNone;
  const std::size_t annotation = key.rfind('@');
  std::string_view name = annotation == std::string_view::npos ? key : key.substr(annotation);
  if (name.starts_with(kAnnotation)) {
    name.remove_prefix(kAnnotation.size());
    const bool link = std::ranges::find(kLinks, name) != kLinks.end();
    return link ? Meaning::kLink : Meaning::kNone;
  }
  if (content_ != Content::kBatch) return Meaning::kNone;
  if (depth_ == 1 && name == "responses") return Meaning::kResponses;
  if (depth_ == 3 && in_responses_ && name == "headers") return Meaning::kHeaders;
  const bool location = ascii_iequals(name, "Location") || ascii_iequals(name, "Content-Location");
  return depth_ == 4 && in_headers_ && location ? Meaning::kLink : Meaning::kNone;
}

}  // namespace holdfast::graph
