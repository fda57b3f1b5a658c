// Holdfast's own small questions to Graph: who a token belongs to, what names a mailbox has.
//
// They are GETs that change nothing, sent beside the client's call and never instead of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "base/result.h"
#include "base/task.h"
#include "http/message.h"

namespace holdfast::http {
class Client;
}

namespace holdfast::identity {

inline constexpr std::size_t kAnswerBytesMax = 64 * 1024;

struct GraphAnswer {
  int status = 0;
  http::Headers headers;  // Without hop-by-hop and framing headers.
  std::string body;       // At most as long as whoever asks takes.
};

// Used on one executor, like the client behind it.
class GraphLookup {
 public:
  virtual ~GraphLookup() = default;

  // One GET of `target` (origin form) with `bearer_token`, whatever the status of its answer.
  // kUnavailable, kTimeout: no complete answer. kLimit: an answer too long to be one of these, or
  // no connection free. kInvalid: not HTTP. The token must live until the answer is there.
  // `more` headers go with it.
  virtual Task<Result<GraphAnswer>> get(std::string target, const std::string& bearer_token,
                                        http::Headers more = {}) = 0;
};

// Asks over `client`, which must outlive it; the client's reserve for guarded calls serves these
// questions too.
class HttpGraphLookup final : public GraphLookup {
 public:
  HttpGraphLookup(http::Client& client, std::chrono::milliseconds timeout,
                  std::size_t answer_bytes_max = kAnswerBytesMax)
      : client_(client), timeout_(timeout), answer_bytes_max_(answer_bytes_max) {}

  Task<Result<GraphAnswer>> get(std::string target, const std::string& bearer_token,
                                http::Headers more = {}) override;

 private:
  http::Client& client_;
  const std::chrono::milliseconds timeout_;  // For the answer to one question.
  const std::size_t answer_bytes_max_;
};

}  // namespace holdfast::identity
