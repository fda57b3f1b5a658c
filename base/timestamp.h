// Time stamps of RFC 3161: what a time-stamp authority says of when it was shown a digest. The
// library behind it stays in timestamp_openssl.cc.
//
//   std::string query = timestamp_query({.digest = sha256(text), .nonce = nonce});
//   Result<std::string> token = open_timestamp_response(answer, {.digest, .nonce});
//   Result<Timestamp> stamped = verify_timestamp(*token, sha256(text), trust);
//
// A token is the DER of the CMS message that the authority signed; a response is the token and a
// status around it. Functions are pure and safe to call from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/result.h"

struct x509_st;

namespace holdfast {

// Whose tokens are believed: those whose signer's certificate leads to one of these.
class TimestampTrust {
 public:
  // One or more certificates in PEM. kInvalid.
  static Result<TimestampTrust> from_pem(const std::string& pem);

 private:
  friend class TimestampVerifier;
  struct Free {
    void operator()(x509_st* certificate) const;
  };
  std::vector<std::unique_ptr<x509_st, Free>> certificates_;
};

struct TimestampQuestion {
  Sha256 digest{};
  std::uint64_t nonce = 0;  // From random_bytes(); ties the response to the question.
};

// The DER of a TimeStampReq that asks for the signer's certificates too, so that tokens can be
// verified later with the trusted root alone.
std::string timestamp_query(const TimestampQuestion& question);

// The token in an authority's answer (application/timestamp-reply). kInvalid: it is no response.
// kRefused: the authority refuses, or answers another question. Verifies no signature.
Result<std::string> open_timestamp_response(std::string_view response,
                                            const TimestampQuestion& question);

struct Timestamp {
  WallTime time;       // On the authority's clock, to the second.
  std::string serial;  // Of the token, hex.
  std::string signer;  // The subject of the certificate that signed.
};

// kInvalid: it is no token. kRefused: of another digest, signed by nobody who is trusted, or by a
// certificate that is not for time stamping or was not valid at the token's own time. That time is
// what certificates are judged by, so that a token outlives the certificate that signed it.
Result<Timestamp> verify_timestamp(std::string_view token, const Sha256& digest,
                                   const TimestampTrust& trust);

}  // namespace holdfast
