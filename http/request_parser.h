// The strict parser of request heads: bytes in; a RequestHead or a refusal out. Pure.
//
//   RequestParser parser(limits);
//   while (parser.parse(received) == RequestParser::State::kNeedMore) receive_more(received);
//
// Everything that two HTTP implementations might read differently is refused, because what stands
// behind decides by its own reading: more than one Host or none, Content-Length beside
// Transfer-Encoding, lengths that are not digits, codings but `chunked`, names that differ from
// these two in their marks only, bare CR or LF, control bytes, folded lines, targets that are not
// in origin form or hold a byte that some would decode or cut at, Upgrade, Connection naming what
// the request is judged by. Lines are judged in order as they become complete, so how the bytes
// were cut on their way changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace holdfast::http {

struct HeadLimits {
  std::size_t head_bytes_max = 32 * 1024;
  std::size_t header_count_max = 100;
  std::size_t target_bytes_max = 8 * 1024;
};

// How the request's body is delimited, and what it says about the connection.
struct Framing {
  bool chunked = false;
  std::uint64_t content_length = 0;  // When not chunked.
  bool keep_alive = true;
  bool expects_continue = false;

  bool has_body() const { return chunked || content_length > 0; }
};

struct Refusal {
  int status = 400;
  std::string why;  // For the client: one line, and no byte of the request in it.
  // Where a limit was passed, its name in the configuration.
  std::string_view limit{};
};

class RequestParser {
 public:
  enum class State { kNeedMore, kDone, kRefused };

  explicit RequestParser(const HeadLimits& limits) : limits_(limits) {}

  // `received` is everything since the start of this request, longer with each call. After kDone or
  // kRefused, not to be called again before reset().
  State parse(std::string_view received);

  // After kDone: how many bytes the head took; the body starts there.
  std::size_t consumed() const { return position_; }
  // After kDone, handed over once. After kRefused: as much of it as was read, valid or not.
  RequestHead take_head() { return std::move(head_); }
  const Framing& framing() const { return framing_; }

  // Gives up waiting for the rest: refused as 408.
  void time_out() { refuse(408, "the request did not come in time", "header"); }

  // After kRefused.
  const Refusal& refusal() const { return refusal_; }

  // Ready for the next request.
  void reset();

 private:
  // Each returns false after setting the refusal.
  bool refuse(int status, std::string why, std::string_view limit = {});
  bool may_start(std::string_view rest);
  bool take_line(std::string_view line);
  bool take_request_line(std::string_view line);
  bool take_version(std::string_view version);
  bool check_method();
  bool check_target();
  bool take_field(std::string_view line);
  bool within_limits(std::string_view received, std::size_t bytes);
  void note_request_line(std::string_view line);
  bool finish();
  bool check_host();
  bool check_length();
  bool check_coding();
  bool check_content_type();
  bool check_connection();

  const HeadLimits limits_;
  RequestHead head_;
  Framing framing_;
  Refusal refusal_;
  std::size_t line_start_ = 0;  // Of the first line that is not taken yet.
  std::size_t scanned_ = 0;     // No line feed between line_start_ and here.
  std::size_t position_ = 0;
  bool skipped_empty_line_ = false;
  bool in_fields_ = false;
  bool ended_ = false;
};

}  // namespace holdfast::http
