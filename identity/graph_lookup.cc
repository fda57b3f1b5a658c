#include "identity/graph_lookup.h"

#include <utility>

#include "base/uuid.h"
#include "http/client.h"

namespace holdfast::identity {

Task<Result<GraphAnswer>> HttpGraphLookup::get(std::string target, const std::string& bearer_token,
                                               http::Headers more) {
  http::RequestHead head;
  head.method = "GET";
  head.target = std::move(target);
  head.headers.add("Authorization", "Bearer " + bearer_token);
  head.headers.add("Accept", "application/json");
  head.headers.add("Accept-Encoding", "identity");
  head.headers.add("client-request-id", to_string(make_uuid_v4()));
  head.headers.add("User-Agent", "holdfast");
  for (const http::Header& field : more) head.headers.add(field.name, field.value);

  // A guarded call waits for this answer, so it takes no connection that may be closing already.
  const http::Outgoing outgoing{
      .head = head, .traffic = http::Traffic::kGuarded, .response_timeout = timeout_};
  http::SendResult sent = co_await client_.send(outgoing);
  if (!sent.response.ok()) co_return sent.response.error();

  http::Response& response = *sent.response;
  GraphAnswer answer;
  answer.status = response.status;
  answer.headers = std::move(response.headers);
  answer.headers.remove_hop_by_hop();
  answer.headers.remove("content-length");
  if (!response.stream) {
    if (response.content.size() > answer_bytes_max_) {
      co_return Error{ErrorCode::kLimit, "Graph's answer is too long"};
    }
    answer.body = std::move(response.content);
    co_return answer;
  }
  Result<std::string> body = co_await http::read_all(*response.stream, answer_bytes_max_);
  if (!body.ok()) co_return body.error();
  answer.body = std::move(*body);
  co_return answer;
}

}  // namespace holdfast::identity
