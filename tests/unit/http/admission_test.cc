#include "http/admission.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <vector>

namespace holdfast::http::test {
namespace {

using boost::asio::ip::tcp;

constexpr rlim_t kDescriptors = 4'096;

// The most descriptors that this process may have from here on, and enough for any other test.
void limit_descriptors() {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_GE(limit.rlim_max, kDescriptors);
  limit = {.rlim_cur = kDescriptors / 2, .rlim_max = kDescriptors};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

// A connection, whose end can be given numbers.
class Connected {
 public:
  Connected() { socket_.connect(listening_.local_endpoint()); }
  ~Connected() {
    for (const int each : duplicates_) ::close(each);
  }
  Connected(const Connected&) = delete;
  Connected& operator=(const Connected&) = delete;

  int number() { return socket_.native_handle(); }
  // Another descriptor for it, of this number at least.
  int number_from(int least) {
    return duplicates_.emplace_back(::fcntl(number(), F_DUPFD_CLOEXEC, least));
  }

 private:
  boost::asio::io_context context_;
  tcp::acceptor listening_{context_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  tcp::socket socket_{context_};
  std::vector<int> duplicates_;
};

TEST(Admission, KeepsDescriptorsForEverythingElse) {
  limit_descriptors();
  const ServerOptions options{.descriptors_reserved = 400};
  Metrics metrics;
  Admission admission(options, metrics);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, kDescriptors) << "asks for as many as it may have";
  Connected connected;
  // Half of the reserve may be in use before a connection comes.
  const int last = static_cast<int>(kDescriptors) - 400 / 2;
  EXPECT_TRUE(admission.admit(connected.number_from(last)).has_value());
  EXPECT_EQ(metrics.refused_by("descriptors").value(), 0u);
  EXPECT_FALSE(admission.admit(connected.number_from(last + 1)).has_value());
  EXPECT_EQ(metrics.refused_by("descriptors").value(), 1u);
  EXPECT_FALSE(admission.admit(-1).has_value());
  EXPECT_EQ(metrics.refused_by("descriptors").value(), 2u);
}

TEST(Admission, LetsInNoMoreThanThereAreDescriptorsFor) {
  limit_descriptors();
  const ServerOptions options{.connections_max = 5'000,
                              .connections_per_address_max = 5'000,
                              .descriptors_reserved = 1'000'000};
  Metrics metrics;
  Admission admission(options, metrics);
  Connected connected;
  std::vector<Admission::Share> shares;
  // At least half are for clients, whatever the reserve.
  while (shares.size() < kDescriptors / 2) {
    std::optional<Admission::Share> share = admission.admit(connected.number());
    ASSERT_TRUE(share.has_value()) << shares.size();
    shares.push_back(*std::move(share));
  }
  EXPECT_FALSE(admission.admit(connected.number()).has_value());
  EXPECT_EQ(metrics.refused_by("connections").value(), 1u);
  shares.pop_back();
  EXPECT_TRUE(admission.admit(connected.number()).has_value());
}

}  // namespace
}  // namespace holdfast::http::test
