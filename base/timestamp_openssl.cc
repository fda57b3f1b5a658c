#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "base/bytes_openssl.h"
#include "base/encoding.h"
#include "base/timestamp.h"

namespace holdfast {
namespace {

template <class T, void (*kFree)(T*)>
struct Freer {
  void operator()(T* thing) const { kFree(thing); }
};
template <class T, void (*kFree)(T*)>
using Owned = std::unique_ptr<T, Freer<T, kFree>>;

using Request = Owned<TS_REQ, TS_REQ_free>;
using Response = Owned<TS_RESP, TS_RESP_free>;
using Imprint = Owned<TS_MSG_IMPRINT, TS_MSG_IMPRINT_free>;
using Algorithm = Owned<X509_ALGOR, X509_ALGOR_free>;
using Integer = Owned<ASN1_INTEGER, ASN1_INTEGER_free>;
using Token = Owned<PKCS7, PKCS7_free>;
using TokenInfo = Owned<TS_TST_INFO, TS_TST_INFO_free>;
using Store = Owned<X509_STORE, X509_STORE_free>;
using VerifyContext = Owned<TS_VERIFY_CTX, TS_VERIFY_CTX_free>;

// Making values of constant size fails only without memory.
void require_memory(bool worked) {
  if (worked) return;
  std::fputs("holdfast: OpenSSL cannot make a time-stamp query; stopping\n", stderr);
  std::abort();
}

// Why the library why_refused what it was given last.
Error why_refused(const std::string& what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return {ErrorCode::kRefused, what + (reason == nullptr ? "" : std::string(": ") + reason)};
}

// The value whose DER is exactly `bytes`.
template <class Owner, class Decode>
Owner decode(std::string_view bytes, Decode decoder) {
  const unsigned char* at = data_of(bytes);
  Owner value(decoder(nullptr, &at, static_cast<long>(bytes.size())));
  if (value && at != data_of(bytes) + bytes.size()) value.reset();
  ERR_clear_error();
  return value;
}

template <class T, class Encode>
std::string encode(const T* value, Encode encoder) {
  unsigned char* bytes = nullptr;
  const int size = encoder(value, &bytes);
  require_memory(size > 0);
  std::string text(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return text;
}

// Whether the token is about that digest, by SHA-256.
bool is_about(TS_TST_INFO* info, const Sha256& digest) {
  TS_MSG_IMPRINT* imprint = TS_TST_INFO_get_msg_imprint(info);
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, TS_MSG_IMPRINT_get_algo(imprint));
  const ASN1_OCTET_STRING* bytes = TS_MSG_IMPRINT_get_msg(imprint);
  const std::string_view stamped(reinterpret_cast<const char*>(ASN1_STRING_get0_data(bytes)),
                                 static_cast<std::size_t>(ASN1_STRING_length(bytes)));
  return OBJ_obj2nid(algorithm) == NID_sha256 && stamped == bytes_of(digest);
}

Result<std::time_t> time_of(const TS_TST_INFO* info) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(TS_TST_INFO_get_time(info), &parts) != 1) {
    return invalid("the time stamp says no time");
  }
  return ::timegm(&parts);
}

std::string serial_of(const TS_TST_INFO* info) {
  const ASN1_INTEGER* serial = TS_TST_INFO_get_serial(info);
  return to_hex(std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                                 static_cast<std::size_t>(ASN1_STRING_length(serial))));
}

std::string name_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()), &BIO_free);
  if (!bio ||
      X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) {
    return "?";
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return to_text({text, static_cast<std::size_t>(size)});
}

}  // namespace

void TimestampTrust::Free::operator()(x509_st* certificate) const {
  X509_free(certificate);
}

Result<TimestampTrust> TimestampTrust::from_pem(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  require_memory(bio != nullptr);
  TimestampTrust trust;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    trust.certificates_.emplace_back(certificate);
    // Fills what OpenSSL keeps in a certificate at its first use, before threads share it.
    X509_check_purpose(certificate, -1, 0);
  }
  // At the end there is no further start line; anything else is a broken certificate.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (trust.certificates_.empty() || !at_end) return invalid("not certificates in PEM");
  return trust;
}

std::string timestamp_query(const TimestampQuestion& question) {
  const Request request(TS_REQ_new());
  const Imprint imprint(TS_MSG_IMPRINT_new());
  const Algorithm algorithm(X509_ALGOR_new());
  const Integer nonce(ASN1_INTEGER_new());
  require_memory(request && imprint && algorithm && nonce);
  require_memory(X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(NID_sha256), V_ASN1_NULL, nullptr) ==
                 1);
  std::string digest(bytes_of(question.digest));
  require_memory(TS_MSG_IMPRINT_set_algo(imprint.get(), algorithm.get()) == 1 &&
                 TS_MSG_IMPRINT_set_msg(imprint.get(),
                                        reinterpret_cast<unsigned char*>(digest.data()),
                                        static_cast<int>(digest.size())) == 1);
  require_memory(ASN1_INTEGER_set_uint64(nonce.get(), question.nonce) == 1);
  require_memory(TS_REQ_set_version(request.get(), 1) == 1 &&
                 TS_REQ_set_msg_imprint(request.get(), imprint.get()) == 1 &&
                 TS_REQ_set_nonce(request.get(), nonce.get()) == 1 &&
                 TS_REQ_set_cert_req(request.get(), 1) == 1);
  return encode(request.get(), i2d_TS_REQ);
}

Result<std::string> open_timestamp_response(std::string_view response,
                                            const TimestampQuestion& question) {
  const auto opened = decode<Response>(response, d2i_TS_RESP);
  if (!opened) return invalid("not a time-stamp response");
  const long status =
      ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(opened.get())));
  if (status != TS_STATUS_GRANTED && status != TS_STATUS_GRANTED_WITH_MODS) {
    return Error{ErrorCode::kRefused,
                 "the authority gives no time stamp: status " + std::to_string(status)};
  }
  PKCS7* token = TS_RESP_get_token(opened.get());
  TS_TST_INFO* info = TS_RESP_get_tst_info(opened.get());
  if (token == nullptr || info == nullptr) return invalid("a time-stamp response without a token");
  const ASN1_INTEGER* nonce = TS_TST_INFO_get_nonce(info);
  std::uint64_t answered = 0;
  if (!is_about(info, question.digest) || nonce == nullptr ||
      ASN1_INTEGER_get_uint64(&answered, nonce) != 1 || answered != question.nonce) {
    ERR_clear_error();
    return Error{ErrorCode::kRefused, "the time stamp is about something else"};
  }
  return encode(token, i2d_PKCS7);
}

class TimestampVerifier {
 public:
  static Result<Timestamp> verify(std::string_view bytes, const Sha256& digest,
                                  const TimestampTrust& trust) {
    const auto token = decode<Token>(bytes, d2i_PKCS7);
    if (!token || PKCS7_type_is_signed(token.get()) == 0) return invalid("not a time-stamp token");
    const TokenInfo info(PKCS7_to_TS_TST_INFO(token.get()));
    ERR_clear_error();
    if (!info) return invalid("not a time-stamp token");
    if (!is_about(info.get(), digest)) {
      return Error{ErrorCode::kRefused, "the time stamp is about something else"};
    }
    const Result<std::time_t> time = time_of(info.get());
    if (!time.ok()) return time.error();
    Store store(X509_STORE_new());
    const VerifyContext context(TS_VERIFY_CTX_new());
    require_memory(store && context);
    for (const auto& certificate : trust.certificates_) {
      require_memory(X509_STORE_add_cert(store.get(), certificate.get()) == 1);
    }
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store.get()), *time);
    // What it may sign is the purpose that the library checks: time stamping, and nothing else.
    TS_VERIFY_CTX_set_flags(context.get(), TS_VFY_VERSION | TS_VFY_SIGNATURE);
    TS_VERIFY_CTX_set_store(context.get(), store.release());
    if (TS_RESP_verify_token(context.get(), token.get()) != 1) {
      return why_refused("the time stamp is not to be trusted");
    }
    return Timestamp{.time = WallTime(std::chrono::seconds(*time)),
                     .serial = serial_of(info.get()),
                     .signer = signer_of(token.get())};
  }

 private:
  static std::string signer_of(PKCS7* token) {
    STACK_OF(X509)* signers = PKCS7_get0_signers(token, nullptr, 0);
    std::string name = "?";
    if (signers != nullptr && sk_X509_num(signers) > 0) name = name_of(sk_X509_value(signers, 0));
    sk_X509_free(signers);
    ERR_clear_error();
    return name;
  }
};

Result<Timestamp> verify_timestamp(std::string_view token, const Sha256& digest,
                                   const TimestampTrust& trust) {
  return TimestampVerifier::verify(token, digest, trust);
}

}  // namespace holdfast
