#include "http/client.h"

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/detached.hpp>
#include <future>
#include <utility>

#include "http/stream.h"
#include "http/tls.h"
#include "http/watchdog.h"
#include "tests/unit/http/client_fixtures.h"

namespace holdfast::http::test {
namespace {

using namespace std::chrono_literals;

std::string outcome_of(const RawServer& server, const RequestHead& head = kGet,
                       std::string body = "") {
  Loop loop;
  Client client(loop.executor(), {.origin = server.origin(), .response_timeout = 60s});
  return loop.run(outcome(client, head, std::move(body)));
}

// The outcome when the server answers so, and closes.
std::string answered(std::string_view answer, const RequestHead& head = kGet) {
  RawServer server([&](Raw& raw, int) {
    take_request(raw);
    raw.send(answer);
  });
  return outcome_of(server, head);
}

TEST(Client, ReadsEveryKindOfAnswer) {
  EXPECT_EQ(answered(kOk), "some_sent 200 ok");
  EXPECT_EQ(answered("HTTP/1.1 204 No Content\r\n\r\n"), "some_sent 204 ");
  EXPECT_EQ(answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), "some_sent 304 ");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", kHead), "some_sent 200 ");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            "some_sent 200 ok");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\n\r\nuntil the end"), "some_sent 200 until the end");
  EXPECT_EQ(answered("HTTP/1.0 200 OK\r\n\r\nold"), "some_sent 200 old");
  EXPECT_EQ(answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" +
                     std::string(kOk)),
            "some_sent 200 ok");
}

Task<std::optional<std::uint64_t>> remaining_after_a_read(Client& client) {
  Outgoing outgoing{.head = kGet, .body = nullptr};
  SendResult sent = co_await client.send(std::move(outgoing));
  std::array<char, 100> buffer;
  const Result<std::size_t> read = co_await sent.response->stream->read(buffer);
  EXPECT_EQ(std::string_view(buffer.data(), read.ok() ? *read : 0), "ok");
  co_return sent.response->stream->remaining();
}

TEST(Client, KnowsWithTheLastChunkThatItWasTheLast) {
  RawServer server([](Raw& raw, int) {
    take_request(raw);
    raw.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
  });
  Loop loop;
  Client client(loop.executor(), {.origin = server.origin(), .response_timeout = 60s});
  EXPECT_EQ(loop.run(remaining_after_a_read(client)), 0u);
}

TEST(Client, TellsTheTruthAboutBadAnswers) {
  EXPECT_EQ(answered(""), "some_sent unavailable");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Le"), "some_sent unavailable");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            "some_sent 200 then unavailable");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
            "some_sent 200 then unavailable");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "some_sent 200 then invalid");
  EXPECT_EQ(answered("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "some_sent invalid");
  EXPECT_EQ(answered("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "some_sent invalid");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nA: " + std::string(200'000, 'x')), "some_sent limit");
  std::string interim;
  for (int each = 0; each < 100; ++each) interim += "HTTP/1.1 102 Processing\r\n\r\n";
  EXPECT_EQ(answered(interim), "some_sent invalid");
}

TEST(Client, SendsNothingThatCameTooLate) {
  std::string heard;  // Nor is anything heard when the server ends before it accepts.
  {
    RawServer server([&](Raw& raw, int) { heard = raw.read_until("\r\n\r\n"); });
    Loop loop;
    Client client(loop.executor(), {.origin = server.origin(), .response_timeout = 5s});
    const auto send = [&]() -> Task<std::string> {
      const SendResult sent =
          co_await client.send({.head = kPost, .send_before = std::chrono::steady_clock::now()});
      co_return (sent.progress == Progress::kNothingSent ? "nothing_sent " : "some_sent ") +
          name(sent.response.error().code);
    };
    EXPECT_EQ(loop.run(send()), "nothing_sent timeout");
  }
  EXPECT_EQ(heard, "");
}

TEST(Client, SaysThatNothingWasSentWhenNobodyListens) {
  Loop loop;
  Client client(loop.executor(), {.origin = "http://127.0.0.1:" + std::to_string(unused_port())});
  EXPECT_EQ(loop.run(outcome(client, kGet)), "nothing_sent unavailable");
  Client nowhere(loop.executor(), {.origin = "http://does-not-exist.invalid"});
  EXPECT_EQ(loop.run(outcome(nowhere, kGet)), "nothing_sent unavailable");
  Client wrong(loop.executor(), {.origin = "not an origin"});
  EXPECT_EQ(loop.run(outcome(wrong, kGet)), "nothing_sent invalid");
}

TEST(Client, SaysThatNothingWasSentWhenTlsFails) {
  RawServer server([](Raw& raw, int) { raw.send("this is not TLS at all, not even close"); });
  Loop loop;
  Client client(loop.executor(), {.origin = "https" + server.origin().substr(4)});
  EXPECT_EQ(loop.run(outcome(client, kPost, "body")), "nothing_sent unavailable");
}

TEST(Client, GivesUpOnASilentHandshake) {
  RawServer server([](Raw& raw, int) { raw.read_all(); });
  Loop loop;
  Metrics metrics;
  Client client(loop.executor(), {.origin = "https" + server.origin().substr(4),
                                  .connect_timeout = 50ms,
                                  .metrics = &metrics});
  EXPECT_EQ(loop.run(outcome(client, kPost, "body")), "nothing_sent timeout");
  EXPECT_EQ(metrics.refused_by("connect_timeout").value(), 1u);
}

// Nothing of this is ever sent a second time: whatever the server did with the first request, it
// saw one connection and one request.
TEST(Client, NeverSendsTwice) {
  const std::vector<std::function<void(Raw&)>> misdeeds = {
      [](Raw&) {},                                  // Close before reading.
      [](Raw& raw) { raw.reset(); },                // Reset before reading.
      [](Raw& raw) { take_request(raw, "body"); },  // Close after reading.
      [](Raw& raw) {
        take_request(raw, "body");
        raw.reset();
      },
      [](Raw& raw) {
        take_request(raw, "body");
        raw.send("HTTP/1.1 20");
      },
  };
  for (const auto& misdeed : misdeeds) {
    RawServer server([&](Raw& raw, int) { misdeed(raw); });
    EXPECT_TRUE(outcome_of(server, kPost, "body").ends_with(" unavailable"));
    EXPECT_EQ(server.connections(), 1);
  }
}

TEST(Client, NeverSendsAgainWhatDiesOnAReusedConnection) {
  std::atomic<int> requests = 0;
  RawServer server([&](Raw& raw, int) {
    take_request(raw, "body");
    ++requests;
    raw.send(kOk);
    // The second request is read whole, and then the connection closes without a word.
    if (!raw.read_until("body").empty()) ++requests;
  });
  Loop loop;
  Client client(loop.executor(), {.origin = server.origin()});
  EXPECT_EQ(loop.run(outcome(client, kPost, "body")), "some_sent 200 ok");
  EXPECT_EQ(loop.run(outcome(client, kPost, "body")), "some_sent unavailable");
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(requests, 2);
}

TEST(Client, GivesUpOnASilentUpstream) {
  RawServer server([](Raw& raw, int) { raw.read_all(); });
  Loop loop;
  Metrics metrics;
  Client client(loop.executor(),
                {.origin = server.origin(), .response_timeout = 50ms, .metrics = &metrics});
  EXPECT_EQ(loop.run(outcome(client, kPost, "body")), "some_sent timeout");
  EXPECT_EQ(metrics.refused_by("response_timeout").value(), 1u);
}

TEST(Client, GivesUpOnABodyThatDoesNotCome) {
  RawServer server([](Raw& raw, int) {
    take_request(raw);
    raw.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    raw.read_all();
  });
  Loop loop;
  Metrics metrics;
  Client client(loop.executor(),
                {.origin = server.origin(), .idle_timeout = 50ms, .metrics = &metrics});
  EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 then timeout");
  EXPECT_EQ(metrics.refused_by("idle_timeout").value(), 1u);
  EXPECT_EQ(metrics.refused_by("guarded_answer_timeout").value(), 0u);
}

TEST(Client, ReusesConnectionsAsAsked) {
  RawServer server([](Raw& raw, int) { keep_answering(raw); });
  Loop loop;
  {
    Client client(loop.executor(), {.origin = server.origin(),
                                    .just_used_max = 1h,
                                    .connections_max = 1,
                                    .guarded_connections_max = 0});
    for (const Traffic traffic : {Traffic::kOrdinary, Traffic::kOrdinary, Traffic::kGuarded}) {
      EXPECT_EQ(loop.run(outcome(client, kGet, "", traffic)), "some_sent 200 ok");
    }
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST(Client, SendsGuardedTrafficOverNoConnectionThatWasIdleForLonger) {
  RawServer server([](Raw& raw, int) { keep_answering(raw); });
  Loop loop;
  {
    Client client(loop.executor(), {.origin = server.origin(),
                                    .just_used_max = 10ms,
                                    .connections_max = 1,
                                    .guarded_connections_max = 0});
    EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
    loop.pass(20ms);
    EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
    EXPECT_EQ(server.connections(), 1);
    loop.pass(20ms);
    // The one free connection is too old for this, and makes room.
    EXPECT_EQ(loop.run(outcome(client, kGet, "", Traffic::kGuarded)), "some_sent 200 ok");
  }
  EXPECT_EQ(server.connections(), 2);
}

TEST(Client, TrustsIdleConnectionsLessOnceTheUpstreamClosedOne) {
  RawServer server([first = true](Raw& raw, int) mutable {
    if (!std::exchange(first, false)) return keep_answering(raw);
    take_request(raw);
    raw.send(kOk);
  });
  Loop loop;
  {
    Client client(loop.executor(), {.origin = server.origin(),
                                    .just_used_max = 1h,
                                    .connections_max = 1,
                                    .guarded_connections_max = 0});
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
    loop.pass(20ms);
    EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
    const auto idle_at_most = std::chrono::steady_clock::now() - begun;
    EXPECT_EQ(server.connections(), 2);
    // Too long only for a pool that has seen a close after at most that time.
    loop.pass(std::chrono::ceil<std::chrono::milliseconds>(idle_at_most));
    EXPECT_EQ(loop.run(outcome(client, kGet, "", Traffic::kGuarded)), "some_sent 200 ok");
  }
  EXPECT_EQ(server.connections(), 3);
}

TEST(Client, DropsConnectionsThatAreIdleForTooLong) {
  std::atomic<int> ended = 0;
  RawServer server([&](Raw& raw, int) {
    keep_answering(raw);
    ++ended;
  });
  Loop loop;
  Client client(loop.executor(), {.origin = server.origin(), .pool_idle_max = 20ms});
  EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
  while (ended == 0) loop.pass(5ms);
  EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
}

TEST(Client, SeesAPendingCloseBeforeItSends) {
  RawServer server([](Raw& raw, int) {
    take_request(raw);
    raw.send(kOk);
  });
  Loop loop;
  Client client(loop.executor(), {.origin = server.origin()});
  for (int each = 1; each <= 3; ++each) {
    EXPECT_EQ(loop.run(outcome(client, kGet)), "some_sent 200 ok");
    loop.pass(20ms);
    EXPECT_EQ(server.connections(), each);
  }
}

TEST(Client, DropsConnectionsWithBytesLeftOver) {
  for (const std::string_view answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200"}) {
    RawServer server([&](Raw& raw, int) { keep_answering(raw, answer); });
    Loop loop;
    {
      Client client(loop.executor(), {.origin = server.origin()});
      for (int each = 0; each < 2; ++each) {
        const std::string result = loop.run(outcome(client, kGet));
        EXPECT_TRUE(result == "some_sent 200 ok" || result == "some_sent 204 ") << result;
      }
    }
    EXPECT_EQ(server.connections(), 2);
  }
}

TEST(Client, KeepsNoConnectionThatTheUpstreamWillClose) {
  RawServer server([](Raw& raw, int) {
    take_request(raw);
    raw.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(raw.read_all(), "");
  });
  EXPECT_EQ(outcome_of(server), "some_sent 200 ok");
}

TEST(Client, TakesAnAnswerThatComesBeforeTheBodyIsSent) {
  RawServer server([](Raw& raw, int) {
    take_request(raw);
    raw.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    // Not another byte is read before the client has closed its side for want of a reader.
    raw.finish();
    raw.read_all();
  });
  EXPECT_EQ(outcome_of(server, kPost, std::string(30'000'000, 'x')), "some_sent 413 no");
}

TEST(Client, SendsOnAfterAnEarlySuccess) {
  RawServer server([](Raw& raw, int) {
    take_request(raw);
    raw.send(kOk);
    raw.read_until("the end");
  });
  EXPECT_EQ(outcome_of(server, kPost, std::string(3'000'000, 'x') + "the end"), "some_sent 200 ok");
}

TEST(Client, FailsAnUploadThatNobodyReads) {
  std::promise<void> over;
  RawServer server([&](Raw& raw, int) {
    take_request(raw);
    over.get_future().wait();
  });
  Loop loop;
  Metrics metrics;
  Client client(loop.executor(),
                {.origin = server.origin(), .idle_timeout = 50ms, .metrics = &metrics});
  EXPECT_EQ(loop.run(outcome(client, kPost, std::string(30'000'000, 'x'))), "some_sent timeout");
  EXPECT_EQ(metrics.refused_by("idle_timeout").value(), 1u);
  over.set_value();
}

TEST(Client, SaysWhatItSends) {
  std::string received;
  RawServer server([&](Raw& raw, int) {
    received = raw.read_until("\r\n\r\n");
    received += raw.read_until("body");
    raw.send(kOk);
  });
  const RequestHead head{.method = "POST",
                         .target = "/a?b=%20",
                         .headers = {{"Host", "other"},
                                     {"Content-Length", "99"},
                                     {"Connection", "keep-alive"},
                                     {"Authorization", "Bearer x"}}};
  EXPECT_EQ(outcome_of(server, head, "body"), "some_sent 200 ok");
  EXPECT_EQ(received, "POST /a?b=%20 HTTP/1.1\r\nHost: " + server.origin().substr(7) +
                          "\r\nAuthorization: Bearer x\r\nContent-Length: 4\r\n\r\nbody");
}

// Two at a time on one connection that is kept busy: the second has to wait, and gives up.
TEST(Client, WaitsForAFreeConnectionAndThenGivesUp) {
  std::promise<void> second_gave_up;
  RawServer server([&](Raw& raw, int) {
    take_request(raw);
    second_gave_up.get_future().wait();
    raw.send(kOk);
  });
  Loop loop;
  // Long enough to connect on a busy machine.
  Metrics metrics;
  Client client(loop.executor(), {.origin = server.origin(),
                                  .connect_timeout = 1s,
                                  .connections_max = 1,
                                  .metrics = &metrics});
  std::string first;
  boost::asio::co_spawn(
      loop.executor(), [&]() -> Task<void> { first = co_await outcome(client, kGet); },
      boost::asio::detached);
  EXPECT_EQ(loop.run(outcome(client, kGet)), "nothing_sent limit");
  EXPECT_EQ(metrics.refused_by("upstream_connections").value(), 1u);
  second_gave_up.set_value();
  while (first.empty()) loop.pass(5ms);
  EXPECT_EQ(first, "some_sent 200 ok");
}

TEST(Client, HandsAFreedConnectionToWhoWaits) {
  RawServer server([](Raw& raw, int) { keep_answering(raw); });
  Loop loop;
  {
    Client client(loop.executor(), {.origin = server.origin(), .connections_max = 1});
    int answers = 0;
    for (int each = 0; each < 10; ++each) {
      boost::asio::co_spawn(
          loop.executor(),
          [&]() -> Task<void> { answers += co_await outcome(client, kGet) == "some_sent 200 ok"; },
          boost::asio::detached);
    }
    while (answers < 10) loop.pass(5ms);
  }
  EXPECT_EQ(server.connections(), 1);
}

// Over TLS, an end without close_notify may be an attacker's: no complete answer.
TEST(Client, TakesNoTruncatedTlsForAnEnd) {
  for (const bool in_order : {true, false}) {
    boost::asio::io_context context;
    using boost::asio::ip::tcp;
    tcp::acceptor acceptor(context, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    const Certificate& own = certificate_for_loopback();
    const auto tls = ServerTls::make(
        {.certificate_file = own.certificate_file, .key_file = own.key_file}, system_clock());
    ASSERT_TRUE(tls.ok());
    Watchdog watchdog(context.get_executor());
    std::thread thread([&] {
      tcp::socket socket = acceptor.accept();
      const auto stream = (*tls)->wrap(std::move(socket), watchdog);
      boost::asio::co_spawn(
          context,
          [&]() -> Task<void> {
            const SteadyTime deadline = std::chrono::steady_clock::now() + 10s;
            EXPECT_TRUE((co_await stream->handshake(deadline)).ok());
            char bytes[1024];
            EXPECT_TRUE((co_await stream->read_some(bytes, deadline)).ok());
            Pace pace(10s);
            EXPECT_TRUE((co_await stream->write_all("HTTP/1.1 200 OK\r\n\r\nabc", pace)).ok());
            if (in_order) stream->finish_writing();
            boost::system::error_code ignored;
            stream->socket().shutdown(tcp::socket::shutdown_send, ignored);
            // However the client ends it: the answer is judged there.
            [[maybe_unused]] const auto ended = co_await stream->read_some(bytes, deadline);
            context.stop();
          },
          boost::asio::detached);
      context.run();
    });
    Loop loop;
    {
      Client client(loop.executor(), {.origin = "https://127.0.0.1:" +
                                                std::to_string(acceptor.local_endpoint().port()),
                                      .ca_file = certificate_for_loopback().certificate_file});
      EXPECT_EQ(loop.run(outcome(client, kGet)),
                in_order ? "some_sent 200 abc" : "some_sent 200 then unavailable");
    }
    thread.join();
  }
}

}  // namespace
}  // namespace holdfast::http::test
