// The keys that a server seals session tickets with. Whoever holds a ticket's key can read the
// recorded traffic of its session, so keys count for two hours and are only in memory.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::http {

// How long a key seals; for as long again it opens. A session lives no longer than that.
inline constexpr std::chrono::hours kTicketKeyAge{1};

// Safe to call from any thread.
class TicketKeys {
 public:
  explicit TicketKeys(const Clock& clock) : clock_(clock) {}

  // Makes the context use these keys, which outlive every connection of it.
  void install(SSL_CTX* context);

 private:
  struct Key {
    std::array<std::uint8_t, 16> name{};
    std::array<std::uint8_t, 32> cipher{};
    std::array<std::uint8_t, 32> mac{};
    SteadyTime since{};
  };

  // OpenSSL's callback; see SSL_CTX_set_tlsext_ticket_key_evp_cb(3) for what it must answer.
  static int use(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                 EVP_MAC_CTX* mac, int sealing);
  // OpenSSL's callback for a ticket that was opened, or not. Clients resume for as long as they
  // like, with a new ticket each time, and nobody looks at their certificate again: one that has
  // run out meanwhile needs a full handshake, which refuses it.
  static SSL_TICKET_RETURN judge(SSL* ssl, SSL_SESSION* session, const unsigned char* name,
                                 std::size_t name_size, SSL_TICKET_STATUS status, void* keys);
  void rotate() HOLDFAST_REQUIRES(mutex_);
  Key sealing_key();
  struct Found {
    Key key;
    bool retired = false;
  };
  std::optional<Found> opening_key(const unsigned char* name);

  const Clock& clock_;
  Mutex mutex_;
  std::optional<Key> current_ HOLDFAST_GUARDED_BY(mutex_);
  std::optional<Key> retired_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast::http
