#include <gtest/gtest.h>

#include "http/client.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {
namespace {

class Echo : public Handler {
 public:
  Task<Response> handle(Request request) override {
    Response response;
    response.headers.add("Target", request.head.target);
    if (request.head.target == "/stream") {
      response.stream = std::move(request.body);
      co_return response;
    }
    auto content = co_await read_all(*request.body, 10'000'000);
    response.content = content.ok() ? *content : content.error().message;
    co_return response;
  }
  Response refuse(int status, const std::string& why) override {
    Response response;
    response.status = status;
    response.content = why;
    return response;
  }
};

TEST(ClientServer, AnswersAndReusesTheConnection) {
  auto server = Server::start({}, [](auto) { return std::make_unique<Echo>(); });
  ASSERT_TRUE(server.ok()) << server.error().message;
  Loop loop;
  Client client(loop.executor(),
                {.origin = "http://127.0.0.1:" + std::to_string((*server)->port())});
  for (int i = 0; i < 3; ++i) {
    const RequestHead head{.method = "POST", .target = "/a?b"};
    auto body = string_body("hello");
    SendResult sent = loop.run(client.send({.head = head, .body = body.get()}));
    ASSERT_TRUE(sent.response.ok()) << sent.response.error().message;
    EXPECT_EQ(sent.response->content, "hello");
  }
}

}  // namespace
}  // namespace holdfast::http::test
