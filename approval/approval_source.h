// Where approvals stand, as the data plane and the officers ask for it. They change only by
// records (audit::ApprovalStep); this port reads.
//
// Safe to call from any thread; a coroutine resumes on the executor it awaited on. kUnavailable,
// kTimeout, kLimit: no answer now, and nothing may be concluded.
#pragma once

#include <cstdint>
#include <optional>
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

  // Newest first. For officers: the data plane's database role may not.
  virtual Task<Result<std::vector<Approval>>> list(ApprovalFilter filter) = 0;
};

}  // namespace holdfast::approval
