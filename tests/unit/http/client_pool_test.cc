// Which connection a request gets, who has to wait, and what is sent a second time.
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "http/client_pool.h"
#include "tests/unit/http/client_fixtures.h"

namespace holdfast::http::test {
namespace {

using namespace std::chrono_literals;
using Serving = RawServer::Serving;

// Runs requests beside each other and remembers their outcomes, in the order in which they ended.
class Beside {
 public:
  explicit Beside(Loop& loop) : loop_(loop) {}

  void start(Client& client, Traffic traffic, std::string target) {
    boost::asio::co_spawn(
        loop_.executor(),
        [this, &client, traffic, target = std::move(target)]() -> Task<void> {
          const RequestHead head{.method = "GET", .target = target};
          const std::string result = co_await outcome(client, head, "", traffic);
          ended.push_back(target + " " + result);
        },
        boost::asio::detached);
    loop_.pass(2ms);
  }

  void wait_for(std::size_t count) {
    while (ended.size() < count) loop_.pass(2ms);
  }

  std::vector<std::string> ended;

 private:
  Loop& loop_;
};

// Every request as the server read it, whatever the connection.
class Log {
 public:
  std::string take(Raw& raw) {
    std::string head = raw.read_until("\r\n\r\n");
    if (head.ends_with("\r\n\r\n")) {
      const std::lock_guard lock(mutex_);
      lines_.push_back(head.substr(0, head.find(" HTTP/1.1\r\n")));
    }
    return head;
  }

  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

// How a kept connection may end under its second request.
enum class End { kFin, kReset, kFinWithinHead };

void end_second(Raw& raw, Log& log, End end) {
  log.take(raw);
  raw.send(kOk);
  log.take(raw);
  if (end == End::kReset) raw.reset();
  if (end == End::kFinWithinHead) raw.send("H");
}

// Guarded traffic uses any kept connection, however long a busy machine let it wait.
constexpr std::chrono::milliseconds kAlways = 1h;

// One request that is answered, and a second one on the same connection, which ends so. Later
// connections answer. What the server read is in `log`.
std::string second_outcome(Log& log, End end, const RequestHead& head, std::string body = "",
                           Traffic traffic = Traffic::kOrdinary) {
  RawServer server(
      [&](Raw& raw, int connection) {
        if (connection == 0) return end_second(raw, log, end);
        while (log.take(raw).ends_with("\r\n\r\n")) raw.send(kOk);
      },
      Serving::kAtOnce);
  Loop loop;
  Client client(loop.executor(), {.origin = server.origin(),
                                  .just_used_max = kAlways,
                                  .connections_max = 1,
                                  .guarded_connections_max = 0});
  EXPECT_EQ(loop.run(outcome(client, kGet, "", traffic)), "some_sent 200 ok");
  return loop.run(outcome(client, head, std::move(body), traffic));
}

const RequestHead kSecond{.method = "GET", .target = "/second"};
using Lines = std::vector<std::string>;

// Two bytes: one at once, the other when it is let.
class Halting final : public Body {
 public:
  explicit Halting(const boost::asio::any_io_executor& executor)
      : gate_(executor, SteadyTime::max()) {}

  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    if (left_ == 1) {
      co_await gate_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    buffer.front() = 'x';
    --left_;
    co_return std::size_t{1};
  }
  std::optional<std::uint64_t> remaining() const override { return left_; }
  void go_on() { gate_.cancel(); }

 private:
  boost::asio::steady_timer gate_;
  std::uint64_t left_ = 2;
};

TEST(ClientPool, WhoSendsASmallBodySlowlyHoldsNoConnection) {
  RawServer server([](Raw& raw, int) { keep_answering(raw); });
  Loop loop;
  Client client(loop.executor(),
                {.origin = server.origin(), .connections_max = 1, .guarded_connections_max = 0});
  Halting slow(loop.executor());
  std::string ended;
  boost::asio::co_spawn(
      loop.executor(),
      [&]() -> Task<void> {
        const SendResult sent = co_await client.send({.head = kPost, .body = &slow});
        ended = sent.response.ok() ? "answered" : "failed";
      },
      boost::asio::detached);
  EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
  EXPECT_EQ(ended, "");
  slow.go_on();
  while (ended.empty()) loop.pass(2ms);
  EXPECT_EQ(ended, "answered");
}

TEST(ClientPool, SendsAGetAgainWhenItsKeptConnectionWasDead) {
  for (const End end : {End::kFin, End::kReset}) {
    Log log;
    EXPECT_EQ(second_outcome(log, end, kSecond), "some_sent 200 ok");
    EXPECT_EQ(log.lines(), (Lines{"GET /", "GET /second", "GET /second"}));
  }
}

TEST(ClientPool, SendsNoGuardedGetAgain) {
  Log log;
  EXPECT_EQ(second_outcome(log, End::kFin, kSecond, "", Traffic::kGuarded),
            "some_sent unavailable");
  EXPECT_EQ(log.lines(), (Lines{"GET /", "GET /second"}));
}

TEST(ClientPool, SendsNoOtherMethodAgain) {
  for (const std::string method :
       {"POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "PROPFIND"}) {
    for (const End end : {End::kFin, End::kReset}) {
      Log log;
      const RequestHead head{.method = method, .target = "/second"};
      EXPECT_EQ(second_outcome(log, end, head), "some_sent unavailable") << method;
      EXPECT_EQ(log.lines(), (Lines{"GET /", method + " /second"}));
    }
  }
}

TEST(ClientPool, SendsNoGetWithABodyAgain) {
  Log log;
  EXPECT_EQ(second_outcome(log, End::kFin, kSecond, "body"), "some_sent unavailable");
  EXPECT_EQ(log.lines(), (Lines{"GET /", "GET /second"}));
}

TEST(ClientPool, SendsNothingAgainThatWasAnsweredByAsMuchAsAByte) {
  Log log;
  EXPECT_EQ(second_outcome(log, End::kFinWithinHead, kSecond), "some_sent unavailable");
  EXPECT_EQ(log.lines(), (Lines{"GET /", "GET /second"}));
}

TEST(ClientPool, SendsNothingAgainThatIsStillBeingWaitedFor) {
  Log log;
  {
    RawServer server(
        [&](Raw& raw, int) {
          log.take(raw);
          raw.send(kOk);
          log.take(raw);
          raw.read_all();
        },
        Serving::kAtOnce);
    Loop loop;
    Client client(loop.executor(), {.origin = server.origin()});
    EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
    const auto impatient = [&]() -> Task<ErrorCode> {
      const SendResult sent = co_await client.send({.head = kSecond, .response_timeout = 50ms});
      co_return sent.response.ok() ? ErrorCode::kInternal : sent.response.error().code;
    };
    EXPECT_EQ(loop.run(impatient()), ErrorCode::kTimeout);
  }
  EXPECT_EQ(log.lines(), (Lines{"GET /", "GET /second"}));
}

TEST(ClientPool, SendsNothingAgainThatWentOverANewConnection) {
  for (const End end : {End::kFin, End::kReset}) {
    Log log;
    RawServer server([&](Raw& raw, int) {
      log.take(raw);
      if (end == End::kReset) raw.reset();
    });
    Loop loop;
    Client client(loop.executor(), {.origin = server.origin()});
    EXPECT_EQ(loop.run(outcome(client, kSecond)), "some_sent unavailable");
    EXPECT_EQ(log.lines(), Lines{"GET /second"});
  }
}

TEST(ClientPool, SendsAGetTwiceAtMost) {
  Log log;
  RawServer server([&](Raw& raw, int connection) {
    log.take(raw);
    if (connection > 0) return;
    raw.send(kOk);
    log.take(raw);
  });
  Loop loop;
  Client client(loop.executor(), {.origin = server.origin()});
  EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
  EXPECT_EQ(loop.run(outcome(client, kSecond)), "some_sent unavailable");
  EXPECT_EQ(log.lines(), (Lines{"GET /", "GET /second", "GET /second"}));
}

// Not only a close that is seen in time: also one that was met.
TEST(ClientPool, TrustsIdleConnectionsLessOnceARequestWasLostOnOne) {
  Log log;
  RawServer server(
      [&](Raw& raw, int connection) {
        if (connection == 0) return end_second(raw, log, End::kFin);
        while (log.take(raw).ends_with("\r\n\r\n")) raw.send(kOk);
      },
      Serving::kAtOnce);
  Loop loop;
  {
    Client client(loop.executor(), {.origin = server.origin(), .just_used_max = kAlways});
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
    loop.pass(20ms);
    EXPECT_EQ(loop.run(outcome(client, kPost, "", Traffic::kGuarded)), "some_sent unavailable");
    const auto idle_at_most = std::chrono::steady_clock::now() - begun;
    EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
    EXPECT_EQ(server.connections(), 2);
    loop.pass(std::chrono::ceil<std::chrono::milliseconds>(idle_at_most));  // Too long now.
    EXPECT_EQ(loop.run(outcome(client, kPost, "", Traffic::kGuarded)), "some_sent 200 ok");
    EXPECT_EQ(server.connections(), 3);
  }
}

// One connection after the other is idle for at least `idle` and then found open.
void outlast(Loop& loop, ClientPool& pool, int connections, std::chrono::milliseconds idle) {
  const auto take = [&](Pick pick) -> Task<Result<Lease>> {
    return pool.lease(Traffic::kOrdinary, pick);
  };
  {
    Result<Lease> lease = loop.run(take(Pick::kNew));
    ASSERT_TRUE(lease.ok());
    lease->give_back();
  }
  for (int each = 0; each < connections; ++each) {
    loop.pass(idle);
    Result<Lease> lease = loop.run(take(Pick::kKept));
    ASSERT_TRUE(lease.ok());
    ASSERT_TRUE(lease->is_reused());
    lease->give_back();
  }
}

TEST(ClientPool, TrustsIdleConnectionsAgainOnceEnoughHaveLasted) {
  RawServer server([](Raw& raw, int) { raw.read_all(); }, Serving::kAtOnce);
  Loop loop;
  const auto pool = std::make_shared<ClientPool>(
      loop.executor(), ClientOptions{.origin = server.origin(), .just_used_max = 5ms});
  pool->distrust(8ms);
  EXPECT_EQ(pool->just_used_max(), 2ms);
  outlast(loop, *pool, 15, 10ms);
  EXPECT_EQ(pool->just_used_max(), 2ms) << "not enough";
  pool->distrust(1h);
  outlast(loop, *pool, 15, 10ms);
  EXPECT_EQ(pool->just_used_max(), 2ms) << "none may be closed between them";
  outlast(loop, *pool, 1, 10ms);
  EXPECT_EQ(pool->just_used_max(), 4ms);
  for (int each = 0; each < 100; ++each) pool->trust(15ms);
  EXPECT_EQ(pool->just_used_max(), 4ms) << "too young to prove anything";
  for (int each = 0; each < 100; ++each) pool->trust(1h);
  EXPECT_EQ(pool->just_used_max(), 5ms) << "never more than the options say";
  pool->close();
}

TEST(ClientPool, TrustsIdleConnectionsAgainWhenTheyGrowTooOldUnused) {
  RawServer server([](Raw& raw, int) { raw.read_all(); }, Serving::kAtOnce);
  Loop loop;
  const auto pool = std::make_shared<ClientPool>(
      loop.executor(),
      ClientOptions{.origin = server.origin(), .pool_idle_max = 10ms, .just_used_max = 50ms});
  pool->distrust(8ms);
  for (int each = 0; each < 16; ++each) {
    Result<Lease> lease = loop.run(pool->lease(Traffic::kOrdinary, Pick::kNew));
    ASSERT_TRUE(lease.ok());
    lease->give_back();
  }
  while (pool->just_used_max() == 2ms) loop.pass(2ms);
  EXPECT_EQ(pool->just_used_max(), 4ms);
  pool->close();
}

// Answers at /slow… with a head and the start of a body, and ends the body once `released`.
struct SlowDownloads {
  std::promise<void> promise;
  std::shared_future<void> released = promise.get_future().share();
  Log log;
  RawServer server{[this](Raw& raw, int) { serve(raw); }, Serving::kAtOnce};

  void serve(Raw& raw) {
    for (;;) {
      const std::string head = log.take(raw);
      if (!head.ends_with("\r\n\r\n")) return;
      if (!head.starts_with("GET /slow")) {
        raw.send(kOk);
        continue;
      }
      raw.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow");
      released.wait();
      raw.send(" down");
    }
  }
};

TEST(ClientPool, GuardedTrafficDoesNotWaitForSlowDownloads) {
  SlowDownloads slow;
  Loop loop;
  {
    Client client(loop.executor(), {.origin = slow.server.origin(),
                                    .connect_timeout = 60s,
                                    .just_used_max = kAlways,
                                    .connections_max = 3,
                                    .guarded_connections_max = 1});
    Beside beside(loop);
    for (const char* target : {"/slow1", "/slow2", "/slow3", "/waits"}) {
      beside.start(client, Traffic::kOrdinary, target);
    }
    // Over the one connection of the reserve, one after the other.
    for (int each = 0; each < 3; ++each) {
      EXPECT_EQ(loop.run(outcome(client, kPost, "", Traffic::kGuarded)), "some_sent 200 ok");
    }
    EXPECT_EQ(slow.server.connections(), 4);
    EXPECT_TRUE(beside.ended.empty());
    slow.promise.set_value();
    beside.wait_for(4);
    EXPECT_EQ(std::ranges::count(beside.ended, "/waits some_sent 200 ok"), 1);
    EXPECT_EQ(slow.server.connections(), 4);
  }
}

TEST(ClientPool, TheReserveIsNotForOrdinaryTraffic) {
  SlowDownloads slow;
  Loop loop;
  {
    Client client(loop.executor(), {.origin = slow.server.origin(),
                                    .connect_timeout = 60s,
                                    .connections_max = 1,
                                    .guarded_connections_max = 1});
    Beside beside(loop);
    beside.start(client, Traffic::kOrdinary, "/slow");
    beside.start(client, Traffic::kOrdinary, "/waits");
    // Not even a connection that the reserve has left over.
    EXPECT_EQ(loop.run(outcome(client, kPost, "", Traffic::kGuarded)), "some_sent 200 ok");
    beside.start(client, Traffic::kOrdinary, "/waits-too");
    EXPECT_EQ(loop.run(outcome(client, kPost, "", Traffic::kGuarded)), "some_sent 200 ok");
    EXPECT_EQ(std::ranges::count(slow.log.lines(), "POST /"), 2);
    EXPECT_TRUE(std::ranges::none_of(
        slow.log.lines(), [](const std::string& line) { return line.starts_with("GET /waits"); }));
    slow.promise.set_value();
    beside.wait_for(3);
    EXPECT_EQ(std::ranges::count(beside.ended, "/waits some_sent 200 ok"), 1);
  }
}

TEST(ClientPool, WhoWaitsIsServedInOrderGuardedTrafficFirst) {
  SlowDownloads slow;
  Loop loop;
  {
    Client client(loop.executor(), {.origin = slow.server.origin(),
                                    .connect_timeout = 60s,
                                    .just_used_max = kAlways,
                                    .connections_max = 1,
                                    .guarded_connections_max = 0});
    Beside beside(loop);
    beside.start(client, Traffic::kOrdinary, "/slow");
    beside.start(client, Traffic::kOrdinary, "/1");
    beside.start(client, Traffic::kOrdinary, "/2");
    beside.start(client, Traffic::kGuarded, "/3");
    beside.start(client, Traffic::kOrdinary, "/4");
    beside.start(client, Traffic::kGuarded, "/5");
    slow.promise.set_value();
    beside.wait_for(6);
    EXPECT_EQ(slow.log.lines(),
              (Lines{"GET /slow", "GET /3", "GET /5", "GET /1", "GET /2", "GET /4"}));
    EXPECT_EQ(slow.server.connections(), 1);
  }
}

TEST(ClientPool, KeepsNoMoreIdleConnectionsThanItMay) {
  SlowDownloads slow;
  std::atomic<int> ended = 0;
  RawServer server(
      [&](Raw& raw, int) {
        slow.serve(raw);
        ++ended;
      },
      Serving::kAtOnce);
  Loop loop;
  {
    Client client(loop.executor(), {.origin = server.origin(), .idle_connections_max = 2});
    Beside beside(loop);
    for (const char* target : {"/slow1", "/slow2", "/slow3", "/slow4", "/slow5"}) {
      beside.start(client, Traffic::kOrdinary, target);
    }
    while (server.connections() < 5) loop.pass(2ms);
    slow.promise.set_value();
    beside.wait_for(5);
    while (ended < 3) loop.pass(2ms);
    EXPECT_EQ(ended, 3);
  }
}

TEST(ClientPool, AbandonEndsWhatIsUnderWayAndBeginsNothing) {
  std::atomic<bool> read = false;
  RawServer server([&](Raw& raw, int) {
    take_request(raw);
    read = true;
    raw.read_all();
  });
  Loop loop;
  {
    Client client(loop.executor(), {.origin = server.origin(),
                                    .connect_timeout = 60s,
                                    .response_timeout = 60s,
                                    .connections_max = 1});
    Beside beside(loop);
    beside.start(client, Traffic::kOrdinary, "/sent");
    beside.start(client, Traffic::kOrdinary, "/waits");
    while (!read) loop.pass(2ms);
    EXPECT_TRUE(beside.ended.empty());
    client.abandon();
    beside.wait_for(2);
    std::ranges::sort(beside.ended);
    EXPECT_EQ(beside.ended,
              (Lines{"/sent some_sent unavailable", "/waits nothing_sent unavailable"}));
    EXPECT_EQ(loop.run(outcome(client, kGet)), "nothing_sent unavailable");
  }
  EXPECT_EQ(server.connections(), 1);
}

}  // namespace
}  // namespace holdfast::http::test
