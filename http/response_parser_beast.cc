#include "http/response_parser_beast.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "base/encoding.h"
#include "http/syntax.h"

namespace holdfast::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::string_view;
using boost::system::error_code;

std::string_view view(string_view text) {
  return {text.data(), text.size()};
}

Error not_http(const error_code& error) {
  const bool limit = error == beast_http::error::header_limit;
  return {limit ? ErrorCode::kLimit : ErrorCode::kInvalid,
          "the answer is not valid HTTP: " + error.message()};
}

}  // namespace

class ResponseParser::Parser : public beast_http::basic_parser<false> {
 public:
  Parser(bool bodiless, std::size_t head_bytes_max) {
    header_limit(static_cast<std::uint32_t>(head_bytes_max));
    body_limit(boost::none);
    skip(bodiless);
  }

  // Beast throws on some oversized fields instead of reporting them.
  std::size_t put_bytes(std::string_view bytes, error_code& error) {
    try {
      return put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    } catch (const std::exception&) {
      error = beast_http::error::header_limit;
      return 0;
    }
  }

  Response response;
  std::span<char> output;  // Where content goes.
  std::size_t produced = 0;

 private:
  void on_request_impl(beast_http::verb, string_view, string_view, int, error_code&) override {}

  void on_response_impl(int code, string_view reason, int, error_code&) override {
    response.status = code;
    response.reason = view(reason);
  }

  void on_field_impl(beast_http::field field, string_view name, string_view value,
                     error_code& error) override {
    if (in_trailers_) return;
    // Beast takes `gzip, chunked` for chunked, and other codings for none at all.
    const bool coding = field == beast_http::field::transfer_encoding;
    if (coding && (response.headers.find("Transfer-Encoding") != nullptr ||
                   !ascii_iequals(view(value), "chunked"))) {
      error = beast_http::error::bad_transfer_encoding;
    }
    if (!is_field_value(view(value))) error = beast_http::error::bad_value;
    response.headers.add(std::string(view(name)), std::string(view(value)));
  }

  void on_header_impl(error_code&) override { in_trailers_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}

  std::size_t on_body_impl(string_view bytes, error_code& error) override {
    const std::size_t copied = std::min(bytes.size(), output.size() - produced);
    std::copy_n(bytes.data(), copied, output.data() + produced);
    produced += copied;
    if (copied < bytes.size()) error = beast_http::error::need_buffer;
    return copied;
  }

  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}

  std::size_t on_chunk_body_impl(std::uint64_t, string_view bytes, error_code& error) override {
    return on_body_impl(bytes, error);
  }

  void on_finish_impl(error_code&) override {}

  bool in_trailers_ = false;  // Fields after the head are trailers, and no one asked for them.
};

ResponseParser::ResponseParser(bool bodiless, std::size_t head_bytes_max)
    : parser_(std::make_unique<Parser>(bodiless, head_bytes_max)),
      head_bytes_max_(head_bytes_max) {}

ResponseParser::~ResponseParser() = default;

Result<std::size_t> ResponseParser::parse_head(std::string_view received) {
  std::size_t taken = 0;
  // Not eager: Beast returns after the status line and again behind the head.
  while (!has_head()) {
    error_code error;
    const std::size_t step = parser_->put_bytes(received.substr(taken), error);
    taken += step;
    if (error == beast_http::error::need_more) {
      if (received.size() - taken > head_bytes_max_) {
        return Error{ErrorCode::kLimit, "the answer's head is too large"};
      }
      break;
    }
    if (error) return not_http(error);
    if (step == 0) break;
  }
  return taken;
}

bool ResponseParser::has_head() const {
  return parser_->is_header_done();
}

Response ResponseParser::take_head() {
  Response head = std::move(parser_->response);
  const bool describes = parser_->skip() || head.status == 304;
  head.headers.remove_hop_by_hop();
  if (!describes) head.headers.remove("Content-Length");
  return head;
}

std::optional<std::uint64_t> ResponseParser::content_length() const {
  const auto length = parser_->content_length();
  if (!length) return std::nullopt;
  return *length;
}

bool ResponseParser::keep_alive() const {
  return parser_->keep_alive();
}

Result<ResponseParser::Content> ResponseParser::parse_content(std::string_view received,
                                                              std::span<char> output) {
  Content content;
  parser_->output = output;
  parser_->produced = 0;
  while (!done() && content.taken < received.size()) {
    error_code error;
    const std::size_t step = parser_->put_bytes(received.substr(content.taken), error);
    content.taken += step;
    content.produced = parser_->produced;
    if (error == beast_http::error::need_buffer) break;
    if (error == beast_http::error::need_more) {
      if (received.size() - content.taken > head_bytes_max_) {
        return Error{ErrorCode::kLimit, "a chunk's head is too large"};
      }
      break;
    }
    if (error) return not_http(error);
    if (step == 0) break;
  }
  return content;
}

Status ResponseParser::finish() {
  if (!parser_->got_some()) return Error{ErrorCode::kUnavailable, "closed without an answer"};
  error_code error;
  parser_->put_eof(error);
  if (error) return not_http(error);
  return {};
}

bool ResponseParser::done() const {
  return parser_->is_done();
}

}  // namespace holdfast::http
