#include "identity/sign_in_verifier.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "http/client.h"

namespace holdfast::identity {
namespace {

constexpr std::size_t kJwksBytesMax = 256 * 1024;
constexpr int kOk = 200;
constexpr std::chrono::milliseconds kLookEvery{20};

// https://host[:port] and what follows it.
std::pair<std::string, std::string> split_url(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t path = url.find('/', scheme == std::string::npos ? 0 : scheme + 3);
  if (path == std::string::npos) return {url, "/"};
  return {url.substr(0, path), url.substr(path)};
}

}  // namespace

Task<Result<std::string>> HttpKeySource::fetch() {
  auto [origin, target] = split_url(url_);
  http::ClientOptions options;
  options.origin = std::move(origin);
  options.ca_file = ca_file_;
  options.response_timeout = std::chrono::seconds(5);
  options.idle_timeout = std::chrono::seconds(5);
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  http::Client client(executor, std::move(options));

  http::RequestHead head{.method = "GET", .target = std::move(target)};
  head.headers.add("Accept", "application/json");
  head.headers.add("Accept-Encoding", "identity");
  head.headers.add("User-Agent", "holdfast");
  const http::Outgoing outgoing{.head = head};
  http::SendResult sent = co_await client.send(outgoing);
  if (!sent.response.ok()) co_return sent.response.error();
  http::Response& response = *sent.response;
  if (response.status != kOk) {
    co_return Error{ErrorCode::kUnavailable, "it answers " + std::to_string(response.status)};
  }
  if (!response.stream) co_return std::move(response.content);
  Result<std::string> body = co_await http::read_all(*response.stream, kJwksBytesMax);
  co_return body;
}

Task<Result<SignedIn>> SignInVerifier::verify(std::string_view token) {
  Keys keys = usable_keys();
  if (begin_fetch(false)) {
    co_await fetch();
  } else if (!keys) {
    co_await fetched();
  }
  keys = usable_keys();
  if (!keys) {
    co_return Error{ErrorCode::kUnavailable, "the issuer's keys cannot be had; nobody can sign in"};
  }
  Result<std::string> payload = keys->verified_payload(token);
  if (!payload.ok() && payload.error().code == ErrorCode::kNotFound) {
    if (begin_fetch(true)) {
      co_await fetch();
    } else {
      co_await fetched();
    }
    const Keys newer = usable_keys();
    if (newer && newer != keys) payload = newer->verified_payload(token);
  }
  if (!payload.ok()) co_return payload.error();
  co_return read_sign_in(*payload, issuer_, clock_.now());
}

bool SignInVerifier::begin_fetch(bool unknown_key) {
  const SteadyTime now = clock_.steady_now();
  MutexLock lock(mutex_);
  const bool due = unknown_key || !keys_ || now - fetched_ >= kRefreshAfter;
  if (!due || (tried_ && now - *tried_ < kRetryAfter)) return false;
  tried_ = now;
  fetching_ = true;
  return true;
}

Task<void> SignInVerifier::fetch() {
  // Also when it is given up on the way: others wait for its end.
  const std::unique_ptr<SignInVerifier, void (*)(SignInVerifier*)> end(
      this, [](SignInVerifier* verifier) {
        MutexLock lock(verifier->mutex_);
        verifier->fetching_ = false;
      });
  const Result<std::string> jwks = co_await source_->fetch();
  Result<IssuerKeys> keys = jwks.ok() ? IssuerKeys::parse(*jwks) : jwks.error();
  if (!keys.ok()) {
    log_warning("the officers' issuer gives no keys", {{"why", keys.error().message}});
    co_return;
  }
  const SteadyTime now = clock_.steady_now();
  MutexLock lock(mutex_);
  keys_ = std::make_shared<const IssuerKeys>(std::move(*keys));
  fetched_ = now;
}

Task<void> SignInVerifier::fetched() const {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  while (is_fetching()) {
    timer.expires_after(kLookEvery);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
}

bool SignInVerifier::is_fetching() const {
  MutexLock lock(mutex_);
  return fetching_;
}

SignInVerifier::Keys SignInVerifier::usable_keys() const {
  const SteadyTime now = clock_.steady_now();
  MutexLock lock(mutex_);
  return keys_ && now - fetched_ < kUsableFor ? keys_ : nullptr;
}

}  // namespace holdfast::identity
