#include "http/ticket_keys_tls.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>

#include "base/crypto.h"

namespace holdfast::http {
namespace {

constexpr int kFailed = -1;
constexpr int kUnknownKey = 0;  // A full handshake follows.
constexpr int kUsed = 1;
constexpr int kUsedButRenew = 2;

bool set_mac_key(EVP_MAC_CTX* mac, std::array<std::uint8_t, 32>& key) {
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.data(), key.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

}  // namespace

void TicketKeys::install(SSL_CTX* context) {
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use);
  SSL_CTX_set_session_ticket_cb(context, nullptr, judge, this);
  SSL_CTX_set_timeout(context, std::chrono::seconds(kTicketKeyAge).count());
}

void TicketKeys::rotate() {
  const SteadyTime now = clock_.steady_now();
  if (current_ && now - current_->since < kTicketKeyAge) return;
  retired_.reset();
  if (current_ && now - current_->since < 2 * kTicketKeyAge) retired_ = current_;
  current_ = Key{};
  random_bytes(current_->name);
  random_bytes(current_->cipher);
  random_bytes(current_->mac);
  current_->since = now;
}

TicketKeys::Key TicketKeys::sealing_key() {
  MutexLock lock(mutex_);
  rotate();
  return *current_;
}

std::optional<TicketKeys::Found> TicketKeys::opening_key(const unsigned char* name) {
  MutexLock lock(mutex_);
  rotate();
  const auto is = [&](const std::optional<Key>& key) {
    return key && std::equal(key->name.begin(), key->name.end(), name);
  };
  if (is(current_)) return Found{*current_, false};
  if (is(retired_)) return Found{*retired_, true};
  return std::nullopt;
}

int TicketKeys::use(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, int sealing) {
  auto* keys = static_cast<TicketKeys*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (sealing == 1) {
    Key key = keys->sealing_key();
    std::copy(key.name.begin(), key.name.end(), name);
    random_bytes({iv, static_cast<std::size_t>(EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()))});
    const bool ready =
        EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv) == 1 &&
        set_mac_key(mac, key.mac);
    return ready ? kUsed : kFailed;
  }
  std::optional<Found> found = keys->opening_key(name);
  if (!found) return kUnknownKey;
  const bool ready =
      EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, found->key.cipher.data(), iv) == 1 &&
      set_mac_key(mac, found->key.mac);
  if (!ready) return kFailed;
  return found->retired ? kUsedButRenew : kUsed;
}

SSL_TICKET_RETURN TicketKeys::judge(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                                    SSL_TICKET_STATUS status, void* context) {
  const bool renew = status == SSL_TICKET_SUCCESS_RENEW;
  if (status != SSL_TICKET_SUCCESS && !renew) return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (const X509* certificate = SSL_SESSION_get0_peer(session)) {
    const auto& clock = static_cast<const TicketKeys*>(context)->clock_;
    std::time_t now = std::chrono::system_clock::to_time_t(clock.now());
    const bool valid = X509_cmp_time(X509_get0_notAfter(certificate), &now) > 0;
    if (!valid) return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

}  // namespace holdfast::http
