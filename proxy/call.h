// One request on its way through the pipeline: what is known of it before anything is decided.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/uuid.h"
#include "http/message.h"
#include "proxy/pipeline_metrics.h"

namespace holdfast::proxy {

struct Call {
  http::Request request;
  std::string source_ip;  // Of the client, behind trusted load balancers; empty: unknown.
  std::optional<std::string> content;  // The body, once it had to be read; else it still streams.
  Uuid operation_id;
  std::string request_id;         // Made here; the answer's request-id unless Graph gave one.
  std::string client_request_id;  // The client's, where usable; else request_id.
  bool client_sent_request_id = false;
  WallTime received;
  RequestKind kind = RequestKind::kLocal;  // As classified last.
};

Call begin_call(http::Request request, std::string source_ip, WallTime now);

}  // namespace holdfast::proxy
