#include "http/proxy_protocol.h"

#include <gtest/gtest.h>

namespace holdfast::http {
namespace {

using namespace std::string_literals;
using Source = ProxyHeader::Source;
using HeaderState = ProxyHeader::State;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kIpv4Block = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb"s;
const std::string kIpv6Block =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x08\x30\x39\x01\xbb"s;
const std::string kTlv = "\x03\x00\x04\x01\x02\x03\x04"s;

std::string header(int command, int family, const std::string& block) {
  std::string bytes = kSignature;
  bytes += static_cast<char>(command);
  bytes += static_cast<char>(family);
  bytes += static_cast<char>(block.size() >> 8);
  bytes += static_cast<char>(block.size() & 0xFF);
  return bytes + block;
}

// A header in words, whatever the cuts.
std::string read(const std::string& bytes) {
  const ProxyHeader whole = parse_proxy_header(bytes);
  const std::size_t size = whole.state == HeaderState::kDone ? whole.size : bytes.size();
  for (std::size_t cut = 0; cut < size; ++cut) {
    const ProxyHeader part = parse_proxy_header(bytes.substr(0, cut));
    if (whole.state == HeaderState::kDone) {
      EXPECT_EQ(part.state, HeaderState::kNeedMore) << cut;
    }
    // Never more than what belongs to it: what follows is somebody else's to read.
    if (part.state == HeaderState::kNeedMore) {
      EXPECT_GT(part.size, cut);
      if (whole.state == HeaderState::kDone) {
        EXPECT_LE(part.size, whole.size);
      }
    }
  }
  switch (whole.state) {
    case HeaderState::kNeedMore:
      return "more, up to " + std::to_string(whole.size);
    case HeaderState::kInvalid:
      return "invalid: " + std::string(whole.why);
    case HeaderState::kDone:
      break;
  }
  EXPECT_LE(whole.size, bytes.size());
  if (whole.source == Source::kBalancer) return "balancer";
  if (whole.source == Source::kUnknown) return "unknown";
  return whole.address + " " + std::to_string(whole.port);
}

TEST(ProxyProtocol, NamesTheClient) {
  EXPECT_EQ(read(header(0x21, 0x11, kIpv4Block)), "192.0.2.1 12345");
  EXPECT_EQ(read(header(0x21, 0x21, kIpv6Block)), "2001:db8::7 12345");
  const std::string mapped = "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"s;
  EXPECT_EQ(read(header(0x21, 0x21, mapped + mapped + "\0\x01\0\x02"s)), "192.0.2.1 1");
}

TEST(ProxyProtocol, SkipsNotesAndWhatFollows) {
  EXPECT_EQ(read(header(0x21, 0x11, kIpv4Block + kTlv)), "192.0.2.1 12345");
  EXPECT_EQ(read(header(0x21, 0x11, kIpv4Block) + "GET / HTTP/1.1\r\n"), "192.0.2.1 12345");
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x11, kIpv4Block + kTlv) + "more").size, 16u + 12 + 7);
}

TEST(ProxyProtocol, KnowsWhenTheBalancerSpeaksForItself) {
  EXPECT_EQ(read(header(0x20, 0x00, "")), "balancer");
  EXPECT_EQ(read(header(0x20, 0x11, kIpv4Block)), "balancer");
  EXPECT_EQ(read(header(0x20, 0xff, "anything")), "balancer");
}

TEST(ProxyProtocol, TakesNoOtherFamilyForAnAddress) {
  for (const int family : {0x00, 0x01, 0x10, 0x12, 0x20, 0x22, 0x31, 0x32}) {
    EXPECT_EQ(read(header(0x21, family, std::string(216, 'x'))), "unknown") << family;
  }
  EXPECT_EQ(read(header(0x21, 0x00, "")), "unknown");
}

TEST(ProxyProtocol, RefusesEverythingElse) {
  EXPECT_TRUE(read("PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n").starts_with("invalid: no "));
  EXPECT_TRUE(read("GET / HTTP/1.1\r\n\r\n").starts_with("invalid: no "));
  EXPECT_TRUE(read("\x16\x03\x01\x02\x00").starts_with("invalid: no "));
  std::string damaged = header(0x21, 0x11, kIpv4Block);
  for (std::size_t at = 0; at < kSignature.size(); ++at) {
    std::string bytes = damaged;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    EXPECT_TRUE(read(bytes).starts_with("invalid: no ")) << at;
  }
  for (const int command : {0x00, 0x11, 0x01, 0x22, 0x2f, 0x31, 0xa1}) {
    EXPECT_EQ(read(header(command, 0x11, kIpv4Block)), "invalid: an unknown version or command");
  }
  for (const int family : {0x03, 0x13, 0x1f, 0x40, 0x41, 0xf1}) {
    EXPECT_EQ(read(header(0x21, family, kIpv4Block)),
              "invalid: an unknown address family or transport");
  }
}

TEST(ProxyProtocol, RefusesLengthsThatCannotBe) {
  EXPECT_EQ(read(header(0x21, 0x11, kIpv4Block.substr(1))), "invalid: too short for its addresses");
  EXPECT_EQ(read(header(0x21, 0x21, kIpv6Block.substr(1))), "invalid: too short for its addresses");
  const std::string longest(kProxyHeaderBytesMax - 16 - kIpv4Block.size(), 'x');
  EXPECT_EQ(read(header(0x21, 0x11, kIpv4Block + longest)), "192.0.2.1 12345");
  // Refused by its length, before the rest has come.
  const std::string too_long = header(0x21, 0x11, kIpv4Block + longest + "x");
  EXPECT_TRUE(read(too_long.substr(0, 16)).starts_with("invalid: longer"));
  EXPECT_TRUE(read(header(0x20, 0x00, std::string(0xffff, 'x'))).starts_with("invalid: longer"));
}

TEST(ProxyProtocol, WaitsForTheRest) {
  EXPECT_EQ(read(""), "more, up to 16");
  EXPECT_EQ(read(kSignature), "more, up to 16");
  EXPECT_EQ(read(header(0x21, 0x11, kIpv4Block).substr(0, 16)), "more, up to 28");
}

}  // namespace
}  // namespace holdfast::http
