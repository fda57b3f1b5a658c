#include "http/certificate_tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <string_view>

#include "base/encoding.h"
#include "http/stream_tls.h"

namespace holdfast::http {
namespace {

constexpr std::size_t kNameBytesMax = 256;

using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Names = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;

std::string subject_of(const X509* certificate) {
  const Bio text(BIO_new(BIO_s_mem()));
  constexpr unsigned long kUtf8 =
      XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  if (!text || X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, kUtf8) < 0) {
    return {};
  }
  char* begin = nullptr;
  const long size = BIO_get_mem_data(text.get(), &begin);
  return size <= 0 ? std::string() : std::string(begin, static_cast<std::size_t>(size));
}

// "DNS:host", "email:address", "URI:uri", "IP:address"; empty for other kinds, for long names and
// for names that hold what none may.
std::string name_text(const GENERAL_NAME* name) {
  int kind = 0;
  const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &kind));
  if (kind != GEN_DNS && kind != GEN_EMAIL && kind != GEN_URI && kind != GEN_IPADD) return {};
  const std::string_view bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                               static_cast<std::size_t>(ASN1_STRING_length(value)));
  if (kind == GEN_IPADD) {
    char text[INET6_ADDRSTRLEN] = {};
    const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
    if (bytes.size() != 4 && bytes.size() != 16) return {};
    return "IP:" + std::string(::inet_ntop(family, bytes.data(), text, sizeof text));
  }
  if (bytes.size() > kNameBytesMax) return {};
  for (const char c : bytes) {
    if (c <= ' ' || c > '~') return {};
  }
  const char* prefix = kind == GEN_DNS ? "DNS:" : kind == GEN_EMAIL ? "email:" : "URI:";
  return prefix + std::string(bytes);
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> texts;
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int i = 0; i < count; ++i) {
    std::string text = name_text(sk_GENERAL_NAME_value(names.get(), i));
    if (!text.empty()) texts.push_back(std::move(text));
  }
  return texts;
}

std::string fingerprint_of(const X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  return to_hex(std::string_view(reinterpret_cast<const char*>(digest), size));
}

}  // namespace

std::shared_ptr<const ClientCertificate> verified_peer(SSL* ssl) {
  const X509* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return nullptr;
  return std::make_shared<const ClientCertificate>(
      ClientCertificate{.subject = subject_of(certificate),
                        .names = names_of(certificate),
                        .sha256 = fingerprint_of(certificate)});
}

}  // namespace holdfast::http
