#include "http/dial.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/detached.hpp>
#include <deque>
#include <memory>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;

tcp::endpoint at(const std::string& address, std::uint16_t port = 443) {
  return {boost::asio::ip::make_address(address), port};
}

SteadyTime after(std::chrono::milliseconds span) {
  return std::chrono::steady_clock::now() + span;
}

// Listens and is full: to connect to it takes for ever, as it does to an address that swallows
// packets.
class BlackHole {
 public:
  BlackHole() {
    listening_.open(tcp::v4());
    listening_.bind(at("127.0.0.1", 0));
    listening_.listen(0);
    for (tcp::socket& filler : fillers_) {
      filler.async_connect(listening_.local_endpoint(), [](auto) {});
    }
  }
  tcp::endpoint endpoint() const { return listening_.local_endpoint(); }

 private:
  boost::asio::io_context context_;
  tcp::acceptor listening_{context_};
  std::array<tcp::socket, 3> fillers_{tcp::socket(context_), tcp::socket(context_),
                                      tcp::socket(context_)};
};

// Listens on a loopback address and lets the system accept.
class Listening {
 public:
  explicit Listening(const std::string& address = "127.0.0.1")
      : listening_(context_, at(address, 0)) {}
  tcp::endpoint endpoint() const { return listening_.local_endpoint(); }

  // How many have connected and not closed their side since.
  int still_open() {
    listening_.non_blocking(true);
    int open = 0;
    for (;;) {
      boost::system::error_code nobody;
      tcp::socket peer = listening_.accept(nobody);
      if (nobody) return open;
      char byte = 0;
      if (::recv(peer.native_handle(), &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) ++open;
      accepted_.push_back(std::move(peer));
    }
  }

 private:
  boost::asio::io_context context_;
  tcp::acceptor listening_;
  std::vector<tcp::socket> accepted_;
};

struct Dialled {
  Result<tcp::socket> socket;
  std::chrono::steady_clock::duration took;
};

class ConnectFirst : public testing::Test {
 protected:
  Dialled connect(const TcpEndpoints& endpoints, std::chrono::milliseconds patience = 60s) {
    const SteadyTime begun = std::chrono::steady_clock::now();
    Result<tcp::socket> socket =
        loop_.run(connect_first(loop_.executor(), endpoints, after(patience)));
    return {std::move(socket), std::chrono::steady_clock::now() - begun};
  }

  Loop loop_;
};

TEST_F(ConnectFirst, GoesOnAtOnceFromAnAddressThatRefuses) {
  const Listening good;
  auto fastest = std::chrono::steady_clock::duration::max();
  // Always late would be a fault; late now and then is a busy machine.
  for (int each = 0; each < 20 && fastest > 200ms; ++each) {
    const Dialled dialled = connect({at("::1", unused_port()), good.endpoint()});
    ASSERT_TRUE(dialled.socket.ok());
    EXPECT_EQ(dialled.socket->remote_endpoint(), good.endpoint());
    fastest = std::min(fastest, dialled.took);
  }
  EXPECT_LT(fastest, 200ms);
}

TEST_F(ConnectFirst, GoesOnAfterAWhileFromAnAddressThatIsSilent) {
  const BlackHole silent;
  const Listening good;
  const Dialled dialled = connect({silent.endpoint(), good.endpoint()});
  ASSERT_TRUE(dialled.socket.ok());
  EXPECT_EQ(dialled.socket->remote_endpoint(), good.endpoint());
  EXPECT_GE(dialled.took, 250ms);
}

TEST_F(ConnectFirst, ConnectsOnceWhereTheFirstAddressIsGood) {
  Listening first;
  Listening second;
  const Dialled dialled = connect({first.endpoint(), second.endpoint()});
  ASSERT_TRUE(dialled.socket.ok());
  loop_.pass(300ms);
  EXPECT_EQ(first.still_open(), 1);
  EXPECT_EQ(second.still_open(), 0);
}

TEST_F(ConnectFirst, WaitsNoLongerThanItsDeadline) {
  const BlackHole silent;
  const Dialled dialled = connect({silent.endpoint(), silent.endpoint()}, 400ms);
  ASSERT_FALSE(dialled.socket.ok());
  EXPECT_EQ(dialled.socket.error().code, ErrorCode::kTimeout);
  EXPECT_GE(dialled.took, 400ms);
  EXPECT_LT(dialled.took, 30s);  // Minutes, were it the system that gives up.
}

TEST_F(ConnectFirst, SaysWhyNoneCouldBeReached) {
  const Dialled dialled = connect({at("::1", unused_port()), at("127.0.0.1", unused_port())});
  ASSERT_FALSE(dialled.socket.ok());
  EXPECT_EQ(dialled.socket.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(dialled.socket.error().message, "cannot connect: Connection refused");
  EXPECT_EQ(connect({}).socket.error().code, ErrorCode::kUnavailable);
}

TEST(AlternateFamilies, BeginsWithTheFirstOne) {
  const auto a = at("192.0.2.1"), b = at("192.0.2.2"), c = at("192.0.2.3");
  const auto v = at("2001:db8::1"), w = at("2001:db8::2");
  EXPECT_EQ(alternate_families({v, w, a, b, c}), (TcpEndpoints{v, a, w, b, c}));
  EXPECT_EQ(alternate_families({a, b, v}), (TcpEndpoints{a, v, b}));
  EXPECT_EQ(alternate_families({a, b}), (TcpEndpoints{a, b}));
  EXPECT_EQ(alternate_families({}), TcpEndpoints{});
}

TEST(Dialer, LooksNamesUpWithoutHoldingTheLoopUp) {
  const Listening good;
  Loop loop;
  Watchdog watchdog(loop.executor());
  const Origin local{.host = "localhost", .port = std::to_string(good.endpoint().port())};
  Dialer dialer(loop.executor(), watchdog, local, std::nullopt);
  EXPECT_TRUE(loop.run(dialer.dial(after(60s))).ok());
  const Origin nowhere{.host = "does-not-exist.invalid", .port = "443"};
  Dialer nobody(loop.executor(), watchdog, nowhere, std::nullopt);
  EXPECT_EQ(loop.run(nobody.dial(after(60s))).error().code, ErrorCode::kUnavailable);
}

// A name server that is silent until it is told what to answer. Goes when nobody asks any more,
// which whatever uses it must have seen to.
class NameServer {
 public:
  NameServer() = default;
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;
  ~NameServer() {
    state_->close();
    wait_for_threads(0);
  }

  LookUp look_up() const {
    return [state = state_](const std::string&, const std::string&) { return state->ask(); };
  }

  // To one look-up, one that waits or a later one.
  void answer(Result<TcpEndpoints> found) { state_->answer(std::move(found)); }
  // How many look-ups there have been.
  int asked() const { return state_->asked(); }
  void wait_until_asked(int times) const { state_->wait_until_asked(times); }
  // Until every look-up has ended and its thread has gone; each dialer has a look_up() of its own.
  void wait_for_threads(long dialers) const {
    while (state_.use_count() > 1 + dialers) std::this_thread::yield();
  }

 private:
  class State {
   public:
    Result<TcpEndpoints> ask() {
      MutexLock lock(mutex_);
      ++asked_;
      changed_.notify_all();
      while (answers_.empty() && !closed_) changed_.wait(mutex_);
      if (answers_.empty()) return Error{ErrorCode::kUnavailable, "the name server has gone"};
      Result<TcpEndpoints> found = std::move(answers_.front());
      answers_.pop_front();
      return found;
    }
    void answer(Result<TcpEndpoints> found) {
      MutexLock lock(mutex_);
      answers_.push_back(std::move(found));
      changed_.notify_all();
    }
    int asked() {
      MutexLock lock(mutex_);
      return asked_;
    }
    void wait_until_asked(int times) {
      MutexLock lock(mutex_);
      while (asked_ < times) changed_.wait(mutex_);
    }
    void close() {
      MutexLock lock(mutex_);
      closed_ = true;
      changed_.notify_all();
    }

   private:
    Mutex mutex_;
    Condition changed_;
    int asked_ HOLDFAST_GUARDED_BY(mutex_) = 0;
    bool closed_ HOLDFAST_GUARDED_BY(mutex_) = false;
    std::deque<Result<TcpEndpoints>> answers_ HOLDFAST_GUARDED_BY(mutex_);
  };

  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Refuses connections until it listens.
class Closed {
 public:
  Closed() {
    socket_.open(tcp::v4());
    socket_.bind(at("127.0.0.1", 0));
  }
  tcp::endpoint endpoint() const { return socket_.local_endpoint(); }
  void listen() { socket_.listen(); }

 private:
  boost::asio::io_context context_;
  tcp::acceptor socket_{context_};
};

const Origin kNamed{.host = "graph.example", .port = "443"};

// "connected", or why not.
Task<void> dial_into(Dialer& dialer, std::chrono::milliseconds patience,
                     std::vector<std::string>& outcomes) {
  const Result<tcp::socket> socket = co_await dialer.dial(after(patience));
  outcomes.push_back(socket.ok() ? "connected" : socket.error().message);
}

class DialByName : public testing::Test {
 protected:
  std::string dial(std::chrono::milliseconds patience = 20s) {
    const Result<tcp::socket> socket = loop_.run(dialer_->dial(after(patience)));
    return socket.ok() ? "connected" : socket.error().message;
  }

  const Error away_{ErrorCode::kUnavailable, "cannot resolve: away"};
  NameServer names_;
  Loop loop_;
  Watchdog watchdog_{loop_.executor()};
  std::optional<Dialer> dialer_{std::in_place, loop_.executor(), watchdog_,
                                kNamed,        std::nullopt,     names_.look_up()};
};

TEST_F(DialByName, LooksItUpOnceForAllWhoWait) {
  const Listening good;
  std::vector<std::string> outcomes;
  for (int each = 0; each < 10; ++each) {
    boost::asio::co_spawn(loop_.executor(), dial_into(*dialer_, 60s, outcomes),
                          boost::asio::detached);
  }
  EXPECT_EQ(dial(5ms), "name not resolved in time");
  EXPECT_TRUE(outcomes.empty());
  for (int each = 0; each < 11; ++each) names_.answer(TcpEndpoints{good.endpoint()});
  while (outcomes.size() < 10) loop_.pass(1ms);
  EXPECT_EQ(outcomes, std::vector<std::string>(10, "connected"));
  EXPECT_EQ(dial(), "connected") << "the addresses are remembered";
  EXPECT_EQ(names_.asked(), 1);
}

TEST_F(DialByName, KeepsAnAnswerThatNobodyWaitedFor) {
  const Listening good;
  for (int each = 0; each < 10; ++each) EXPECT_EQ(dial(1ms), "name not resolved in time");
  names_.answer(TcpEndpoints{good.endpoint()});
  names_.wait_for_threads(1);
  EXPECT_EQ(dial(), "connected");
  EXPECT_EQ(names_.asked(), 1);
}

TEST_F(DialByName, SaysWhyTheNameCouldNotBeLookedUpAndTriesAgain) {
  const Listening good;
  names_.answer(away_);
  EXPECT_EQ(dial(), "cannot resolve: away");
  names_.answer(TcpEndpoints{good.endpoint()});
  EXPECT_EQ(dial(), "connected");
  EXPECT_EQ(names_.asked(), 2);
}

TEST_F(DialByName, LooksItUpAgainOnceNoAddressCouldBeReached) {
  const Closed closed;
  const Listening good;
  names_.answer(TcpEndpoints{closed.endpoint()});
  EXPECT_EQ(dial(), "cannot connect: Connection refused");
  names_.answer(TcpEndpoints{good.endpoint()});
  EXPECT_EQ(dial(), "connected");
  EXPECT_EQ(names_.asked(), 2);
}

TEST_F(DialByName, UsesTheOldAddressesWhereALookUpFails) {
  Closed closed;
  names_.answer(TcpEndpoints{closed.endpoint()});
  EXPECT_EQ(dial(), "cannot connect: Connection refused");
  closed.listen();
  names_.answer(away_);
  EXPECT_EQ(dial(), "connected");
  EXPECT_EQ(names_.asked(), 2);
}

TEST_F(DialByName, UsesTheOldAddressesWhileALookUpIsSilent) {
  Closed closed;
  names_.answer(TcpEndpoints{closed.endpoint()});
  EXPECT_EQ(dial(), "cannot connect: Connection refused");
  closed.listen();
  EXPECT_EQ(dial(), "connected");
  names_.wait_until_asked(2);
}

TEST_F(DialByName, CanGoWhileALookUpIsSilent) {
  EXPECT_EQ(dial(1ms), "name not resolved in time");
  dialer_.reset();
  names_.answer(TcpEndpoints{at("192.0.2.1")});
  names_.wait_for_threads(0);
  loop_.pass(1ms);  // Where the answer comes to nobody.
}

// What a server's worker does with its context.
class EndedContext : public boost::asio::io_context {
 public:
  using io_context::shutdown;
};

TEST(Dialer, LetsItsContextGoWhileALookUpIsSilent) {
  NameServer names;
  std::vector<std::string> outcomes;
  auto context = std::make_unique<EndedContext>();
  {
    Watchdog watchdog(context->get_executor());
    Dialer dialer(context->get_executor(), watchdog, kNamed, std::nullopt, names.look_up());
    boost::asio::co_spawn(*context, dial_into(dialer, 60s, outcomes), boost::asio::detached);
    context->poll();
    names.wait_until_asked(1);
    context->shutdown();
  }
  context.reset();
  // Nothing of it has waited for the look-up, and the end of that finds nobody to tell.
  names.answer(TcpEndpoints{at("192.0.2.1")});
  names.wait_for_threads(0);
  EXPECT_TRUE(outcomes.empty());
}

}  // namespace
}  // namespace holdfast::http::test
