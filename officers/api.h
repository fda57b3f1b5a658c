// The audit service's HTTP API as schema/openapi.yaml describes it: who may ask, what is answered,
// and the record of the asking, which is durable before the answer leaves.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "approval/approval_source.h"
#include "approval/generation_source.h"
#include "approval/network.h"
#include "approval/review_source.h"
#include "audit/anchors_postgres.h"
#include "audit/audit_log.h"
#include "audit/queries.h"
#include "audit/tree_source.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "http/server.h"
#include "identity/sign_in_verifier.h"
#include "officers/api_metrics.h"
#include "officers/holds.h"
#include "officers/token_source.h"
#include "officers/tokens.h"

namespace holdfast::officers {

// More records behind than this, and answers would be incomplete: not ready.
constexpr std::int64_t kSearchLagMax = 10'000;

// What this process has to do with the log's tree.
struct TreeRole {
  std::string origin;             // Empty: none configured.
  std::vector<std::string> keys;  // Verifier keys that it signs with; empty: it signs nothing.
  audit::TreeStatus status;
  std::vector<audit::AnchorStatus> anchors;
};

// How operations whose outcome is unknown are settled.
struct ReconcileRole {
  bool asks = false;    // This process has a credential to ask Graph with.
  std::string problem;  // Why it could not last time; empty: it could.
};

// Who may read entries under /log/.
enum class EntryReaders { kOfficers, kAnyone };

// What the handlers of all workers share. Everything must outlive them and be safe from any thread.
struct ApiServices {
  audit::RecordSource& records;
  audit::TreeSource& tree;
  audit::AuditLog& log;
  approval::ApprovalSource& approvals;
  approval::ReviewSource& reviews;
  approval::GenerationSource& generations;
  const Tokens& tokens;        // Of the operator's file.
  TokenSource& stored_tokens;  // Those that admins made.
  HoldSource& holds;
  identity::SignInVerifier* sign_in;  // Null: officers have API tokens only.
  const Clock& clock;
  ApiMetrics& metrics;
  std::vector<approval::Network> metrics_from;  // Who /metrics is for.
  // What keeps the service from being ready besides database and log; one line each.
  std::function<std::vector<std::string>()> problems;
  std::function<TreeRole()> tree_role;
  EntryReaders entry_readers = EntryReaders::kOfficers;
  std::function<ReconcileRole()> reconcile_role = [] { return ReconcileRole(); };
  approval::TokenApprovals token_approvals = approval::TokenApprovals::kRefused;
};

// Whether that target asks how the service does: whoever watches it must be answered when there is
// too much to do, too, if only to learn that.
bool is_probe(std::string_view target);

std::unique_ptr<http::Handler> make_api(const ApiServices& services);

// Path templates of the API, as in the OpenAPI document.
const std::vector<std::string>& api_paths();

}  // namespace holdfast::officers
