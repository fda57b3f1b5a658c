// Signs officers in: verifies the tokens of one identity provider against its published keys.
//
//   Result<SignedIn> person = co_await verifier.verify(token, now);
//
// Keys are fetched over HTTPS when first needed, again when they are an hour old, and when a token
// names a key that is not among them, but then no sooner than half a minute after the last try.
// Keys older than a day are not used: when the issuer cannot be reached for so long, nobody signs
// in.
//
// Safe to share between executors: a fetch runs on the one that needs it; others go on meanwhile
// with the keys there are, and wait for it only where those do not do. Holds no lock over I/O.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/task.h"
#include "identity/issuer_keys.h"
#include "identity/sign_in.h"

namespace holdfast::identity {

// Where an issuer's keys come from.
class KeySource {
 public:
  virtual ~KeySource() = default;
  // The JWKS. Any error: not now.
  virtual Task<Result<std::string>> fetch() = 0;
};

// By GET from an https URL, at most 256 KiB; redirects are not followed.
class HttpKeySource final : public KeySource {
 public:
  HttpKeySource(std::string url, std::string ca_file)
      : url_(std::move(url)), ca_file_(std::move(ca_file)) {}
  Task<Result<std::string>> fetch() override;

 private:
  const std::string url_;
  const std::string ca_file_;
};

class SignInVerifier {
 public:
  static constexpr std::chrono::seconds kRefreshAfter{3'600};
  static constexpr std::chrono::seconds kUsableFor{86'400};
  static constexpr std::chrono::seconds kRetryAfter{30};

  SignInVerifier(Issuer issuer, std::unique_ptr<KeySource> source, const Clock& clock)
      : issuer_(std::move(issuer)), source_(std::move(source)), clock_(clock) {}

  // kInvalid, kRefused: no good token, or not for us. kUnavailable: the keys cannot be had.
  Task<Result<SignedIn>> verify(std::string_view token);

 private:
  using Keys = std::shared_ptr<const IssuerKeys>;

  // Whether there is a good reason to fetch, and nobody has tried a moment ago.
  bool begin_fetch(bool unknown_key);
  Task<void> fetch();
  Task<void> fetched() const;  // Once nobody is fetching.
  bool is_fetching() const;
  Keys usable_keys() const;

  const Issuer issuer_;
  const std::unique_ptr<KeySource> source_;
  const Clock& clock_;
  mutable Mutex mutex_;
  Keys keys_ HOLDFAST_GUARDED_BY(mutex_);
  SteadyTime fetched_ HOLDFAST_GUARDED_BY(mutex_);
  std::optional<SteadyTime> tried_ HOLDFAST_GUARDED_BY(mutex_);
  bool fetching_ HOLDFAST_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast::identity
