// The request parser and the chunked decoder against arbitrary bytes in arbitrary pieces. Three
// checks at once: no crash; the same result however the bytes are cut, under wide limits and narrow
// ones; and what we accept, Beast, which gets the bytes whole, accepts with the same method,
// target, fields, framing and body. The other way round is not asked: refusing more is our purpose.
//
// An input is one or more requests, or the chunks of a body; behind them the cuts, from the last
// byte backwards: which limits, how many pieces, and the length of each.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/chunked.h"
#include "http/request_parser.h"

namespace {

namespace beast_http = boost::beast::http;
using holdfast::http::ChunkedDecoder;
using holdfast::http::Framing;
using holdfast::http::Header;
using holdfast::http::HeadLimits;
using holdfast::http::RequestHead;
using holdfast::http::RequestParser;

constexpr std::size_t kPiecesMax = 24;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// The lengths of pieces, over and over; none: the whole at once.
class Cuts {
 public:
  explicit Cuts(std::vector<std::size_t> lengths) : lengths_(std::move(lengths)) {}
  std::size_t next(std::size_t left) {
    if (lengths_.empty()) return left;
    return std::min(left, lengths_[at_++ % lengths_.size()]);
  }

 private:
  std::vector<std::size_t> lengths_;
  std::size_t at_ = 0;
};

struct Parsed {
  RequestParser::State state = RequestParser::State::kNeedMore;
  int status = 0;
  std::string why;
  std::size_t consumed = 0;
  RequestHead head;
  Framing framing;
};

Parsed parse(RequestParser& parser, std::string_view bytes, Cuts cuts) {
  Parsed parsed;
  std::size_t shown = 0;
  while (parsed.state == RequestParser::State::kNeedMore && shown < bytes.size()) {
    shown += cuts.next(bytes.size() - shown);
    parsed.state = parser.parse(bytes.substr(0, shown));
  }
  if (parsed.state == RequestParser::State::kRefused) {
    parsed.status = parser.refusal().status;
    parsed.why = parser.refusal().why;
  } else if (parsed.state == RequestParser::State::kDone) {
    parsed.consumed = parser.consumed();
    parsed.framing = parser.framing();
    parsed.head = parser.take_head();
  }
  return parsed;
}

// By lower-case name: those of one name in their order, the others in no matter which.
using Fields = std::multimap<std::string, std::pair<std::string, std::string>>;

void add(Fields& fields, std::string name, std::string value) {
  std::string lower = name;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  fields.emplace(std::move(lower), std::pair(std::move(name), std::move(value)));
}

Fields fields_of(const RequestHead& head) {
  Fields fields;
  for (const Header& field : head.headers) add(fields, field.name, field.value);
  return fields;
}

bool same(const Parsed& a, const Parsed& b) {
  if (a.state != b.state || a.status != b.status || a.why != b.why) return false;
  if (a.state != RequestParser::State::kDone) return true;
  return a.consumed == b.consumed && a.head.method == b.head.method &&
         a.head.target == b.head.target && a.head.minor_version == b.head.minor_version &&
         fields_of(a.head) == fields_of(b.head) && a.framing.chunked == b.framing.chunked &&
         a.framing.content_length == b.framing.content_length &&
         a.framing.keep_alive == b.framing.keep_alive &&
         a.framing.expects_continue == b.framing.expects_continue;
}

struct Decoded {
  ChunkedDecoder::State state = ChunkedDecoder::State::kMore;
  std::size_t consumed = 0;
  std::string content;
};

// `cuts` decides how much is shown, `rooms` how much content is asked for at once.
Decoded decode(std::string_view bytes, Cuts cuts, Cuts rooms) {
  ChunkedDecoder decoder;
  Decoded decoded;
  std::array<char, 256> output;
  std::size_t shown = 0;
  while (decoder.state() == ChunkedDecoder::State::kMore) {
    if (shown == decoded.consumed) {
      if (shown == bytes.size()) break;
      shown += cuts.next(bytes.size() - shown);
    }
    const auto step = decoder.decode(bytes.substr(decoded.consumed, shown - decoded.consumed),
                                     std::span(output).first(rooms.next(output.size())));
    require(step.consumed > 0, "the decoder makes progress");
    decoded.consumed += step.consumed;
    decoded.content.append(output.data(), step.produced);
  }
  decoded.state = decoder.state();
  return decoded;
}

Decoded decode_alike(std::string_view bytes, const Cuts& cuts) {
  Decoded whole = decode(bytes, Cuts({}), Cuts({}));
  const Decoded cut = decode(bytes, cuts, Cuts({}));
  const Decoded squeezed = decode(bytes, Cuts({}), cuts);
  const Decoded both = decode(bytes, cuts, cuts);
  for (const Decoded* other : {&cut, &squeezed, &both}) {
    require(whole.state == other->state, "cuts do not change what the decoder says");
    require(whole.content == other->content, "cuts do not change the content");
    require(whole.consumed == other->consumed, "cuts do not change where a body ends");
  }
  return whole;
}

// The body that follows the head; false when it is broken or incomplete.
bool take_body(std::string_view rest, const Framing& framing, const Cuts& cuts, std::string& body,
               std::size_t& consumed) {
  if (!framing.chunked) {
    if (rest.size() < framing.content_length) return false;
    consumed = static_cast<std::size_t>(framing.content_length);
    body = rest.substr(0, consumed);
    return true;
  }
  Decoded decoded = decode_alike(rest, cuts);
  consumed = decoded.consumed;
  body = std::move(decoded.content);
  return decoded.state == ChunkedDecoder::State::kDone;
}

// `message` is a head, and a body where that is complete.
void compare_with_beast(std::string_view message, const Parsed& parsed, const std::string* body) {
  // One empty line before the request is ours to skip; Beast does not.
  if (message.starts_with("\r\n")) message.remove_prefix(2);
  beast_http::request_parser<beast_http::string_body> oracle;
  oracle.eager(true);
  oracle.header_limit(1 << 20);
  oracle.body_limit(boost::none);
  boost::system::error_code error;
  const std::size_t taken =
      oracle.put(boost::asio::const_buffer(message.data(), message.size()), error);
  // Beast wants more where only the head is there.
  if (body == nullptr && error == beast_http::error::need_more) error = {};
  require(!error, "Beast accepts what we accept");
  require(oracle.is_header_done(), "Beast finds the head complete");
  const auto& request = oracle.get();
  require(std::string_view(request.method_string()) == parsed.head.method, "same method");
  require(std::string_view(request.target()) == parsed.head.target, "same target");
  require(request.version() == 10u + static_cast<unsigned>(parsed.head.minor_version),
          "same version");
  Fields fields;
  for (const auto& field : request) add(fields, field.name_string(), field.value());
  require(fields == fields_of(parsed.head), "same fields");
  require(oracle.chunked() == parsed.framing.chunked, "same coding");
  if (!parsed.framing.chunked) {
    require(oracle.content_length().value_or(0) == parsed.framing.content_length, "same length");
  }
  // To HTTP/1.0, Beast ignores a `close` beside a `keep-alive`.
  if (parsed.head.minor_version == 1 || parsed.framing.keep_alive) {
    require(oracle.keep_alive() == parsed.framing.keep_alive, "same fate of the connection");
  }
  if (body == nullptr) return;
  require(oracle.is_done() && taken == message.size(), "Beast ends the message where we do");
  require(request.body() == *body, "same body");
}

// One request after the other, as on one connection.
void check_requests(std::string_view bytes, const HeadLimits& limits, const Cuts& cuts) {
  RequestParser whole(limits);
  RequestParser pieces(limits);
  while (!bytes.empty()) {
    const Parsed parsed = parse(whole, bytes, Cuts({}));
    require(same(parsed, parse(pieces, bytes, cuts)), "cuts do not change what the parser says");
    if (parsed.state != RequestParser::State::kDone) return;
    require(parsed.consumed > 0, "a request has bytes");
    std::string body;
    std::size_t body_bytes = 0;
    const bool complete =
        take_body(bytes.substr(parsed.consumed), parsed.framing, cuts, body, body_bytes);
    compare_with_beast(bytes.substr(0, parsed.consumed + (complete ? body_bytes : 0)), parsed,
                       complete ? &body : nullptr);
    if (!complete) return;
    bytes.remove_prefix(parsed.consumed + body_bytes);
    whole.reset();
    pieces.reset();
  }
}

// The bytes as a chunked body, which few inputs would get to behind a head of their own.
void check_chunks(std::string_view bytes, const Cuts& cuts) {
  const Decoded decoded = decode_alike(bytes, cuts);
  if (decoded.state != ChunkedDecoder::State::kDone) return;
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  RequestParser parser{HeadLimits{}};
  const Parsed parsed = parse(parser, head, Cuts({}));
  compare_with_beast(head + std::string(bytes.substr(0, decoded.consumed)), parsed,
                     &decoded.content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider provider(data, size);
  HeadLimits limits;
  // Narrow ones are in reach of inputs of a few hundred bytes.
  if (const auto narrow = provider.ConsumeIntegral<std::uint8_t>(); narrow > 0) {
    limits = {.head_bytes_max = std::size_t{2} * narrow,
              .header_count_max = narrow % 8u,
              .target_bytes_max = narrow / 4u};
  }
  std::vector<std::size_t> lengths(provider.ConsumeIntegralInRange<std::size_t>(0, kPiecesMax));
  for (std::size_t& length : lengths) length = provider.ConsumeIntegralInRange<std::size_t>(1, 256);
  const Cuts cuts(std::move(lengths));
  const std::string bytes = provider.ConsumeRemainingBytesAsString();
  check_requests(bytes, limits, cuts);
  check_chunks(bytes, cuts);
  return 0;
}
