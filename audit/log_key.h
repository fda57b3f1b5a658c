// The files that hold the log's signing keys: PKCS #8 in PEM, readable by their owner only.
#pragma once

#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "base/result.h"

namespace holdfast::audit {

// Makes a key and its file, mode 0600, never over an existing one (kRefused). Returns who may
// verify: the public half.
Result<VerifierKey> make_log_key(const std::string& path, const std::string& origin);

// kRefused: others than the owner have rights to the file. kInvalid, kNotFound: it holds no Ed25519
// key, is there twice, or the origin cannot be a key's name. The message names the file.
Result<std::vector<NoteSigner>> load_log_keys(const std::vector<std::string>& paths,
                                              const std::string& origin);

}  // namespace holdfast::audit
