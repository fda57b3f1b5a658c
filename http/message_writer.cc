#include "http/message_writer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/encoding.h"
#include "http/syntax.h"

namespace holdfast::http {
namespace {

constexpr std::size_t kBlockMax = 64 * 1024;
constexpr std::size_t kChunkHeadMax = 10;  // Eight hex digits and the line end.
constexpr std::string_view kChunkEnd = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::size_t kEndsMax = kChunkEnd.size() + kLastChunk.size();
constexpr std::size_t kFixedPartsMax = 128;  // Of a request's head: version, Host, framing, ends.

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_framing(std::string& out, const BodyPlan& plan) {
  if (plan.framing == BodyFraming::kChunked) append_field(out, "Transfer-Encoding", "chunked");
  if (plan.framing != BodyFraming::kLength) return;
  out += "Content-Length: ";
  append_number(out, plan.length);
  out += "\r\n";
}

bool is_content_length(std::string_view name) {
  return name.size() == 14 && ascii_iequals(name, "content-length");
}

// How much of a body is moved at a time. At least one byte.
std::size_t room_for(const BodyPlan& plan) {
  const bool unknown =
      plan.framing == BodyFraming::kChunked || plan.framing == BodyFraming::kUntilClose;
  if (unknown) return kBlockMax;
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(plan.length, 1, kBlockMax));
}

bool is_writable(const Header& field) {
  return is_token(field.name) && is_field_value(field.value);
}

}  // namespace

BodyBlock::BodyBlock(std::string_view head, const BodyPlan& plan)
    : head_size_(head.size()),
      chunked_(plan.framing == BodyFraming::kChunked),
      content_at_(head_size_ + (chunked_ ? kChunkHeadMax : 0)),
      room_(room_for(plan)),
      bytes_(std::make_unique_for_overwrite<char[]>(content_at_ + room_ + kEndsMax)) {
  head.copy(bytes_.get(), head.size());
}

std::span<char> BodyBlock::room() {
  return {bytes_.get() + content_at_, room_};
}

std::string_view BodyBlock::frame(std::size_t size, More more) {
  char* start = bytes_.get() + content_at_;
  char* end = start + size;
  if (chunked_) {
    char digits[kChunkHeadMax];
    char* const digits_end = std::to_chars(digits, digits + sizeof digits, size, 16).ptr;
    end = std::ranges::copy(kChunkEnd, end).out;
    if (size > 0 && more == More::kNo) end = std::ranges::copy(kLastChunk, end).out;
    *--start = '\n';
    *--start = '\r';
    start = std::copy_backward(digits, digits_end, start);
    // The head moves up, over the room that a longer chunk's head would have needed.
    start = std::copy_backward(bytes_.get(), bytes_.get() + head_size_, start);
  } else {
    start -= head_size_;
  }
  head_size_ = 0;
  return {start, static_cast<std::size_t>(end - start)};
}

BodyPlan plan_response(const Response& response, std::string_view method, int minor_version) {
  const bool never = response.status < 200 || response.status == 204 || response.status == 304;
  if (never || method == "HEAD") return {};
  if (!response.stream) return {BodyFraming::kLength, response.content.size()};
  if (const auto length = response.stream->remaining()) return {BodyFraming::kLength, *length};
  return {minor_version == 0 ? BodyFraming::kUntilClose : BodyFraming::kChunked, 0};
}

void append_response_head(std::string& out, const Response& response, std::string_view method,
                          const BodyPlan& plan, ConnectionHeader connection,
                          std::string_view date) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(response.status));
  out += ' ';
  const bool own_reason = !response.reason.empty() && is_field_value(response.reason);
  out += own_reason ? std::string_view(response.reason) : reason_phrase(response.status);
  out += "\r\n";
  bool dated = false;
  bool length_kept = false;
  const bool describes = method == "HEAD" || response.status == 304;
  for (const Header& field : response.headers) {
    if (is_hop_by_hop(field.name) || !is_writable(field)) continue;
    if (is_content_length(field.name)) {
      if (!describes || length_kept || !parse_length(field.value)) continue;
      length_kept = true;
    }
    dated = dated || ascii_iequals(field.name, "date");
    append_field(out, field.name, field.value);
  }
  if (!dated) append_field(out, "Date", date);
  if (connection == ConnectionHeader::kClose) append_field(out, "Connection", "close");
  if (connection == ConnectionHeader::kKeepAlive) append_field(out, "Connection", "keep-alive");
  append_framing(out, plan);
  out += "\r\n";
}

bool append_request_head(std::string& out, const RequestHead& head, std::string_view authority,
                         const BodyPlan& plan) {
  const auto is_visible = [](char c) { return c > 0x20 && c < 0x7F; };
  if (!is_token(head.method) || head.target.empty() ||
      !std::ranges::all_of(head.target, is_visible)) {
    return false;
  }
  std::size_t size = head.method.size() + head.target.size() + authority.size() + kFixedPartsMax;
  for (const Header& field : head.headers) size += field.name.size() + field.value.size() + 4;
  out.reserve(out.size() + size);
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  append_field(out, "Host", authority);
  for (const Header& field : head.headers) {
    if (!is_writable(field)) return false;
    if (is_hop_by_hop(field.name) || is_content_length(field.name) ||
        ascii_iequals(field.name, "host") || ascii_iequals(field.name, "expect")) {
      continue;
    }
    append_field(out, field.name, field.value);
  }
  append_framing(out, plan);
  out += "\r\n";
  return true;
}

}  // namespace holdfast::http
