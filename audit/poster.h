// POSTs small messages to one URL and waits for the answers: for threads that may block.
//
// One thread calls post(); interrupt() may come from any. No request is sent twice by itself.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/client.h"

namespace holdfast::audit {

struct PosterOptions {
  std::string url;                            // https://host[:port][/path], or http.
  std::string name{};                         // In messages, for a URL that is a secret.
  std::string ca_file;                        // PEM; empty: the system's store.
  std::chrono::milliseconds timeout{10'000};  // For one message, from the name to the answer's end.
};

struct Posted {
  int status = 0;
  std::string content_type;
  std::string body;  // At most 256 KiB.
};

class Poster {
 public:
  // kInvalid: no such URL.
  static Result<std::unique_ptr<Poster>> open(PosterOptions options);
  ~Poster();

  struct Message {
    std::string path;  // Behind the URL's own; empty or "/…".
    std::string content_type;
    std::string body;
    std::string bearer{};     // Token; empty: none.
    std::string signature{};  // Holdfast-Signature; empty: none.
  };
  // Whatever the status is. Errors: kUnavailable, kTimeout, kInvalid (not HTTP), kLimit (too long).
  // The other side may have acted all the same.
  Result<Posted> post(const Message& message);

  // Ends what waits and fails what comes, for good.
  void interrupt();

 private:
  Poster(PosterOptions options, http::ClientOptions client, std::string path);
  Task<Result<Posted>> exchange(const Message& message);

  const PosterOptions options_;
  const http::ClientOptions client_options_;
  const std::string path_;
  std::atomic<bool> interrupted_{false};
  boost::asio::io_context context_{1};
  std::unique_ptr<http::Client> client_;  // Made anew after it was abandoned.
};

}  // namespace holdfast::audit
