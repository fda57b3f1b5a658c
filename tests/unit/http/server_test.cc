#include "http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <mutex>
#include <semaphore>
#include <thread>
#include <tuple>
#include <utility>

#include "http/admission.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {
namespace {

using namespace std::chrono_literals;

// Content of unknown length, in blocks, and what is behind the last one: an end, an end that is
// known with the last block already, after which nobody may read, or a failure.
class Blocks : public Body {
 public:
  enum class End { kRead, kKnown, kFailure };
  Blocks(int count, End end) : left_(count), end_(end) {}
  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    if (left_ == 0 && end_ != End::kRead) co_return Error{ErrorCode::kUnavailable, "lost"};
    if (left_ == 0) co_return std::size_t{0};
    --left_;
    std::ranges::fill(buffer.first(4), 'b');
    co_return std::size_t{4};
  }
  std::optional<std::uint64_t> remaining() const override {
    if (left_ == 0 && end_ == End::kKnown) return 0;
    return std::nullopt;
  }

 private:
  int left_;
  const End end_;
};

// A value that a worker leaves for the test.
template <class T>
class Handed {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }
  T take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(value_, {});
  }

 private:
  std::mutex mutex_;
  T value_;
};

// Content without an end; counts what it was asked for.
class Endless : public Body {
 public:
  explicit Endless(std::atomic<std::size_t>& bytes) : bytes_(bytes) {}
  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    std::ranges::fill(buffer, 'e');
    bytes_ += buffer.size();
    co_return buffer.size();
  }
  std::optional<std::uint64_t> remaining() const override { return std::nullopt; }

 private:
  std::atomic<std::size_t>& bytes_;
};

// What the tests see of the handlers.
struct Seen {
  std::atomic<int> handled{0};
  std::counting_semaphore<> entered{0};
  std::counting_semaphore<> ended{0};
  Handed<std::string> refused_target;
  std::atomic<std::size_t> endless_bytes{0};
  std::function<void()> release;         // Lets what waits at /wait go on. Set before `entered`.
  std::counting_semaphore<> unblock{0};  // Does so for /block, which keeps the worker itself.
};

class TestHandler : public Handler {
 public:
  TestHandler(boost::asio::any_io_executor worker, Seen& seen) : worker_(worker), seen_(seen) {}

  Task<Response> handle(Request request) override {
    ++seen_.handled;
    const std::string target = request.head.target;
    Response response;
    response.headers.add("Target", target);
    if (target == "/echo") {
      const auto content = co_await read_all(*request.body, 10'000'000);
      response.content = content.ok() ? *content : "error: " + content.error().message;
    } else if (target == "/echo-stream") {
      response.stream = std::move(request.body);
    } else if (target == "/blocks") {
      response.stream = std::make_unique<Blocks>(3, Blocks::End::kRead);
    } else if (target == "/known") {
      response.stream = std::make_unique<Blocks>(3, Blocks::End::kKnown);
    } else if (target == "/broken") {
      response.stream = std::make_unique<Blocks>(3, Blocks::End::kFailure);
    } else if (target == "/throw") {
      throw std::runtime_error("on purpose");
    } else if (target == "/wait") {
      boost::asio::steady_timer gate(worker_, 1h);
      seen_.release = [this, &gate] { boost::asio::post(worker_, [&gate] { gate.cancel(); }); };
      seen_.entered.release();
      co_await gate.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      seen_.ended.release();
    } else if (target == "/block") {
      seen_.entered.release();
      seen_.unblock.acquire();
    } else if (target == "/endless") {
      response.stream = std::make_unique<Endless>(seen_.endless_bytes);
    } else if (target == "/none") {
      response.status = 204;
    } else {
      response.content = "hello";
    }
    co_return response;
  }

  Task<Response> refuse(Unreadable request) override {
    Response response;
    response.status = request.status;
    response.content = request.why;
    seen_.refused_target.put(request.head.target);
    co_return response;
  }

  void give_up() override {
    if (seen_.release) seen_.release();
  }

 private:
  const boost::asio::any_io_executor worker_;
  Seen& seen_;
};

class ServerTest : public testing::Test {
 protected:
  void start(ServerOptions options = {}) {
    auto started = Server::start(std::move(options), [this](auto worker) {
      return std::make_unique<TestHandler>(worker, seen_);
    });
    ASSERT_TRUE(started.ok()) << started.error().message;
    server_ = std::move(*started);
  }

  Raw connect() { return Raw::connect(server_->port()); }

  static std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
  }
  static std::string last(const std::string& target) {
    return get(target, "Connection: close\r\n");
  }
  static std::string post(const std::string& target, const std::string& fields,
                          const std::string& body) {
    return "POST " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body;
  }

  // What the server answers to these bytes until it closes, without its Date lines.
  std::string exchange(std::string_view bytes) {
    Raw raw = connect();
    raw.send(bytes);
    return without_dates(raw.read_all());
  }

  static std::string without_dates(std::string text) {
    for (std::size_t at; (at = text.find("Date: ")) != std::string::npos;) {
      text.erase(at, text.find("\r\n", at) + 2 - at);
    }
    return text;
  }

  static std::size_t count(std::string_view text, std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; ++at) ++found;
    return found;
  }

  Seen seen_;
  Metrics metrics_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersAndSaysWhenItCloses) {
  start();
  EXPECT_EQ(exchange(get("/a") + last("/b")),
            "HTTP/1.1 200 OK\r\nTarget: /a\r\nContent-Length: 5\r\n\r\nhello"
            "HTTP/1.1 200 OK\r\nTarget: /b\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
}

TEST_F(ServerTest, DatesItsAnswers) {
  start();
  Raw raw = connect();
  raw.send(get("/a"));
  EXPECT_NE(raw.read_until("\r\n\r\n").find("\r\nDate: "), std::string::npos);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  std::string requests, expected;
  for (int each = 0; each < 50; ++each) {
    const std::string body = "body " + std::to_string(each);
    requests += post("/echo", "Content-Length: " + std::to_string(body.size()) + "\r\n", body);
    expected += body + ";";
  }
  const std::string answers = exchange(requests + last("/end"));
  std::string bodies;
  for (std::size_t at = 0; (at = answers.find("body ", at)) != std::string::npos;) {
    const std::size_t end = std::min(answers.find("HTTP", at), answers.size());
    bodies += answers.substr(at, end - at) + ";";
    at = end;
  }
  EXPECT_EQ(bodies, expected);
}

TEST_F(ServerTest, TakesRequestsCutAnywhere) {
  start();
  const std::string request =
      post("/echo", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") +
      last("/b");
  const std::string expected = exchange(request);
  EXPECT_EQ(count(expected, "abcde"), 1u);
  for (std::size_t cut = 1; cut < request.size(); cut += 3) {
    Raw raw = connect();
    raw.send(request.substr(0, cut));
    raw.send(request.substr(cut));
    EXPECT_EQ(without_dates(raw.read_all()), expected) << "cut at " << cut;
  }
}

TEST_F(ServerTest, AnswersHeadWithoutBody) {
  start();
  EXPECT_EQ(exchange("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n" + last("/none")),
            "HTTP/1.1 200 OK\r\nTarget: /a\r\n\r\n"
            "HTTP/1.1 204 No Content\r\nTarget: /none\r\nConnection: close\r\n\r\n");
}

TEST_F(ServerTest, AsksToContinueOnlyWhenTheBodyIsRead) {
  start();
  Raw raw = connect();
  raw.send(post("/echo", "Content-Length: 3\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(raw.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send("abc");
  EXPECT_NE(raw.read_until("abc").find("200 OK"), std::string::npos);
  raw.send(post("/a", "Content-Length: 3\r\nExpect: 100-continue\r\n", ""));
  const std::string unread = raw.read_all();
  EXPECT_EQ(count(unread, "100 Continue"), 0u);
  EXPECT_EQ(count(unread, "Connection: close"), 1u);
}

TEST_F(ServerTest, SpeaksToHttp10) {
  start();
  EXPECT_EQ(exchange("GET /blocks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nTarget: /blocks\r\nConnection: close\r\n\r\nbbbbbbbbbbbb");
  EXPECT_EQ(exchange("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nTarget: /a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n"
            "helloHTTP/1.1 200 OK\r\nTarget: /b\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
            "hello");
}

TEST_F(ServerTest, StreamsBothWays) {
  start();
  for (const std::string target : {"/blocks", "/known"}) {
    EXPECT_EQ(exchange(last(target)),
              "HTTP/1.1 200 OK\r\nTarget: " + target +
                  "\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "4\r\nbbbb\r\n4\r\nbbbb\r\n4\r\nbbbb\r\n0\r\n\r\n");
  }
  const std::string large(1'000'000, 'x');
  const std::string echoed =
      exchange(post("/echo-stream", "Content-Length: 1000000\r\nConnection: close\r\n", large));
  EXPECT_EQ(count(echoed, "Content-Length: 1000000\r\n"), 1u);
  EXPECT_TRUE(echoed.ends_with("\r\n\r\n" + large));
}

TEST_F(ServerTest, ResetsAnAnswerThatItCannotComplete) {
  start();
  const std::string broken = exchange(get("/broken"));
  EXPECT_TRUE(broken.ends_with("<reset>")) << broken;
  EXPECT_EQ(count(broken, "0\r\n\r\n"), 0u);
}

TEST_F(ServerTest, ReadsAwayABodyThatNobodyWants) {
  start();
  const std::string answers =
      exchange(post("/a", "Content-Length: 3\r\n", "abc") +
               post("/a", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n") + last("/b"));
  EXPECT_EQ(count(answers, "200 OK"), 3u);
  EXPECT_EQ(count(answers, "Connection: close"), 1u);
}

TEST_F(ServerTest, ClosesOverABodyThatDoesNotEnd) {
  start();
  const std::string answer = exchange(post("/a", "Content-Length: 100000000\r\n", "abc"));
  EXPECT_EQ(count(answer, "Connection: close"), 1u) << answer;
  EXPECT_TRUE(answer.ends_with("hello")) << answer;
}

// One answer refuses the body for its length, the other comes before any of it is read.
TEST_F(ServerTest, AClientThatSendsAWholeBodyBeforeItReadsGetsTheAnswer) {
  start({.body_bytes_max = 16 * 1024 * 1024});
  const std::string large(16 * 1024 * 1024, 'x');  // More than all buffers on the way hold.
  for (const auto& [length, status, content] :
       {std::tuple("16777217", "413 ", "the body is too large"),
        std::tuple("16777216", "200 ", "hello")}) {
    Raw raw = connect();
    EXPECT_TRUE(raw.send(post("/a", "Content-Length: " + std::string(length) + "\r\n", "")));
    EXPECT_TRUE(raw.send(large)) << length;
    const std::string answer = raw.read_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + std::string(status))) << answer;
    EXPECT_TRUE(answer.ends_with(content)) << answer;
  }
}

TEST_F(ServerTest, DoesNotWaitLongForTheRestOfABodyThatNobodyWants) {
  const std::string refused = post("/a", "Content-Length: 100000000\r\n", "");
  const std::string block(64 * 1024, 'x');
  enum class Client { kSilent, kSendingOn };
  struct Row {
    Client client;
    std::chrono::milliseconds timeout;
    std::chrono::milliseconds silence_max;
  };
  for (const Row& row : {Row{Client::kSilent, 1h, 50ms}, Row{Client::kSilent, 50ms, 1h},
                         Row{Client::kSendingOn, 50ms, 1h}}) {
    start({.connections_max = 1,
           .body_bytes_max = 10,
           .linger_timeout = row.timeout,
           .linger_silence_max = row.silence_max});
    Raw raw = connect();
    raw.send(refused);
    EXPECT_TRUE(raw.read_all().ends_with("the body is too large"));
    const auto give_up_at = std::chrono::steady_clock::now() + 10s;
    const auto in_time = [&] { return std::chrono::steady_clock::now() < give_up_at; };
    while (row.client == Client::kSendingOn && raw.send(block) && in_time()) continue;
    // Only once it is over is there room for another.
    std::string answer;
    while (!answer.ends_with("hello") && in_time()) answer = exchange(last("/a"));
    EXPECT_TRUE(answer.ends_with("hello")) << answer;
  }
}

TEST_F(ServerTest, WhoSendsOnAfterTheAnswerHoldsNoPlaceAmongRequests) {
  start({.requests_in_flight_max = 1,
         .body_bytes_max = 10,
         .linger_timeout = 1h,
         .linger_silence_max = 1h,
         .metrics = &metrics_});
  Raw raw = connect();
  raw.send(post("/a", "Content-Length: 100000000\r\n", ""));
  EXPECT_TRUE(raw.read_all().ends_with("the body is too large"));
  EXPECT_TRUE(exchange(last("/a")).ends_with("hello"));
  EXPECT_GE(metrics_.gauge("holdfast_connections", "").value(), 1);
}

TEST_F(ServerTest, DrainsWithoutWaitingForARestThatNobodyWants) {
  start({.body_bytes_max = 10, .linger_timeout = 1h, .linger_silence_max = 1h});
  const std::string refused = post("/a", "Content-Length: 100000000\r\n", "");
  Raw silent = connect();
  silent.send(refused);
  EXPECT_TRUE(silent.read_all().ends_with("the body is too large"));
  Raw sending = connect();
  sending.send(refused);
  EXPECT_TRUE(sending.read_all().ends_with("the body is too large"));
  std::thread on([&sending] {
    const std::string block(64 * 1024, 'x');
    while (sending.send(block)) continue;
  });
  EXPECT_TRUE(server_->drain(60s));
  server_.reset();  // Whatever comes of the drain, the thread ends.
  on.join();
}

TEST_F(ServerTest, NeverTakesAUnreadBodyForARequest) {
  start();
  const std::string smuggled = get("/smuggled");
  const std::string answers =
      exchange(post("/a", "Content-Length: " + std::to_string(smuggled.size()) + "\r\n", smuggled) +
               last("/b"));
  EXPECT_EQ(count(answers, "/smuggled"), 0u);
  EXPECT_EQ(seen_.handled, 2);
}

TEST_F(ServerTest, RefusesOnceAndServesNothingBehind) {
  start();
  const std::string answer = exchange("GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n" + get("/a"));
  EXPECT_EQ(answer,
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 37\r\n\r\n"
            "there must be exactly one Host header");
  EXPECT_EQ(seen_.handled, 0);
}

TEST_F(ServerTest, TellsItsHandlerWhatARefusedRequestAskedFor) {
  start();
  for (const char* asked :
       {"POST /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "post /a#b HTTP/1.1\r\n\r\n", "POST /a#b\r\n\r\n",
        "POST\t/a#b HTTP/1.1\r\nHost: h\r\n\r\n", " POST /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /a#b HTTP/1.1\nHost: h\n\n"}) {
    seen_.refused_target.put("");
    EXPECT_TRUE(exchange(asked).starts_with("HTTP/1.1 400 ")) << asked;
    EXPECT_EQ(seen_.refused_target.take(), "/a#b") << asked;
  }
  const std::string line = "POST /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n";
  EXPECT_TRUE(exchange(line).starts_with("HTTP/1.1 414 "));
  EXPECT_TRUE(seen_.refused_target.take().starts_with("/aaaa"));
}

TEST_F(ServerTest, RefusesABrokenChunkedBodyAndCloses) {
  start();
  const std::string answer = exchange(
      post("/echo", "Transfer-Encoding: chunked\r\n", "3;x\r\nabc\r\n0\r\n\r\n") + get("/a"));
  EXPECT_EQ(count(answer, "HTTP/1.1"), 1u) << answer;
  EXPECT_EQ(count(answer, "Connection: close"), 1u) << answer;
  EXPECT_EQ(seen_.handled, 1);
}

TEST_F(ServerTest, AnswersWhatWasThrownWith500AndCloses) {
  start();
  const std::string answer = exchange(get("/throw") + get("/a"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 ")) << answer;
  EXPECT_EQ(count(answer, "HTTP/1.1"), 1u);
  EXPECT_EQ(count(answer, "on purpose"), 0u);
}

TEST_F(ServerTest, RefusesARequestThatDoesNotCome) {
  start({.header_timeout = 50ms, .idle_timeout = 10s});
  Raw raw = connect();
  raw.send("GET / HTT");
  EXPECT_TRUE(raw.read_all().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
}

TEST_F(ServerTest, ClosesIdleConnectionsWithoutAWord) {
  start({.idle_timeout = 50ms, .metrics = &metrics_});
  Raw raw = connect();
  EXPECT_EQ(raw.read_all(), "");
  EXPECT_EQ(metrics_.refused_by("idle").value(), 1u);
  Raw served = connect();
  served.send(get("/a"));
  EXPECT_TRUE(served.read_all().ends_with("hello"));
  EXPECT_EQ(metrics_.refused_by("idle").value(), 2u);
  connect().finish();  // A client that closes is not one that is closed.
  EXPECT_TRUE(server_->drain(60s));
  EXPECT_EQ(metrics_.refused_by("idle").value(), 2u);
}

TEST_F(ServerTest, GivesUpOnABodyThatDoesNotCome) {
  start({.body_timeout = 50ms, .metrics = &metrics_});
  const std::string answer = exchange(post("/echo", "Content-Length: 9\r\n", "abc"));
  EXPECT_EQ(count(answer, "error: the peer was too slow"), 1u) << answer;
  EXPECT_EQ(count(answer, "Connection: close"), 1u);
  EXPECT_EQ(metrics_.refused_by("body").value(), 1u);
}

TEST_F(ServerTest, GivesUpOnASilentHandshake) {
  const Certificate& own = certificate_for_loopback();
  start({.tls = {.certificate_file = own.certificate_file, .key_file = own.key_file},
         .handshake_timeout = 50ms,
         .metrics = &metrics_});
  Raw raw = connect();
  EXPECT_EQ(raw.read_all(), "");
  EXPECT_EQ(metrics_.refused_by("handshake").value(), 1u);
}

TEST_F(ServerTest, GivesUpOnAClientThatDoesNotRead) {
  start({.write_timeout = 50ms, .metrics = &metrics_});
  const std::string large(9'000'000, 'x');
  Raw raw = connect();
  raw.send(post("/echo", "Content-Length: 9000000\r\n", large));
  // Only now, after the server has given up, is the answer read.
  EXPECT_TRUE(server_->drain(60s));
  EXPECT_TRUE(raw.read_all().ends_with("<reset>"));
  EXPECT_EQ(metrics_.refused_by("write").value(), 1u);
}

TEST_F(ServerTest, FinishesARequestWhoseClientIsGone) {
  start();
  {
    Raw raw = connect();
    raw.send(get("/wait"));
    seen_.entered.acquire();
    raw.reset();
  }
  seen_.release();
  EXPECT_TRUE(seen_.ended.try_acquire_for(60s));
}

TEST_F(ServerTest, DrainsWhatIsInFlight) {
  start();
  Raw busy = connect();
  busy.send(get("/wait") + get("/never"));
  seen_.entered.acquire();
  Raw idle = connect();
  idle.send(get("/a"));
  EXPECT_NE(idle.read_until("hello").find("200 OK"), std::string::npos);
  auto drained = std::async(std::launch::async, [&] { return server_->drain(60s); });
  EXPECT_EQ(idle.read_all(), "");
  seen_.release();
  const std::string answer = busy.read_all();
  EXPECT_EQ(count(answer, "200 OK"), 1u) << answer;
  EXPECT_EQ(count(answer, "Connection: close"), 1u) << answer;
  EXPECT_TRUE(drained.get());
  EXPECT_EQ(seen_.handled, 2);
  EXPECT_THROW(connect(), std::runtime_error);
}

TEST_F(ServerTest, ServesWhoConnectedBeforeTheDrain) {
  start({.first_request_grace = 1h});
  // More than the listener has accepted by then: the rest waits in the kernel's backlog.
  std::vector<Raw> clients;
  for (int each = 0; each < 300; ++each) {
    clients.push_back(connect());
    clients.back().send(get("/a"));
  }
  EXPECT_TRUE(server_->drain(60s));
  for (Raw& client : clients) {
    const std::string answer = client.read_all();
    ASSERT_EQ(count(answer, "200 OK"), 1u) << answer;
  }
}

TEST_F(ServerTest, WaitsForAFirstRequest) {
  start({.first_request_grace = 1h});
  Raw late = connect();
  EXPECT_FALSE(server_->drain(50ms));
  late.send(get("/a"));
  const std::string answer = late.read_all();
  EXPECT_EQ(count(answer, "200 OK"), 1u) << answer;
  EXPECT_EQ(count(answer, "Connection: close"), 1u) << answer;
  EXPECT_TRUE(server_->drain(60s));
}

TEST_F(ServerTest, WaitsForAFirstRequestButNotForLong) {
  start({.first_request_grace = 50ms});
  Raw silent = connect();
  EXPECT_TRUE(server_->drain(60s));
  EXPECT_EQ(silent.read_all(), "");
}

// The worker learns that the time for first requests is over before it looks at what came in time.
TEST_F(ServerTest, TakesAFirstRequestThatCameInTime) {
  constexpr auto kGrace = 300ms;
  const std::string header("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);  // Of a balancer's own.
  for (const std::string& front : {std::string(), header}) {
    const bool fronted = !front.empty();
    start({.sends_proxy_header = [=](const std::string&) { return fronted; },
           .first_request_grace = kGrace});
    Raw idle = connect();
    idle.send(front + get("/a"));
    idle.read_until("hello");
    Raw first = connect();
    Raw second = connect();
    Raw last = connect();
    EXPECT_FALSE(server_->drain(0ms));
    EXPECT_EQ(idle.read_all(), "");  // The time runs.
    first.send(front + get("/block"));
    seen_.entered.acquire();
    second.send(front + get("/block"));
    EXPECT_FALSE(server_->drain(kGrace));
    // Now it finds both the second one and the end of the time, in that order.
    seen_.unblock.release();
    seen_.entered.acquire();
    last.send(front + get("/a"));
    seen_.unblock.release();
    const std::string answer = last.read_all();
    EXPECT_EQ(count(answer, "200 OK"), 1u) << answer;
    EXPECT_TRUE(server_->drain(60s));
  }
}

TEST_F(ServerTest, WaitsForAHandshakeButNotForLong) {
  const Certificate& own = certificate_for_loopback();
  start({.tls = {.certificate_file = own.certificate_file, .key_file = own.key_file},
         .handshake_timeout = 1h,
         .first_request_grace = 50ms,
         .metrics = &metrics_});
  Raw silent = connect();
  EXPECT_TRUE(server_->drain(60s));
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(metrics_.refused_by("handshake").value(), 0u);
}

TEST_F(ServerTest, WaitsForTheRestOfARequestThatHasBegun) {
  start();
  Raw raw = connect();
  raw.send(get("/a"));
  raw.read_until("hello");
  raw.send("GET /b HT");
  EXPECT_FALSE(server_->drain(50ms));
  raw.send("TP/1.1\r\nHost: h\r\n\r\n");
  const std::string answer = raw.read_all();
  EXPECT_EQ(count(answer, "Target: /b"), 1u) << answer;
  EXPECT_EQ(count(answer, "Connection: close"), 1u) << answer;
  EXPECT_TRUE(server_->drain(60s));
}

TEST_F(ServerTest, AnswersWhatItGivesUp) {
  start();
  Raw busy = connect();
  busy.send(get("/wait"));
  seen_.entered.acquire();
  Raw uploading = connect();
  uploading.send(post("/echo", "Content-Length: 9\r\n", "abc"));
  EXPECT_FALSE(server_->drain(50ms));
  server_->give_up();
  EXPECT_EQ(count(busy.read_all(), "200 OK"), 1u);
  EXPECT_EQ(count(uploading.read_all(), "error: the connection was closed here"), 1u);
  EXPECT_TRUE(server_->drain(60s));
}

TEST_F(ServerTest, GivesUpOnWhoDoesNotTakeItsAnswer) {
  start({.write_timeout = 1h});
  Raw raw = connect();
  raw.send(post("/echo", "Content-Length: 9000000\r\n", std::string(9'000'000, 'x')));
  EXPECT_FALSE(server_->drain(100ms));
  server_->give_up();
  EXPECT_TRUE(server_->drain(60s));
}

TEST_F(ServerTest, SaysWhenItCouldNotDrain) {
  start();
  Raw busy = connect();
  busy.send(get("/wait"));
  seen_.entered.acquire();
  EXPECT_FALSE(server_->drain(50ms));
  // Destroyed with a request in flight: it ends, and nothing is touched after it.
  server_.reset();
  EXPECT_EQ(count(busy.read_all(), "200 OK"), 0u);
}

TEST_F(ServerTest, RefusesConnectionsBeyondTheLimit) {
  start({.connections_max = 1});
  Raw first = connect();
  first.send(get("/a"));
  first.read_until("hello");
  Raw second = connect();
  EXPECT_EQ(second.read_until("x").find("200"), std::string::npos);
  first.send(get("/a"));
  EXPECT_NE(first.read_until("hello").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, RefusesConnectionsOfOneAddressBeyondTheLimit) {
  start({.connections_per_address_max = 1, .metrics = &metrics_});
  Raw first = connect();
  first.send(get("/a"));
  first.read_until("hello");
  Raw second = connect();
  EXPECT_EQ(second.read_until("x").find("200"), std::string::npos);
  EXPECT_EQ(metrics_.refused_by("connections_per_address").value(), 1u);
  EXPECT_EQ(metrics_.gauge("holdfast_connections", "").value(), 1);
}

TEST_F(ServerTest, AConnectionThatEndsMakesRoomForAnother) {
  start({.connections_max = 1, .connections_per_address_max = 1});
  for (int each = 0; each < 20; ++each) {
    // The next may come before the server has seen the end of the last.
    std::string answer;
    for (int attempt = 0; attempt < 1'000 && answer.empty(); ++attempt) {
      Raw raw = connect();
      raw.send(last("/a"));
      answer = raw.read_all();
      if (!answer.starts_with("HTTP")) answer.clear();
    }
    ASSERT_TRUE(answer.ends_with("hello"));
  }
}

TEST_F(ServerTest, DoesNotCountAddressesThatManyShare) {
  start({.connections_per_address_max = 1,
         .shares_address = [](const std::string& address) { return address == "127.0.0.1"; }});
  Raw first = connect();
  first.send(get("/a"));
  first.read_until("hello");
  Raw second = connect();
  second.send(get("/a"));
  EXPECT_NE(second.read_until("hello").find("200 OK"), std::string::npos);
}

TEST(AddressGroup, IsAnAddressOrAnIpv6Network) {
  EXPECT_EQ(address_group("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(address_group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(address_group("nonsense"), "nonsense");
}

TEST_F(ServerTest, RefusesRequestsBeyondThoseInFlight) {
  start({.shares_address = [](const std::string& address) { return address == "127.0.0.1"; },
         .requests_in_flight_max = 1,
         .metrics = &metrics_});
  Raw busy = connect();
  busy.send(get("/wait"));
  seen_.entered.acquire();
  Raw other = connect();
  other.send(get("/a"));
  EXPECT_TRUE(other.read_until("answered").starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(seen_.refused_target.take(), "/a");
  EXPECT_EQ(metrics_.refused_by("requests_in_flight").value(), 1u);
  EXPECT_EQ(metrics_.refused_by("requests_in_flight_per_address").value(), 0u);
  seen_.release();
  EXPECT_NE(busy.read_until("\r\n\r\n").find("200 OK"), std::string::npos);
  EXPECT_TRUE(seen_.ended.try_acquire_for(10s));
  // The same connection is served once there is room.
  std::string answer;
  for (int attempt = 0; attempt < 1'000 && answer.find("200 OK") == std::string::npos; ++attempt) {
    other.send(get("/a"));
    answer = other.read_until("\r\n\r\n");
    answer += other.read_until(answer.find("200 OK") == std::string::npos ? "answered" : "hello");
  }
  EXPECT_NE(answer.find("hello"), std::string::npos) << answer;
}

// What a load balancer puts in front of a connection of 192.0.2.<last>.
std::string proxy_header_of(char last) {
  using namespace std::string_literals;
  return "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\x00\x02"s + last +
         "\xc6\x33\x64\x02\x30\x39\x01\xbb"s;
}

TEST_F(ServerTest, GivesOneAddressAQuarterOfTheRequestsInFlight) {
  start({.sends_proxy_header = [](const std::string&) { return true; },
         .requests_in_flight_max = 7,
         .metrics = &metrics_});
  Raw busy = connect();
  busy.send(proxy_header_of(1) + get("/wait"));
  seen_.entered.acquire();
  Raw same = connect();
  same.send(proxy_header_of(1) + get("/a"));
  EXPECT_TRUE(same.read_until("answered").starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(seen_.refused_target.take(), "/a");
  EXPECT_EQ(metrics_.refused_by("requests_in_flight_per_address").value(), 1u);
  EXPECT_EQ(metrics_.refused_by("requests_in_flight").value(), 0u);
  Raw other = connect();
  other.send(proxy_header_of(2) + get("/a"));
  EXPECT_NE(other.read_until("hello").find("200 OK"), std::string::npos);
  seen_.release();
  EXPECT_NE(busy.read_until("\r\n\r\n").find("200 OK"), std::string::npos);
  EXPECT_TRUE(seen_.ended.try_acquire_for(10s));
  // The same connection is served once there is room.
  std::string answer;
  for (int attempt = 0; attempt < 1'000 && answer.find("200 OK") == std::string::npos; ++attempt) {
    same.send(get("/a"));
    answer = same.read_until("\r\n\r\n");
    answer += same.read_until(answer.find("200 OK") == std::string::npos ? "answered" : "hello");
  }
  EXPECT_NE(answer.find("hello"), std::string::npos) << answer;
}

TEST_F(ServerTest, AnswersWhatNeedsNoPlaceHoweverBusyItIs) {
  start({.requests_in_flight_max = 1,
         .needs_no_place = [](const std::string& target) { return target == "/alive"; },
         .body_bytes_max = 10,
         .metrics = &metrics_});
  Raw busy = connect();
  busy.send(get("/wait"));
  seen_.entered.acquire();
  EXPECT_TRUE(exchange(last("/alive")).ends_with("hello"));
  EXPECT_TRUE(exchange(last("/alive?")).starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(exchange(post("/alive", "Content-Length: 11\r\n", "")).starts_with("HTTP/1.1 413 "));
  EXPECT_EQ(metrics_.refused_by("requests_in_flight_per_address").value(), 1u);
  seen_.release();
  EXPECT_NE(busy.read_until("\r\n\r\n").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, RefusesBodiesBeyondTheLimit) {
  start({.body_bytes_max = 10, .metrics = &metrics_});
  EXPECT_TRUE(exchange(post("/echo", "Content-Length: 10\r\nConnection: close\r\n", "0123456789"))
                  .ends_with("0123456789"));
  const std::string long_body = exchange(post("/echo", "Content-Length: 11\r\n", "0123456789x"));
  EXPECT_TRUE(long_body.starts_with("HTTP/1.1 413 ")) << long_body;
  EXPECT_EQ(count(long_body, "Connection: close"), 1u);
  const std::string chunked = exchange(
      post("/echo", "Transfer-Encoding: chunked\r\n", "6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n"));
  EXPECT_EQ(count(chunked, "error: the body is too large"), 1u) << chunked;
  EXPECT_EQ(metrics_.refused_by("body_bytes").value(), 2u);
}

TEST_F(ServerTest, GivesUpOnABodyThatDrips) {
  start({.transfer_bytes_per_second_min = 1'000, .body_timeout = 200ms, .metrics = &metrics_});
  Raw raw = connect();
  raw.send(post("/echo", "Content-Length: 1000\r\n", ""));
  const auto begun = std::chrono::steady_clock::now();
  std::thread dripping([&] {
    for (int each = 0; each < 100 && metrics_.refused_by("transfer_bytes_per_second").value() == 0;
         ++each) {
      raw.send("x");
      std::this_thread::sleep_for(20ms);  // A slow client is what this is about.
    }
  });
  const std::string answer = raw.read_until("too slow");
  EXPECT_EQ(count(answer, "error: the peer was too slow"), 1u) << answer;
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 200ms);
  dripping.join();
  EXPECT_EQ(metrics_.refused_by("transfer_bytes_per_second").value(), 1u);
}

TEST_F(ServerTest, GivesUpOnAClientThatReadsTooSlowly) {
  // Far more a second than a client takes that rests after each read.
  start({.transfer_bytes_per_second_min = std::size_t{1} << 40,
         .write_timeout = 1s,
         .metrics = &metrics_});
  Raw raw = connect();
  raw.send(get("/endless"));
  Counter& refused = metrics_.refused_by("transfer_bytes_per_second");
  const auto begun = std::chrono::steady_clock::now();
  while (refused.value() == 0 && std::chrono::steady_clock::now() - begun < 10s) {
    if (raw.read_some().empty()) break;
    std::this_thread::sleep_for(2ms);  // A slow client is what this is about.
  }
  EXPECT_TRUE(server_->drain(60s));
  EXPECT_EQ(refused.value(), 1u);
  EXPECT_EQ(metrics_.refused_by("write").value(), 0u);
}

TEST_F(ServerTest, KeepsLittleOfAnAnswerThatIsNotTaken) {
  start({.queued_answer_bytes_max = 32 * 1024, .metrics = &metrics_});
  Raw raw = connect();
  raw.send(get("/endless"));
  raw.read_until("\r\n\r\n");
  // It is asked for more only while somebody takes it.
  std::size_t produced = 0;
  for (int same = 0; same < 10;) {
    std::this_thread::sleep_for(20ms);
    const std::size_t now = seen_.endless_bytes;
    same = now == produced ? same + 1 : 0;
    produced = now;
  }
  EXPECT_LT(produced, raw.receive_room() + 512 * 1024);
  Gauge& queued = metrics_.gauge("holdfast_queued_answer_bytes", "");
  EXPECT_GE(queued.value(), 32 * 1024);
  EXPECT_LT(queued.value(), 512 * 1024);
  EXPECT_GE(metrics_.counter("holdfast_answer_waits_total", "").value(), 1u);
  raw.reset();
  EXPECT_TRUE(server_->drain(60s));
  EXPECT_EQ(queued.value(), 0) << "nobody waits for a client that is gone";
}

TEST_F(ServerTest, CountsWhatItCutsOff) {
  start({.header_bytes_max = 1'000,
         .header_count_max = 3,
         .target_bytes_max = 100,
         .header_timeout = 50ms,
         .metrics = &metrics_});
  exchange("GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n");
  exchange(get("/a", "A: " + std::string(2'000, 'a') + "\r\n"));
  exchange(get("/a", "A: a\r\nB: b\r\nC: c\r\n"));
  exchange("GET /a HT");
  for (const char* limit : {"target_bytes", "header_bytes", "header_count", "header"}) {
    EXPECT_EQ(metrics_.refused_by(limit).value(), 1u) << limit;
  }
}

TEST_F(ServerTest, NamesWhatItCannotUse) {
  const auto handler = [this](auto worker) { return std::make_unique<TestHandler>(worker, seen_); };
  start();
  const auto busy = Server::start({.port = server_->port()}, handler);
  ASSERT_FALSE(busy.ok());
  EXPECT_EQ(busy.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(busy.error().message.find("127.0.0.1 port " + std::to_string(server_->port())),
            std::string::npos);
  const Certificate& own = certificate_for_loopback();
  const auto missing = Server::start(
      {.tls = {.certificate_file = "/nowhere.crt", .key_file = own.key_file}}, handler);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(missing.error().message.starts_with("/nowhere.crt: ")) << missing.error().message;
  const auto foreign = Server::start({.tls = {.certificate_file = own.certificate_file,
                                              .key_file = certificate_for_others().key_file}},
                                     handler);
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace holdfast::http::test
