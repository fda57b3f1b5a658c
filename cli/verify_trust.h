// Whose word `holdfast verify` takes: the log's keys, witnesses and time-stamp authorities, as they
// were named or as the configuration names them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/policy.h"
#include "base/result.h"
#include "base/timestamp.h"
#include "config/config.h"

namespace holdfast::cli {

struct VerifyTrust {
  std::vector<audit::VerifierKey> keys;  // None: nobody knows who signs the log.
  std::optional<audit::Policy> policy;
  std::optional<TimestampTrust> timestamps;
};

// `named`: keys as text or files of them. Without any, the keys that this configuration's audit
// service signs with or signed with before; without those, the logs of the policy. kInvalid is a
// usage error in one line.
Result<VerifyTrust> load_trust(const std::vector<std::string>& named, const config::Audit& audit);

}  // namespace holdfast::cli
