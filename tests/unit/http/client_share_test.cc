// What one client address may have of a pool's connections, and who waits for whom because of it.
#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http/client_pool.h"
#include "tests/unit/http/client_fixtures.h"

namespace holdfast::http::test {
namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;

// A pool whose connections nothing is sent on, and those who hold and want them. The first letter
// of a name is its address.
class ClientShare : public testing::Test {
 protected:
  void make_pool(ClientOptions options) {
    options.origin = server_.origin();
    options.guarded_connections_max = 0;
    options.metrics = &metrics_;
    pool_ = std::make_shared<ClientPool>(loop_.executor(), std::move(options));
  }
  ~ClientShare() override {
    held_.clear();
    pool_->abandon();
    loop_.pass(1ms);
    held_.clear();
  }

  // Takes a lease as soon as there is one.
  Task<void> take(std::string name) {
    const std::string address = name.substr(0, 1);
    Result<Lease> lease = co_await pool_->lease(Traffic::kOrdinary, Pick::kKept, address);
    if (lease.ok()) held_.emplace_back(name, std::move(*lease));
    seen_.push_back(lease.ok() ? name : name + ": " + lease.error().message);
  }
  // In this order, each as far as it comes without waiting for a lease.
  void ask(const Names& names) {
    for (const std::string& name : names) {
      boost::asio::co_spawn(loop_.executor(), take(name), boost::asio::detached);
    }
    loop_.pass(1ms);
  }
  void give_back(const std::string& name) {
    held_.remove_if([&](auto& each) {
      if (each.first != name) return false;
      each.second.give_back();
      return true;
    });
  }
  void wait_for(std::size_t count) {
    const auto begun = std::chrono::steady_clock::now();
    while (seen_.size() < count && std::chrono::steady_clock::now() - begun < 20s) loop_.pass(2ms);
    ASSERT_GE(seen_.size(), count);
  }
  // What else has come when everybody had a chance.
  const Names& seen_after_a_while() {
    loop_.pass(20ms);
    return seen_;
  }

  RawServer server_{[](Raw& raw, int) { raw.read_all(); }, RawServer::Serving::kAtOnce};
  Loop loop_;
  Metrics metrics_;
  std::shared_ptr<ClientPool> pool_;
  std::list<std::pair<std::string, Lease>> held_;
  Names seen_;
};

TEST_F(ClientShare, WhoIsOverItsOwnKeepsNobodyElseWaiting) {
  make_pool({.connect_timeout = 60s, .connections_max = 3, .connections_per_address_max = 1});
  ask({"a1", "a2", "a3", "b1", "c1"});
  wait_for(3);
  EXPECT_EQ(seen_after_a_while().size(), 3U);
  ask({"d1"});
  give_back("b1");
  wait_for(4);
  EXPECT_EQ(seen_.back(), "d1") << "a2 came before, and is passed over";
  give_back("c1");
  EXPECT_EQ(seen_after_a_while().size(), 4U);
  give_back("a1");
  wait_for(5);
  EXPECT_EQ(seen_.back(), "a2");
  give_back("a2");
  wait_for(6);
  EXPECT_EQ(seen_.back(), "a3");
  EXPECT_EQ(metrics_.refused_by("upstream_connections").value(), 0U);
  EXPECT_EQ(metrics_.refused_by("upstream_connections_per_address").value(), 0U);
}

TEST_F(ClientShare, OfOneAddressFirstComeFirstServed) {
  make_pool({.connect_timeout = 60s, .connections_max = 4, .connections_per_address_max = 2});
  ask({"a1", "a2"});
  wait_for(2);
  ask({"a3", "a4", "a5"});
  // Both at once, and somebody comes before those who wait hear of it.
  const auto leave_and_come = [this]() -> Task<void> {
    give_back("a1");
    give_back("a2");
    co_await take("a6");
  };
  boost::asio::co_spawn(loop_.executor(), leave_and_come(), boost::asio::detached);
  wait_for(4);
  EXPECT_EQ(seen_after_a_while(), (Names{"a1", "a2", "a3", "a4"}));
  give_back("a3");
  wait_for(5);
  give_back("a4");
  wait_for(6);
  EXPECT_EQ(seen_, (Names{"a1", "a2", "a3", "a4", "a5", "a6"}));
}

// Else one address could fill the line for connections instead.
TEST_F(ClientShare, IsTakenByWhoIsInLineForAConnection) {
  make_pool({.connect_timeout = 60s, .connections_max = 1, .connections_per_address_max = 1});
  ask({"c1"});
  wait_for(1);
  ask({"a1", "a2", "b1"});
  for (const std::size_t served : {1U, 2U, 3U}) {
    give_back(seen_.back());
    wait_for(served + 1);
  }
  EXPECT_EQ(seen_, (Names{"c1", "a1", "b1", "a2"}));
}

TEST_F(ClientShare, IsWaitedForAsLongAsForAConnection) {
  make_pool({.connect_timeout = 300ms, .connections_max = 3, .connections_per_address_max = 1});
  ask({"a1"});
  wait_for(1);
  ask({"a2"});
  wait_for(2);
  EXPECT_EQ(seen_.back(), "a2: " + server_.origin().substr(7) +
                              ": no connection free in time of those that one address may have "
                              "(upstream.connections_per_address)");
  EXPECT_EQ(metrics_.refused_by("upstream_connections_per_address").value(), 1U);
  EXPECT_EQ(metrics_.refused_by("upstream_connections").value(), 0U);
  EXPECT_EQ(pool_->addresses(), 1U);
  give_back("a1");
  EXPECT_EQ(pool_->addresses(), 0U);
  ask({"a3"});
  wait_for(3);
  EXPECT_EQ(seen_.back(), "a3");
}

TEST_F(ClientShare, IsNobodysWhereTheAddressIsNotKnown) {
  make_pool({.connect_timeout = 60s, .connections_max = 3, .connections_per_address_max = 1});
  ask({"", "", ""});
  wait_for(3);
  EXPECT_EQ(pool_->addresses(), 0U);
}

TEST_F(ClientShare, IsNotTakenByGuardedTraffic) {
  make_pool({.connect_timeout = 60s, .connections_max = 3, .connections_per_address_max = 1});
  const auto guarded = [this] { return pool_->lease(Traffic::kGuarded, Pick::kNew, "a"); };
  const Result<Lease> before = loop_.run(guarded());
  ASSERT_TRUE(before.ok());
  ask({"a1"});
  wait_for(1);
  EXPECT_EQ(seen_, Names{"a1"});
  const Result<Lease> beside = loop_.run(guarded());
  EXPECT_TRUE(beside.ok());
}

TEST_F(ClientShare, IsForgottenOnceNobodyHasOrWantsIt) {
  make_pool({.connect_timeout = 60s, .connections_max = 3, .connections_per_address_max = 2});
  ask({"a1", "a2", "b1"});
  wait_for(3);
  EXPECT_EQ(pool_->addresses(), 2U);
  give_back("a1");
  EXPECT_EQ(pool_->addresses(), 2U);
  held_.clear();  // Connections that are not given back are closed.
  EXPECT_EQ(pool_->addresses(), 0U);
  Result<Lease> lease = loop_.run(pool_->lease(Traffic::kOrdinary, Pick::kKept, "a"));
  ASSERT_TRUE(lease.ok());
  lease->give_back();
  EXPECT_EQ(pool_->addresses(), 0U) << "from then on, whatever becomes of the lease";
}

TEST_F(ClientShare, IsNotWaitedForOnceTheClientIsAbandoned) {
  make_pool({.connect_timeout = 60s, .connections_max = 3, .connections_per_address_max = 1});
  ask({"a1"});
  wait_for(1);
  ask({"a2", "a3"});
  pool_->abandon();
  wait_for(3);
  EXPECT_EQ(seen_, (Names{"a1", "a2: the client is closing", "a3: the client is closing"}));
  held_.clear();
  EXPECT_EQ(pool_->addresses(), 0U);
}

// How a request may end, of an address that may have one connection.
struct EndCase {
  const char* name;
  std::string_view answer;  // Empty: the connection ends without one.
  const char* outcome;
};

TEST(ClientShareIsGivenBack, HoweverARequestEnds) {
  for (const EndCase& end : {
           EndCase{"with its head", kOk, "200"},
           EndCase{"with a stream that nobody reads",
                   "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow", "200"},
           EndCase{"without an answer", "", "unavailable"},
           EndCase{"with what is no answer", "nonsense\r\n\r\n", "invalid"},
       }) {
    RawServer server(
        [&](Raw& raw, int) {
          if (end.answer.empty()) return take_request(raw);
          keep_answering(raw, end.answer);
        },
        RawServer::Serving::kAtOnce);
    Loop loop;
    Client client(loop.executor(), {.origin = server.origin(),
                                    .connect_timeout = 2s,
                                    .connections_max = 3,
                                    .connections_per_address_max = 1});
    const auto status = [&]() -> Task<std::string> {
      const SendResult sent = co_await client.send({.head = kGet, .address = "192.0.2.1"});
      co_return sent.response.ok() ? std::to_string(sent.response->status)
                                   : name(sent.response.error().code);
    };
    for (int each = 0; each < 3; ++each) {
      EXPECT_EQ(loop.run(status()), end.outcome) << end.name << ", request " << each;
    }
  }
}

TEST(ClientShareIsGivenBack, WhereNoConnectionCanBeMade) {
  Loop loop;
  Client client(loop.executor(), {.origin = "http://127.0.0.1:" + std::to_string(unused_port()),
                                  .connect_timeout = 2s,
                                  .connections_per_address_max = 1});
  const auto refused = [&]() -> Task<std::string> {
    const SendResult sent = co_await client.send({.head = kGet, .address = "192.0.2.1"});
    co_return name(sent.response.error().code);
  };
  for (int each = 0; each < 3; ++each) EXPECT_EQ(loop.run(refused()), "unavailable");
}

}  // namespace
}  // namespace holdfast::http::test
