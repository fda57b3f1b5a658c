#include "http/tunnel.h"

#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include "base/encoding.h"
#include "http/stream.h"

namespace holdfast::http {
namespace {

using boost::asio::ip::tcp;

constexpr std::size_t kAnswerBytesMax = 8 * 1024;

// What stands in front of the target, when the proxy has answered with this head.
Status judge(std::string_view head) {
  const bool is_http = head.starts_with("HTTP/1.1 ") || head.starts_with("HTTP/1.0 ");
  const std::string_view status = head.substr(0, 12).substr(std::min<std::size_t>(head.size(), 9));
  const bool has_status = status.size() == 3 &&
                          status.find_first_not_of("0123456789") == std::string_view::npos &&
                          (head.substr(12, 1) == " " || head.substr(12, 1) == "\r");
  if (!is_http || !has_status) {
    return Error{ErrorCode::kInvalid, "the egress proxy does not answer as an HTTP proxy"};
  }
  if (status[0] == '2') return {};
  return Error{ErrorCode::kUnavailable,
               "the egress proxy refused the tunnel with status " + std::string(status)};
}

Task<Status> read_answer(Stream& stream, SteadyTime deadline) {
  std::string answer;
  std::array<char, 1024> buffer;
  for (;;) {
    const Result<std::size_t> read = co_await stream.read_some(buffer, deadline);
    if (!read.ok()) co_return Error{read.error().code, "egress proxy: " + read.error().message};
    if (*read == 0) co_return Error{ErrorCode::kUnavailable, "the egress proxy closed"};
    answer.append(buffer.data(), *read);
    const std::size_t end = answer.find("\r\n\r\n");
    if (end == std::string::npos && answer.size() <= kAnswerBytesMax) continue;
    Status judged = judge(answer);
    // Through a tunnel the target speaks second: more than the head is somebody else's.
    if (judged.ok() && end + 4 != answer.size()) {
      co_return Error{ErrorCode::kInvalid, "the egress proxy answered more than a tunnel's head"};
    }
    co_return judged;
  }
}

}  // namespace

std::string tunnel_request(const Origin& target, const std::string& credentials) {
  const bool is_ipv6 = target.host.find(':') != std::string::npos;
  const std::string authority =
      (is_ipv6 ? "[" + target.host + "]" : target.host) + ":" + target.port;
  std::string request = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!credentials.empty()) {
    request += "Proxy-Authorization: Basic " + to_base64(credentials) + "\r\n";
  }
  return request + "\r\n";
}

Task<Result<tcp::socket>> open_tunnel(tcp::socket socket, Watchdog& watchdog,
                                      const std::string& request, SteadyTime deadline) {
  const std::unique_ptr<Stream> stream = make_plain_stream(std::move(socket), watchdog);
  Pace pace(
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()));
  const Status sent = co_await stream->write_all(request, pace);
  if (!sent.ok()) co_return Error{sent.error().code, "egress proxy: " + sent.error().message};
  const Status answered = co_await read_answer(*stream, deadline);
  if (!answered.ok()) co_return answered.error();
  co_return std::move(stream->socket());
}

}  // namespace holdfast::http
