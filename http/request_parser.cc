#include "http/request_parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/encoding.h"
#include "http/syntax.h"

namespace holdfast::http {
namespace {

// Room in a request line for the method, the version and the spaces and line end between.
constexpr std::size_t kRequestLineExtra = 24;

constexpr auto kMethods =
    std::to_array<std::string_view>({"GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"});

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

// Visible ASCII without the quote and angle brackets that may not stand in any URI, the number sign
// that starts a fragment and the backslash that some take for a slash. Clients do send the rest of
// what RFC 3986 would have encoded, such as `|`, `{` and `}` in a query.
bool is_target_byte(char c) {
  return c > 0x20 && c < 0x7F && c != '"' && c != '<' && c != '>' && c != '#' && c != '\\';
}

}  // namespace

void RequestParser::reset() {
  head_ = {};
  framing_ = {};
  refusal_ = {};
  line_start_ = scanned_ = position_ = 0;
  skipped_empty_line_ = in_fields_ = ended_ = false;
}

bool RequestParser::refuse(int status, std::string why, std::string_view limit) {
  refusal_ = {status, std::move(why), limit};
  return false;
}

RequestParser::State RequestParser::parse(std::string_view received) {
  while (!ended_) {
    if (!may_start(received.substr(line_start_))) return State::kRefused;
    const std::size_t feed = received.find('\n', std::max(scanned_, line_start_));
    if (feed == std::string_view::npos) {
      scanned_ = received.size();
      return within_limits(received, received.size()) ? State::kNeedMore : State::kRefused;
    }
    if (!within_limits(received, feed + 1)) return State::kRefused;
    std::string_view line = received.substr(line_start_, feed - line_start_);
    line_start_ = feed + 1;
    if (!line.ends_with('\r')) {
      if (!in_fields_) note_request_line(line);
      refuse(400, "a line does not end in CRLF");
      return State::kRefused;
    }
    line.remove_suffix(1);
    if (!take_line(line)) return State::kRefused;
  }
  position_ = line_start_;
  return finish() ? State::kDone : State::kRefused;
}

// What cannot become a request line, such as TLS on a plain port, is not waited for.
bool RequestParser::may_start(std::string_view rest) {
  if (in_fields_ || rest.empty() || is_upper(rest[0]) || rest[0] == '\r') return true;
  note_request_line(rest.substr(0, rest.find_first_of("\r\n")));
  return refuse(400, "the method is not valid");
}

// The limit that is met first decides: the same one whether or not the bytes behind have come.
bool RequestParser::within_limits(std::string_view received, std::size_t bytes) {
  const std::size_t line_end_max = line_start_ + limits_.target_bytes_max + kRequestLineExtra;
  if (!in_fields_ && bytes > line_end_max && line_end_max <= limits_.head_bytes_max) {
    note_request_line(received.substr(line_start_));
    return refuse(414, "the request line is too long", "target_bytes");
  }
  if (bytes > limits_.head_bytes_max) {
    return refuse(431, "the headers are too large", "header_bytes");
  }
  return true;
}

bool RequestParser::take_line(std::string_view line) {
  if (!in_fields_) {
    // RFC 9112, 2.2: some clients send an empty line after the body of their last request.
    if (line.empty() && !std::exchange(skipped_empty_line_, true)) return true;
    in_fields_ = true;
    return take_request_line(line);
  }
  if (line.empty()) {
    ended_ = true;
    return true;
  }
  return take_field(line);
}

bool RequestParser::take_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    note_request_line(line);
    return refuse(400, "the request line needs a method, a target and a version");
  }
  head_.method = line.substr(0, first);
  head_.target = line.substr(first + 1, last - first - 1);
  return take_version(line.substr(last + 1)) && check_method() && check_target();
}

// Keeps what a refused line seems to ask for, for whoever records the refusal.
void RequestParser::note_request_line(std::string_view line) {
  static constexpr std::string_view kBlank = " \t\r";
  const auto take_word = [&line] {
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(kBlank));
    line.remove_prefix(word.size());
    return word;
  };
  head_.method = take_word();
  head_.target = take_word().substr(0, limits_.target_bytes_max);
}

bool RequestParser::take_version(std::string_view version) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.' ||
      !is_digit(version[5]) || !is_digit(version[7])) {
    return refuse(400, "the version is not valid");
  }
  if (version[5] != '1' || version[7] > '1') return refuse(505, "only HTTP/1.1 is spoken here");
  head_.minor_version = version[7] - '0';
  return true;
}

bool RequestParser::check_method() {
  const std::string& method = head_.method;
  if (!std::ranges::all_of(method, is_upper) || method.empty()) {
    return refuse(400, "the method is not valid");
  }
  if (std::ranges::find(kMethods, method) == kMethods.end()) {
    return refuse(501, "the method is not offered");
  }
  return true;
}

bool RequestParser::check_target() {
  const std::string& target = head_.target;
  if (target.size() > limits_.target_bytes_max) {
    return refuse(414, "the target is too long", "target_bytes");
  }
  if (!target.starts_with('/')) return refuse(400, "the target is not a path");
  if (!std::ranges::all_of(target, is_target_byte)) {
    return refuse(400, "the target holds a byte that must be percent-encoded");
  }
  return true;
}

bool RequestParser::take_field(std::string_view line) {
  if (head_.headers.size() >= limits_.header_count_max) {
    return refuse(431, "there are too many headers", "header_count");
  }
  const std::size_t colon = line.find(':');
  // A folded line and white space before the colon fail here too: neither is in a token.
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return refuse(400, "a header name is not valid");
  }
  const std::string_view name = line.substr(0, colon);
  if (resembles_framing(name)) return refuse(400, "a header name is too close to a framing header");
  const std::string_view value = trim(line.substr(colon + 1));
  if (!is_field_value(value)) return refuse(400, "a header value holds a control byte");
  if (head_.headers.size() == 0) head_.headers.reserve(16);
  head_.headers.add(std::string(name), std::string(value));
  return true;
}

bool RequestParser::finish() {
  return check_host() && check_length() && check_coding() && check_content_type() &&
         check_connection();
}

bool RequestParser::check_host() {
  const std::size_t hosts = head_.headers.count("Host");
  if (hosts == 0 && head_.minor_version == 0) return true;
  if (hosts != 1) return refuse(400, "there must be exactly one Host header");
  if (!is_authority(head_.headers.get("Host"))) return refuse(400, "the Host is not valid");
  return true;
}

bool RequestParser::check_length() {
  const std::size_t lengths = head_.headers.count("Content-Length");
  if (lengths == 0) return true;
  if (lengths > 1) return refuse(400, "there is more than one Content-Length");
  const std::string_view text = head_.headers.get("Content-Length");
  const bool digits =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return refuse(400, "the Content-Length is not a number");
  const std::optional<std::uint64_t> length = parse_length(text);
  if (!length) return refuse(413, "the Content-Length is too large", "body_bytes");
  framing_.content_length = *length;
  return true;
}

bool RequestParser::check_coding() {
  const std::size_t codings = head_.headers.count("Transfer-Encoding");
  if (codings == 0) return true;
  if (codings > 1) return refuse(400, "there is more than one Transfer-Encoding");
  if (head_.minor_version == 0) return refuse(400, "Transfer-Encoding is not part of HTTP/1.0");
  if (head_.headers.find("Content-Length") != nullptr) {
    return refuse(400, "Content-Length and Transfer-Encoding exclude each other");
  }
  const std::string_view coding = head_.headers.get("Transfer-Encoding");
  if (!is_token(coding)) return refuse(400, "the Transfer-Encoding is not `chunked` alone");
  if (!ascii_iequals(coding, "chunked")) return refuse(501, "the Transfer-Encoding is unknown");
  framing_.chunked = true;
  return true;
}

bool RequestParser::check_content_type() {
  // Which of two a server believes decides how it reads the body.
  if (head_.headers.count("Content-Type") <= 1) return true;
  return refuse(400, "there is more than one Content-Type");
}

bool RequestParser::check_connection() {
  if (head_.headers.find("Upgrade") != nullptr) return refuse(400, "Upgrade is not offered");
  bool close = false, keep = false;
  for (const Header& field : head_.headers) {
    const bool connection = ascii_iequals(field.name, "Connection");
    if (!connection && !ascii_iequals(field.name, "Proxy-Connection")) continue;
    // It names the headers that must not be passed on: a list read in two ways hides some.
    bool tokens = true, strips = false;
    for_each_token(field.value, [&](std::string_view token) {
      tokens &= is_token(token);
      strips |= decides_meaning(token);
    });
    if (!tokens) return refuse(400, "the Connection header is not a list of names");
    if (strips) return refuse(400, "the Connection header names one that is not the connection's");
    if (!connection) continue;
    close = close || list_contains(field.value, "close");
    keep = keep || list_contains(field.value, "keep-alive");
  }
  framing_.keep_alive = !close && (head_.minor_version == 1 || keep);
  const std::string* expect = head_.headers.find("Expect");
  if (expect == nullptr || head_.minor_version == 0) return true;
  if (!ascii_iequals(*expect, "100-continue") || head_.headers.count("Expect") != 1) {
    return refuse(417, "the expectation is unknown");
  }
  framing_.expects_continue = framing_.has_body();
  return true;
}

}  // namespace holdfast::http
