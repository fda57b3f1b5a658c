// The request parser and the chunked decoder against arbitrary bytes, three checks at once: no
// crash; the same result however the bytes are cut; and what we accept, Beast accepts with the same
// method, target and body. The other way round is not asked: refusing more is our purpose.
#include <algorithm>
#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/chunked.h"
#include "http/request_parser.h"

namespace {

namespace beast_http = boost::beast::http;
using holdfast::http::ChunkedDecoder;
using holdfast::http::Framing;
using holdfast::http::HeadLimits;
using holdfast::http::RequestHead;
using holdfast::http::RequestParser;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

struct Parsed {
  RequestParser::State state = RequestParser::State::kNeedMore;
  int status = 0;
  std::size_t consumed = 0;
  RequestHead head;
  Framing framing;
};

Parsed parse(std::string_view bytes, std::size_t first_piece) {
  RequestParser parser{HeadLimits{}};
  Parsed parsed;
  parsed.state = parser.parse(bytes.substr(0, first_piece));
  if (parsed.state == RequestParser::State::kNeedMore) parsed.state = parser.parse(bytes);
  if (parsed.state == RequestParser::State::kRefused) parsed.status = parser.refusal().status;
  if (parsed.state != RequestParser::State::kDone) return parsed;
  parsed.consumed = parser.consumed();
  parsed.framing = parser.framing();
  parsed.head = parser.take_head();
  return parsed;
}

struct Decoded {
  ChunkedDecoder::State state = ChunkedDecoder::State::kMore;
  std::size_t consumed = 0;
  std::string content;
};

Decoded decode(std::string_view bytes, std::size_t piece) {
  ChunkedDecoder decoder;
  Decoded decoded;
  std::array<char, 256> output;
  while (decoder.state() == ChunkedDecoder::State::kMore && decoded.consumed < bytes.size()) {
    const auto step = decoder.decode(bytes.substr(decoded.consumed, piece), output);
    require(step.consumed > 0, "the decoder makes progress");
    decoded.consumed += step.consumed;
    decoded.content.append(output.data(), step.produced);
  }
  decoded.state = decoder.state();
  return decoded;
}

// The body that follows the head, as far as it is there; false when it is broken or incomplete.
bool take_body(std::string_view rest, const Framing& framing, std::string& body,
               std::size_t& consumed) {
  if (!framing.chunked) {
    if (rest.size() < framing.content_length) return false;
    consumed = static_cast<std::size_t>(framing.content_length);
    body = rest.substr(0, consumed);
    return true;
  }
  const Decoded whole = decode(rest, rest.size());
  const Decoded bytewise = decode(rest, 1);
  require(whole.state == bytewise.state, "cuts do not change what the decoder says");
  require(whole.content == bytewise.content, "cuts do not change the content");
  consumed = whole.consumed;
  body = whole.content;
  return whole.state == ChunkedDecoder::State::kDone;
}

void compare_with_beast(std::string_view message, const Parsed& parsed, const std::string& body) {
  // One empty line before the request is ours to skip; Beast does not.
  if (message.starts_with("\r\n")) message.remove_prefix(2);
  beast_http::request_parser<beast_http::string_body> oracle;
  oracle.eager(true);
  oracle.header_limit(1 << 20);
  oracle.body_limit(boost::none);
  boost::system::error_code error;
  const std::size_t taken =
      oracle.put(boost::asio::const_buffer(message.data(), message.size()), error);
  require(!error, "Beast accepts what we accept");
  require(oracle.is_done() && taken == message.size(), "Beast ends the message where we do");
  const auto& request = oracle.get();
  require(std::string_view(request.method_string()) == parsed.head.method, "same method");
  require(std::string_view(request.target()) == parsed.head.target, "same target");
  require(request.body() == body, "same body");
  require(oracle.keep_alive() == parsed.framing.keep_alive, "same fate of the connection");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Parsed parsed = parse(bytes, bytes.size());
  const std::size_t cut = size == 0 ? 0 : data[size - 1] * size / 256;
  const Parsed again = parse(bytes, cut);
  require(parsed.state == again.state && parsed.status == again.status &&
              parsed.consumed == again.consumed,
          "cuts do not change what the parser says");
  if (parsed.state != RequestParser::State::kDone) return 0;
  std::string body;
  std::size_t body_bytes = 0;
  if (!take_body(bytes.substr(parsed.consumed), parsed.framing, body, body_bytes)) return 0;
  compare_with_beast(bytes.substr(0, parsed.consumed + body_bytes), parsed, body);
  return 0;
}
