#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstdio>
#include <cstdlib>

#include "base/signing.h"

#include "base/bytes_openssl.h"

namespace holdfast {
namespace {

using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

constexpr std::size_t kSignatureBytes = 64;

// A library that cannot do Ed25519 with a key it has accepted is broken, and so is memory.
void require(bool worked) {
  if (worked) return;
  std::fputs("holdfast: Ed25519 does not work; stopping\n", stderr);
  std::abort();
}

// Encrypted keys are refused; OpenSSL would ask for the pass phrase on the terminal.
int no_pass_phrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

void SigningKey::Free::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

SigningKey SigningKey::generate() {
  Handle key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  require(key != nullptr);
  return SigningKey(std::move(key));
}

Result<SigningKey> SigningKey::from_pem(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  require(bio != nullptr);
  Handle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_pass_phrase, nullptr));
  if (!key) {
    return Error{ErrorCode::kInvalid, "not a private key in PEM, or one with a pass phrase"};
  }
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    return Error{ErrorCode::kInvalid, "not an Ed25519 key"};
  }
  return SigningKey(std::move(key));
}

std::string SigningKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_secmem()), &BIO_free);
  require(bio != nullptr && PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0,
                                                     nullptr, nullptr) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

Ed25519PublicKey SigningKey::public_key() const {
  Ed25519PublicKey key{};
  std::size_t size = key.size();
  require(EVP_PKEY_get_raw_public_key(key_.get(), key.data(), &size) == 1 && size == key.size());
  return key;
}

std::string SigningKey::sign(std::string_view message) const {
  const DigestContext context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::string signature(kSignatureBytes, '\0');
  std::size_t size = signature.size();
  require(context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
  require(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                         data_of(message), message.size()) == 1);
  require(size == signature.size());
  return signature;
}

bool verify_signature(const Ed25519PublicKey& key, std::string_view message,
                      std::string_view signature) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> handle(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()),
      &EVP_PKEY_free);
  const DigestContext context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  if (!handle || !context || signature.size() != kSignatureBytes) return false;
  return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle.get()) == 1 &&
         EVP_DigestVerify(context.get(), data_of(signature), signature.size(), data_of(message),
                          message.size()) == 1;
}

}  // namespace holdfast
