// Reads one response with Beast's parser, which is thorough about responses; requests are read by
// our own stricter one. Pure: bytes in, a head and then content out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace holdfast::http {

class ResponseParser {
 public:
  // `bodiless`: the answer to a HEAD request. `head_bytes_max` bounds the head, and each chunk's
  // extensions and the trailers.
  ResponseParser(bool bodiless, std::size_t head_bytes_max);
  ~ResponseParser();

  // Takes bytes of the head and stops behind it. `received` starts with every byte not taken so
  // far. Returns how many bytes were taken now. kInvalid: not HTTP; kLimit: too large.
  Result<std::size_t> parse_head(std::string_view received);
  bool has_head() const;

  // After has_head(). Status, reason and headers, the latter without framing and what concerns one
  // connection, but with Content-Length where there is no body for it to describe.
  Response take_head();
  std::optional<std::uint64_t> content_length() const;
  // Whether the connection may be used again after this response.
  bool keep_alive() const;

  struct Content {
    std::size_t taken = 0;     // Bytes of the input.
    std::size_t produced = 0;  // Bytes of content at the front of the output.
  };
  // After has_head(). Call again with what was not taken, and more behind it when nothing was.
  Result<Content> parse_content(std::string_view received, std::span<char> output);
  // The peer closed its side. kInvalid when the response was not complete.
  Status finish();
  bool done() const;

 private:
  class Parser;
  const std::unique_ptr<Parser> parser_;
  const std::size_t head_bytes_max_;
};

}  // namespace holdfast::http
