// The PROXY header's parser against arbitrary bytes: no crash, the same result however the bytes
// are cut, and never a byte too many asked for.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "http/proxy_protocol.h"

namespace {

using holdfast::http::kProxyHeaderBytesMax;
using holdfast::http::parse_proxy_header;
using holdfast::http::ProxyHeader;
using State = ProxyHeader::State;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Reads as a connection does: exactly what is asked for, until the header is whole.
ProxyHeader receive(std::string_view bytes) {
  std::size_t known = 0;
  for (;;) {
    const ProxyHeader header = parse_proxy_header(bytes.substr(0, known));
    if (header.state != State::kNeedMore) return header;
    require(header.size > known, "what is asked for is new");
    require(header.size <= kProxyHeaderBytesMax, "no more is asked for than a header may have");
    if (header.size > bytes.size()) return header;
    known = header.size;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyHeader whole = parse_proxy_header(bytes);
  const ProxyHeader received = receive(bytes);
  require(whole.state == received.state || received.state == State::kNeedMore,
          "the cuts do not matter");
  if (whole.state != State::kDone) return 0;
  require(received.state == State::kDone && received.size == whole.size, "the size is the same");
  require(received.address == whole.address && received.port == whole.port, "the same client");
  require(whole.size <= size, "a whole header is there");
  require(whole.address.empty() == (whole.source != ProxyHeader::Source::kClient),
          "an address where there is a client");
  return 0;
}
