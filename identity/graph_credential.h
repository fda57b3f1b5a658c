// Holdfast's own access to Graph, where it has any: for questions that nobody's call asks.
#pragma once

#include <string>

#include "base/result.h"
#include "base/task.h"
#include "http/client.h"
#include "identity/claims.h"

namespace holdfast::identity {

// Used by one coroutine at a time.
class GraphCredential {
 public:
  virtual ~GraphCredential() = default;

  // A token to ask Graph with. kNotFound, kInvalid: what holds the secret cannot be read. kRefused:
  // the authority does not know the application, or its secret is wrong. kUnavailable, kTimeout:
  // the authority does not answer.
  virtual Task<Result<BearerToken>> token() = 0;
};

// A token that something else keeps fresh in a file: its first line, read anew each time.
class TokenFile final : public GraphCredential {
 public:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}
  Task<Result<BearerToken>> token() override;

 private:
  const std::string path_;
};

// An application's id and secret (OAuth 2.0 client credentials); a new token each time.
class ClientCredentials final : public GraphCredential {
 public:
  struct Application {
    std::string tenant;
    std::string client_id;
    std::string secret_file;  // Its first line is the secret, read anew each time.
    std::string scope;        // https://graph.microsoft.com/.default
  };

  ClientCredentials(http::ClientOptions authority, Application application)
      : authority_(std::move(authority)), application_(std::move(application)) {}
  Task<Result<BearerToken>> token() override;

 private:
  const http::ClientOptions authority_;
  const Application application_;
};

}  // namespace holdfast::identity
