#include "http/chunked.h"

#include <algorithm>

#include "base/encoding.h"

namespace holdfast::http {
namespace {

// 60 bits: no arithmetic on it can overflow, and no real chunk is larger.
constexpr int kDigitsMax = 15;

}  // namespace

ChunkedDecoder::State ChunkedDecoder::state() const {
  if (expect_ == Expect::kDone) return State::kDone;
  return expect_ == Expect::kBroken ? State::kInvalid : State::kMore;
}

ChunkedDecoder::Step ChunkedDecoder::decode(std::string_view input, std::span<char> output) {
  using enum Expect;
  Step step;
  const auto advance = [&](char wanted, Expect next) {
    expect_ = input[step.consumed] == wanted ? next : kBroken;
  };
  while (step.consumed < input.size() && expect_ != kDone && expect_ != kBroken) {
    if (expect_ == kContent) {
      const std::size_t room =
          std::min(input.size() - step.consumed, output.size() - step.produced);
      const auto copied = static_cast<std::size_t>(std::min<std::uint64_t>(room, size_));
      if (copied == 0) return step;
      std::copy_n(input.data() + step.consumed, copied, output.data() + step.produced);
      step.consumed += copied;
      step.produced += copied;
      size_ -= copied;
      if (size_ == 0) expect_ = kContentCr;
      continue;
    }
    const char c = input[step.consumed];
    switch (expect_) {
      case kSize:
        if (const int digit = hex_value(c); digit >= 0 && digits_ < kDigitsMax) {
          size_ = size_ * 16 + static_cast<std::uint64_t>(digit);
          ++digits_;
        } else {
          expect_ = c == '\r' && digits_ > 0 ? kSizeEnd : kBroken;
        }
        break;
      case kSizeEnd:
        advance('\n', size_ > 0 ? kContent : kLastCr);
        digits_ = 0;
        break;
      case kContentCr:
        advance('\r', kContentLf);
        break;
      case kContentLf:
        advance('\n', kSize);
        break;
      case kLastCr:
        advance('\r', kLastLf);
        break;
      case kLastLf:
        advance('\n', kDone);
        break;
      default:
        break;
    }
    ++step.consumed;
  }
  return step;
}

}  // namespace holdfast::http
