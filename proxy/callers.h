// Who sends a guarded call: whom it names, and whether Graph says that this is so.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/task.h"
#include "identity/claims.h"
#include "identity/graph_lookup.h"
#include "identity/probe_budget.h"
#include "identity/verifier.h"
#include "proxy/call.h"
#include "proxy/pipeline_metrics.h"
#include "proxy/refusal.h"

namespace holdfast::proxy {

struct Caller {
  identity::BearerToken token;
  identity::Actor actor;
};

// For one worker's thread; refers to its arguments, which must outlive it.
class Callers {
 public:
  Callers(identity::Verifier& verifier, identity::ProbeBudget& probes,
          identity::GraphLookup& lookup, const PipelineMetrics& metrics)
      : verifier_(verifier), probes_(probes), lookup_(lookup), metrics_(metrics) {}

  // Who a call names as its caller: verified where Graph has accepted the token before.
  std::variant<Caller, Refusal> named_in(const Call& call);
  // nullopt once the caller is verified, which may take a question to Graph.
  Task<std::optional<Refusal>> verify(Caller& caller, const Call& call);

 private:
  identity::Verifier& verifier_;
  identity::ProbeBudget& probes_;
  identity::GraphLookup& lookup_;
  const PipelineMetrics& metrics_;
};

}  // namespace holdfast::proxy
