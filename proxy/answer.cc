#include "proxy/answer.h"

#include "graph/error.h"

namespace holdfast::proxy {

http::Response error_response(const ErrorAnswer& answer, const Call& call, WallTime now) {
  const graph::GraphError error{
      .code = answer.code,
      .message = answer.message,
      .request_id = call.request_id,
      .client_request_id = call.client_sent_request_id ? call.client_request_id : std::string(),
      .holdfast = answer.holdfast};
  http::Response response{.status = answer.status, .content = graph::error_body(error, now)};
  response.headers.add("Content-Type", "application/json");
  response.headers.add("request-id", error.request_id);
  if (call.client_sent_request_id) {
    response.headers.add("client-request-id", error.client_request_id);
  }
  response.headers.add("Date", to_http_date(now));
  for (const http::Header& header : answer.headers) {
    response.headers.add(header.name, header.value);
  }
  return response;
}

http::Response json_response(int status, const nlohmann::json& body) {
  http::Response response{.status = status, .content = body.dump() + "\n"};
  response.headers.add("Content-Type", "application/json");
  return response;
}

}  // namespace holdfast::proxy
