// The strict decoder of chunked request bodies: no extensions, no trailers, bounded sizes. Pure and
// incremental: how the bytes were cut on their way changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace holdfast::http {

class ChunkedDecoder {
 public:
  enum class State { kMore, kDone, kInvalid };

  struct Step {
    std::size_t consumed = 0;  // Bytes of the input that need not be shown again.
    std::size_t produced = 0;  // Bytes of content at the front of the output.
  };

  // Decodes until the input or the room for content is used up, the body is complete or broken.
  // Input and output may not overlap.
  Step decode(std::string_view input, std::span<char> output);

  // kDone: the next byte belongs to the next request.
  State state() const;

 private:
  enum class Expect {
    kSize,
    kSizeEnd,
    kContent,
    kContentCr,
    kContentLf,
    kLastCr,
    kLastLf,
    kDone,
    kBroken
  };

  Expect expect_ = Expect::kSize;
  std::uint64_t size_ = 0;  // Of the chunk being read: what is left of it.
  int digits_ = 0;
};

}  // namespace holdfast::http
