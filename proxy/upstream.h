// Microsoft Graph as the pipeline sees it: one way for guarded calls, which costs a Receipt, and
// one for everything else.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "audit/audit_log.h"
#include "base/task.h"
#include "http/client.h"

namespace holdfast::proxy {

// What came of a guarded call.
struct ForwardResult {
  audit::CallResult result = audit::CallResult::kUnknown;
  // Graph's answer with its whole body in `content`. Present unless the call was not sent or no
  // complete answer came.
  std::optional<http::Response> response;
  std::string reason;  // Why there is no usable answer, one line; empty when there is one.
};

// Belongs to one worker, like the pipeline that holds it.
class Upstream {
 public:
  virtual ~Upstream() = default;

  // Sends the recorded request, once. Never throws and never resends: from the first byte on, any
  // failure is kUnknown.
  virtual Task<ForwardResult> forward(audit::Receipt receipt) = 0;

  // Passes a request on that is not guarded; its body streams. `address` is whose share of the
  // connections it takes, see http::Outgoing. See http::SendResult.
  virtual Task<http::SendResult> pass(const http::RequestHead& head, http::Body* body,
                                      std::string_view address) = 0;
};

// kExecuted for 2xx; kRefused for 4xx other than 408; kUnknown for the rest: after a redirect, a
// request timeout or a server error Graph may have acted.
audit::CallResult result_of_status(int status);

class GraphUpstream final : public Upstream {
 public:
  // A guarded call whose answer is not complete `answer_timeout` after its head is unknown.
  // `client` must outlive this.
  GraphUpstream(http::Client& client, std::chrono::milliseconds answer_timeout)
      : client_(client), answer_timeout_(answer_timeout) {}

  Task<ForwardResult> forward(audit::Receipt receipt) override;
  Task<http::SendResult> pass(const http::RequestHead& head, http::Body* body,
                              std::string_view address) override;

 private:
  Task<ForwardResult> send_once(audit::Receipt receipt);

  http::Client& client_;
  const std::chrono::milliseconds answer_timeout_;
};

}  // namespace holdfast::proxy
