#include "audit/log_key.h"

#include "base/files.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kKeyBytesMax = 16 * 1024;

Status check_origin(const std::string& origin) {
  if (is_key_name(origin)) return {};
  return Error{ErrorCode::kInvalid, "the log's origin \"" + origin +
                                        "\" must be a name without spaces and plus signs, such as "
                                        "audit.contoso.com/log"};
}

}  // namespace

Result<VerifierKey> make_log_key(const std::string& path, const std::string& origin) {
  if (Status named = check_origin(origin); !named.ok()) return named.error();
  const SigningKey key = SigningKey::generate();
  if (Status made = create_private_file(path, key.to_pem()); !made.ok()) return made.error();
  return VerifierKey{.name = origin, .public_key = key.public_key()};
}

Result<std::vector<NoteSigner>> load_log_keys(const std::vector<std::string>& paths,
                                              const std::string& origin) {
  if (Status named = check_origin(origin); !named.ok()) return named.error();
  std::vector<NoteSigner> signers;
  for (const std::string& path : paths) {
    const Result<std::string> pem = read_file(path, kKeyBytesMax, Readers::kOwnerOnly);
    if (!pem.ok()) return pem.error();
    Result<SigningKey> key = SigningKey::from_pem(*pem);
    if (!key.ok()) return Error{ErrorCode::kInvalid, path + ": " + key.error().message};
    NoteSigner signer(origin, *std::move(key));
    for (const NoteSigner& other : signers) {
      if (other.verifier() == signer.verifier()) {
        return Error{ErrorCode::kInvalid, path + ": the same key is configured twice"};
      }
    }
    signers.push_back(std::move(signer));
  }
  return signers;
}

}  // namespace holdfast::audit
