// Turns message values into bytes. Framing is decided here and nowhere else; what a Response or
// RequestHead says about it is not repeated. Pure functions.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "http/message.h"

namespace holdfast::http {

enum class BodyFraming { kNone, kLength, kChunked, kUntilClose };

struct BodyPlan {
  BodyFraming framing = BodyFraming::kNone;
  std::uint64_t length = 0;  // With kLength.
};

// How to send the body of an answer to `method` from a client of HTTP/1.`minor_version`.
BodyPlan plan_response(const Response& response, std::string_view method, int minor_version);

enum class ConnectionHeader { kNone, kClose, kKeepAlive };

// The status line and headers, with the empty line. `date` is used where the response has none.
// Header fields with bytes that would end them early are left out. With no body to send, a
// Content-Length in the response is kept for HEAD and 304, which describe a body without having it.
void append_response_head(std::string& out, const Response& response, std::string_view method,
                          const BodyPlan& plan, ConnectionHeader connection, std::string_view date);

// The request line and headers for `authority`. False when the head holds bytes that would end a
// line early; nothing may be sent then.
bool append_request_head(std::string& out, const RequestHead& head, std::string_view authority,
                         const BodyPlan& plan);

// A body on its way from a source, block by block. The head of the message leaves with the first
// block, and each block has room in front for the head of its chunk, so content is never copied.
//
//   BodyBlock block(head, plan);
//   read = source.read(block.room()); write(block.frame(read)); ... until frame(0), the length or
//   a frame that was the last.
class BodyBlock {
 public:
  // `head` is not empty; `plan` is kLength, kChunked or kUntilClose.
  BodyBlock(std::string_view head, const BodyPlan& plan);

  // Where content goes. At least one byte.
  std::span<char> room();

  enum class More { kMaybe, kNo };

  // What to send for `size` bytes of content in room(); valid until the next call. 0 is the end,
  // and so is kNo, which says it in the same write.
  std::string_view frame(std::size_t size, More more = More::kMaybe);

 private:
  std::size_t head_size_;
  const bool chunked_;
  const std::size_t content_at_;
  const std::size_t room_;
  // Head, if chunked room for a chunk's head, content, room for its end. Not filled beforehand:
  // most of a small answer of unknown length never is.
  const std::unique_ptr<char[]> bytes_;
};

}  // namespace holdfast::http
