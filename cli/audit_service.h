// One audit service, as its shell commands ask it: one request at a time, each waited for.
#pragma once

#include <boost/asio/io_context.hpp>
#include <string>

#include "base/result.h"
#include "http/client.h"

namespace holdfast::cli {

struct ServiceAccess {
  std::string url;      // Scheme, host and port.
  std::string ca_file;  // Empty: the system's certificates.
  std::string token;    // Empty: none is sent.
};

struct ServiceAnswer {
  int status = 0;
  std::string content;
};

struct ServiceCall {
  std::string method = "GET";
  std::string target{};   // A path with its query.
  std::string accept{};   // What the answer should be.
  std::string content{};  // JSON; empty: no body.
};

// For one thread.
class AuditService {
 public:
  explicit AuditService(const ServiceAccess& access);

  // Errors name the service; an answer of any status is none.
  Result<ServiceAnswer> send(const ServiceCall& call);
  Result<ServiceAnswer> get(const std::string& target, const std::string& accept) {
    return send({.target = target, .accept = accept});
  }

  const std::string& url() const { return access_.url; }

 private:
  Task<void> exchange(const ServiceCall& call, Result<ServiceAnswer>& answer);

  const ServiceAccess access_;
  boost::asio::io_context context_{1};
  http::Client client_;
};

// What a refusal says in words: the problem's detail, or the status.
std::string refusal_text(const ServiceAnswer& answer);

// The first line of a file that holds a token; empty where there is none.
std::string token_in(const std::string& path);

}  // namespace holdfast::cli
