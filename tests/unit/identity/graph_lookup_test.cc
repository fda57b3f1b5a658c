#include "identity/graph_lookup.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/uuid.h"
#include "http/client.h"
#include "http/server.h"

namespace holdfast::identity {
namespace {

// A stand-in for Graph: a real server with one answer, which keeps the head it was asked with.
class OneAnswer final : public http::Handler {
 public:
  OneAnswer(std::string body, http::RequestHead& asked) : body_(std::move(body)), asked_(asked) {}

  Task<http::Response> handle(http::Request request) override {
    asked_ = std::move(request.head);
    http::Response response;
    response.status = 403;
    response.headers = {{"Content-Type", "application/json"}, {"request-id", "r1"}};
    response.content = body_;
    co_return response;
  }
  Task<http::Response> refuse(http::Unreadable request) override {
    http::Response response;
    response.status = request.status;
    co_return response;
  }

 private:
  const std::string body_;
  http::RequestHead& asked_;
};

Result<GraphAnswer> ask(std::uint16_t port) {
  boost::asio::io_context context;
  std::optional<Result<GraphAnswer>> answer;
  {
    http::Client client(context.get_executor(),
                        {.origin = "http://127.0.0.1:" + std::to_string(port), .ca_file = ""});
    HttpGraphLookup lookup(client, std::chrono::seconds(10));
    const std::string token = "a.b.c";
    const auto entry = [&]() -> Task<void> {
      answer.emplace(co_await lookup.get("/v1.0/me?$select=id", token));
      context.stop();
    };
    boost::asio::co_spawn(context, entry, [](std::exception_ptr problem) {
      if (problem) std::rethrow_exception(problem);
    });
    context.run();
  }
  return std::move(*answer);
}

Result<GraphAnswer> ask_server(const std::string& body, http::RequestHead& asked) {
  auto server = http::Server::start({}, [&](const boost::asio::any_io_executor&) {
    return std::make_unique<OneAnswer>(body, asked);
  });
  if (!server.ok()) return server.error();
  return ask((*server)->port());
}

TEST(HttpGraphLookup, SendsTheTokenAndReturnsTheAnswerWhole) {
  http::RequestHead asked;
  const Result<GraphAnswer> answer = ask_server(R"({"error":{"code":"x"}})", asked);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 403);
  EXPECT_EQ(answer->body, R"({"error":{"code":"x"}})");
  EXPECT_EQ(answer->headers.get("request-id"), "r1");
  EXPECT_EQ(answer->headers.count("content-length"), 0U);
  EXPECT_EQ(asked.method, "GET");
  EXPECT_EQ(asked.target, "/v1.0/me?$select=id");
  EXPECT_EQ(asked.headers.get("authorization"), "Bearer a.b.c");
  EXPECT_EQ(asked.headers.get("accept"), "application/json");
  EXPECT_TRUE(parse_uuid(asked.headers.get("client-request-id")));
}

TEST(HttpGraphLookup, TakesTheLongestAnswerAndNoLonger) {
  http::RequestHead asked;
  EXPECT_TRUE(ask_server(std::string(kAnswerBytesMax, 'x'), asked).ok());
  const Result<GraphAnswer> answer = ask_server(std::string(kAnswerBytesMax + 1, 'x'), asked);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kLimit);
}

TEST(HttpGraphLookup, IsUnavailableWhenNobodyListens) {
  std::uint16_t port = 0;
  {
    http::RequestHead asked;
    auto server = http::Server::start({}, [&](const boost::asio::any_io_executor&) {
      return std::make_unique<OneAnswer>("", asked);
    });
    ASSERT_TRUE(server.ok());
    port = (*server)->port();
  }
  const Result<GraphAnswer> answer = ask(port);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::identity
