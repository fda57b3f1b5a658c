// Where approvals stand, as the data plane and the officers ask for it. They change only by
// records (audit::ApprovalStep); this port reads.
//
// Safe to call from any thread; a coroutine resumes on the executor it awaited on. kUnavailable,
// kTimeout, kLimit: no answer now, and nothing may be concluded.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "approval/approval.h"
#include "base/result.h"
#include "base/task.h"

namespace holdfast::approval {

struct ApprovalFilter {
  std::vector<ApprovalState> states;   // Empty: any.
  std::optional<std::int64_t> before;  // Numbers below it.
  int at_most = 50;
};

class ApprovalSource {
 public:
  virtual ~ApprovalSource() = default;

  // nullopt: there is none.
  virtual Task<Result<std::optional<Approval>>> find(Uuid code) = 0;
  virtual Task<Result<std::optional<Approval>>> newest(Sha256 binding) = 0;

  // The newest rejection that stands of what the operation (as records have it) acts on, asked for
  // by that requester, however the call was sent then.
  virtual Task<Result<std::optional<Approval>>> rejection(std::string operation,
                                                          std::string requester) = 0;

  // One of that binding that people have given, where it is at hand (approved_calls.h): without
  // asking, and once.
  virtual std::optional<ApprovedCall> at_hand(const Sha256& binding) = 0;

  // The rest is for officers: the data plane's database role may not.
  // Newest first.
  virtual Task<Result<std::vector<Approval>>> list(ApprovalFilter filter) = 0;

  // What else there is to know for deciding on one, as schema/openapi.yaml describes it: `earlier`
  // approvals of the same, `holds` on the mailbox, `limits` with what is used of them, `preimage`,
  // `similar` calls. Empty: there is no such approval.
  virtual Task<Result<nlohmann::json>> context(Uuid code) = 0;
};

}  // namespace holdfast::approval
