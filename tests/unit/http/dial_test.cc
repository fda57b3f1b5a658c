#include "http/dial.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

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

}  // namespace
}  // namespace holdfast::http::test
