#include "cli/verify_trust.h"

#include <algorithm>
#include <sstream>

#include "audit/log_key.h"
#include "base/files.h"

namespace holdfast::cli {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;

// A key as text, or a file with one on each line.
Status add_keys(const std::string& text, std::vector<audit::VerifierKey>& keys) {
  Result<audit::VerifierKey> key = audit::VerifierKey::parse(text);
  if (key.ok()) {
    keys.push_back(*std::move(key));
    return {};
  }
  const Result<std::string> lines = read_file(text, kFileBytesMax, Readers::kAnyone);
  if (!lines.ok()) return invalid("--key " + text + ": neither a verifier key nor a file of them");
  const std::size_t before = keys.size();
  std::istringstream stream(*lines);
  for (std::string line; std::getline(stream, line);) {
    if (line.empty()) continue;
    Result<audit::VerifierKey> in_file = audit::VerifierKey::parse(line);
    if (!in_file.ok()) return invalid("--key " + text + ": " + in_file.error().message);
    keys.push_back(*std::move(in_file));
  }
  if (keys.size() == before) return invalid("--key " + text + ": no key is in it");
  return {};
}

Status add_policy(const std::string& path, VerifyTrust& trust) {
  const Result<std::string> text = read_file(path, kFileBytesMax, Readers::kAnyone);
  if (!text.ok()) return invalid(text.error().message);
  Result<audit::Policy> policy = audit::Policy::parse(*text);
  if (!policy.ok()) return invalid(path + ": " + policy.error().message);
  trust.policy = *std::move(policy);
  return {};
}

Status add_timestamps(const std::string& path, VerifyTrust& trust) {
  const Result<std::string> pem = read_file(path, kFileBytesMax, Readers::kAnyone);
  if (!pem.ok()) return invalid(pem.error().message);
  Result<TimestampTrust> timestamps = TimestampTrust::from_pem(*pem);
  if (!timestamps.ok()) return invalid(path + ": " + timestamps.error().message);
  trust.timestamps = *std::move(timestamps);
  return {};
}

// What they signed stays in the log.
Status add_retired_keys(const config::LogTree& log, std::vector<audit::VerifierKey>& keys) {
  for (const std::string& text : log.verifier_keys) {
    Result<audit::VerifierKey> key = audit::VerifierKey::parse(text);
    if (!key.ok()) return invalid("audit.log.verifier_keys: " + text + ": " + key.error().message);
    if (!log.origin.empty() && key->name != log.origin) {
      return invalid("audit.log.verifier_keys: " + text + ": not a key of the log " + log.origin);
    }
    keys.push_back(*std::move(key));
  }
  return {};
}

Status find_keys(const config::LogTree& log, VerifyTrust& trust) {
  if (!log.key_files.empty()) {
    const auto signers = audit::load_log_keys(log.key_files, log.origin);
    if (!signers.ok()) return signers.error();
    for (const audit::NoteSigner& signer : *signers) trust.keys.push_back(signer.verifier());
  }
  if (Status added = add_retired_keys(log, trust.keys); !added.ok()) return added;
  if (!trust.keys.empty() || !trust.policy) return {};
  trust.keys = trust.policy->logs();
  const auto is_other = [&](const audit::VerifierKey& key) {
    return key.name != trust.keys.front().name;
  };
  if (std::ranges::none_of(trust.keys, is_other)) return {};
  return invalid("the policy names several logs: say which one with --key");
}

}  // namespace

Result<VerifyTrust> load_trust(const std::vector<std::string>& named, const config::Audit& audit) {
  VerifyTrust trust;
  for (const std::string& text : named) {
    if (Status added = add_keys(text, trust.keys); !added.ok()) return added.error();
  }
  const config::Anchors& anchors = audit.anchors;
  Status added;
  if (!anchors.policy_file.empty()) added = add_policy(anchors.policy_file, trust);
  if (added.ok() && !anchors.timestamp_ca_file.empty()) {
    added = add_timestamps(anchors.timestamp_ca_file, trust);
  }
  if (added.ok() && trust.keys.empty()) added = find_keys(audit.log, trust);
  if (!added.ok()) return added.error();
  return trust;
}

}  // namespace holdfast::cli
