#include "http/chunked.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace holdfast::http::test {
namespace {

using ChunkState = ChunkedDecoder::State;

// The content, then "|" and what is left of the input; "!" when broken, "..." when not at the end.
std::string decode(std::string_view input, std::size_t piece, std::size_t room) {
  ChunkedDecoder decoder;
  std::string content;
  std::array<char, 64> output{};
  std::size_t used = 0, shown = 0;
  while (decoder.state() == ChunkState::kMore) {
    if (used == shown) {
      if (shown == input.size()) return content + "...";
      shown = std::min(input.size(), shown + piece);
    }
    const auto step =
        decoder.decode(input.substr(used, shown - used), std::span(output).first(room));
    used += step.consumed;
    content.append(output.data(), step.produced);
    if (step.consumed == 0 && decoder.state() == ChunkState::kMore) return content + " stuck";
  }
  if (decoder.state() == ChunkState::kInvalid) return content + "!";
  return content + "|" + std::string(input.substr(used));
}

void expect_decoded(std::string_view input, const std::string& expected) {
  for (std::size_t piece = 1; piece <= input.size() + 1; ++piece) {
    for (const std::size_t room : {1, 2, 64}) {
      EXPECT_EQ(decode(input, piece, room), expected)
          << input << " in pieces of " << piece << " with room for " << room;
    }
  }
}

TEST(ChunkedDecoder, DecodesWhateverTheCuts) {
  expect_decoded("0\r\n\r\n", "|");
  expect_decoded("3\r\nabc\r\n0\r\n\r\n", "abc|");
  expect_decoded("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET", "abcde|GET");
  expect_decoded("00A\r\n0123456789\r\n000\r\n\r\n", "0123456789|");
  expect_decoded("a\r\n0123456789\r\n0\r\n\r\n", "0123456789|");
  expect_decoded("2\r\n\r\n\r\n0\r\n\r\n", "\r\n|");
}

TEST(ChunkedDecoder, WaitsForTheRest) {
  expect_decoded("", "...");
  expect_decoded("3\r\nab", "ab...");
  expect_decoded("3\r\nabc\r\n0\r\n", "abc...");
  expect_decoded("3\r\nabc\r\n0\r\n\r", "abc...");
}

TEST(ChunkedDecoder, RefusesWhatOthersMightReadDifferently) {
  expect_decoded("3;a=b\r\nabc\r\n0\r\n\r\n", "!");  // Extension.
  expect_decoded("3 \r\nabc\r\n0\r\n\r\n", "!");     // White space.
  expect_decoded(" 3\r\nabc\r\n0\r\n\r\n", "!");
  expect_decoded("3\nabc\r\n0\r\n\r\n", "!");  // Bare LF.
  expect_decoded("3\rabc", "!");               // Bare CR.
  expect_decoded("3\r\nabc\n0\r\n\r\n", "abc!");
  expect_decoded("3\r\nabcd\r\n0\r\n\r\n", "abc!");  // Longer than said.
  expect_decoded("0\r\nA: b\r\n\r\n", "!");          // Trailer.
  expect_decoded("0\r\n\n", "!");
  expect_decoded("\r\n", "!");
  expect_decoded("0x3\r\nabc\r\n0\r\n\r\n", "!");
  expect_decoded("+3\r\nabc\r\n0\r\n\r\n", "!");
  expect_decoded("-3\r\nabc\r\n0\r\n\r\n", "!");
  expect_decoded("g\r\n", "!");
  expect_decoded("0000000000000003\r\nabc\r\n0\r\n\r\n",
                 "!");  // More digits than any number needs.
  expect_decoded("FFFFFFFFFFFFFFFF\r\n", "!");
}

}  // namespace
}  // namespace holdfast::http::test
