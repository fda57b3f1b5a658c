#include "proxy/upstream.h"

#include <utility>

namespace holdfast::proxy {
namespace {

// Graph's answers to guarded calls are empty or an error object; far more than that is not an
// answer that can be relied on.
constexpr std::size_t kAnswerBytesMax = 1024 * 1024;

ForwardResult without_answer(http::Progress progress, const Error& error) {
  const bool sent = progress != http::Progress::kNothingSent;
  return {.result = sent ? audit::CallResult::kUnknown : audit::CallResult::kNotSent,
          .response = std::nullopt,
          .reason = error.message};
}

}  // namespace

audit::CallResult result_of_status(int status) {
  if (status >= 200 && status < 300) return audit::CallResult::kExecuted;
  if (status >= 400 && status < 500 && status != 408) return audit::CallResult::kRefused;
  return audit::CallResult::kUnknown;
}

Task<ForwardResult> GraphUpstream::forward(audit::Receipt receipt) {
  std::string failure;
  try {
    co_return co_await send_once(std::move(receipt));
  } catch (const std::exception& thrown) {
    failure = thrown.what();
  }
  // Nobody can tell how far it got.
  const Error error{ErrorCode::kInternal, std::move(failure)};
  co_return without_answer(http::Progress::kSomeSent, error);
}

Task<ForwardResult> GraphUpstream::send_once(audit::Receipt receipt) {
  const SteadyTime send_before = receipt.send_before();
  audit::OutboundRequest request = std::move(receipt).take_request();
  const std::unique_ptr<http::Body> body = http::string_body(std::move(request.body));
  const http::Outgoing outgoing{.head = request.head,
                                .body = body.get(),
                                .traffic = http::Traffic::kGuarded,
                                .response_timeout = {},
                                .send_before = send_before,
                                .answer_timeout = answer_timeout_};
  http::SendResult sent = co_await client_.send(outgoing);
  if (!sent.response.ok()) co_return without_answer(sent.progress, sent.response.error());
  http::Response response = std::move(*sent.response);
  if (response.stream) {
    Result<std::string> content = co_await http::read_all(*response.stream, kAnswerBytesMax);
    response.stream.reset();
    if (!content.ok()) co_return without_answer(http::Progress::kSomeSent, content.error());
    response.content = std::move(*content);
  }
  const audit::CallResult result = result_of_status(response.status);
  co_return ForwardResult{.result = result, .response = std::move(response), .reason = {}};
}

Task<http::SendResult> GraphUpstream::pass(const http::RequestHead& head, http::Body* body,
                                           std::string_view address) {
  return client_.send({.head = head, .body = body, .address = address});
}

}  // namespace holdfast::proxy
