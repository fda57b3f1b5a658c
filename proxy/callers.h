// Who sends a guarded call. By default whom its token names, once Graph says that this is so; where
// client certificates are listed, the app that the client's stands for.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/task.h"
#include "identity/certificate_apps.h"
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
  // `certificates` is null where Graph is asked.
  Callers(const identity::CertificateApps* certificates, identity::Verifier& verifier,
          identity::ProbeBudget& probes, identity::GraphLookup& lookup,
          const PipelineMetrics& metrics)
      : certificates_(certificates),
        verifier_(verifier),
        probes_(probes),
        lookup_(lookup),
        metrics_(metrics) {}

  // Who a call names as its caller: verified where its certificate says so, or where Graph has
  // accepted the token before.
  std::variant<Caller, Refusal> named_in(const Call& call);
  // nullopt once the caller is verified, which may take a question to Graph, and nothing in the
  // token speaks against it.
  Task<std::optional<Refusal>> verify(Caller& caller, const Call& call);

 private:
  const identity::CertificateApps* certificates_;
  identity::Verifier& verifier_;
  identity::ProbeBudget& probes_;
  identity::GraphLookup& lookup_;
  const PipelineMetrics& metrics_;
};

}  // namespace holdfast::proxy
