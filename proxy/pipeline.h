// The life of a request on the data plane: classify, identify, gather facts, decide, record the
// intent, forward, record the outcome, respond. The branching is in handle(); the steps compute and
// return values.
//
// One Pipeline belongs to one worker and runs on its thread only. What the workers share is behind
// the references in PipelineParts, each of which synchronises itself and outlives every pipeline.
//
// A crash at any point leaves either nothing, or an intent that is settled afterwards: no byte of a
// guarded call leaves before its intent is committed.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "approval/approval_source.h"
#include "approval/network.h"
#include "approval/rule_store.h"
#include "audit/audit_log.h"
#include "base/budget.h"
#include "base/shared_budget.h"
#include "graph/classify.h"
#include "http/server.h"
#include "identity/certificate_apps.h"
#include "identity/graph_lookup.h"
#include "identity/mailboxes.h"
#include "identity/probe_budget.h"
#include "identity/verifier.h"
#include "proxy/approval_desk.h"
#include "proxy/call.h"
#include "proxy/callers.h"
#include "proxy/inside_links.h"
#include "proxy/open_operations.h"
#include "proxy/pipeline_metrics.h"
#include "proxy/record_content.h"
#include "proxy/refusal.h"
#include "proxy/refusal_budget.h"
#include "proxy/upstream.h"

namespace holdfast::proxy {

// Shared by all workers.
struct PipelineParts {
  audit::AuditLog& log;
  approval::RuleStore& rules;
  approval::ApprovalSource& approvals;
  identity::Verifier& verifier;
  identity::MailboxDirectory& mailboxes;
  RefusalBudget& refusals;
  identity::ProbeBudget& probes;
  Budget& guarded_in_flight;
  SharedBudget& buffered_bodies;  // Bytes, by client address.
  Metrics& metrics;
  const Clock& clock;
  const std::atomic<bool>& draining;                        // Balancers are to turn away.
  const identity::CertificateApps* certificates = nullptr;  // See proxy/callers.h.
  std::vector<approval::Network> trusted_proxies;
  std::vector<approval::Network> metrics_from;  // Who /holdfast/metrics is for.
  std::size_t buffered_body_bytes_max = 4 * 1024 * 1024;
  std::chrono::milliseconds facts_timeout{5'000};  // See ItemReader.
  std::string audit_url;  // Of the audit service, as clients reach it; empty: not told.
  LinkSettings links;
  std::size_t worker = 0;  // Which one this pipeline is for, in metrics.
};

// Whether that target asks how the proxy does, and for nothing of Graph: whoever watches it must be
// answered above all when there is too much to do.
bool is_probe(std::string_view target);

class Pipeline final : public http::Handler {
 public:
  Pipeline(PipelineParts parts, std::unique_ptr<Upstream> upstream,
           std::unique_ptr<identity::GraphLookup> lookup);

  Task<http::Response> handle(http::Request request) override;
  // Recorded where what was asked for, by any reading of what could be read, may have been guarded;
  // not where there were too many requests, because nobody may flood the log.
  Task<http::Response> refuse(http::Unreadable request) override;

 private:
  // The life of the call itself.
  Task<http::Response> handle(Call& call);
  Task<http::Response> refuse(Call& call, const Refusal& refusal);
  // nullopt once the call's content is read.
  Task<std::optional<Refusal>> read_content(Call& call, std::size_t bytes_max,
                                            SharedBudget::Share& memory);
  // Decides, and commits the intent; decides again where other rules came into force meanwhile.
  Task<std::variant<audit::Receipt, http::Response>> commit_call(Subject& subject,
                                                                 const Caller& caller,
                                                                 CallMembers& members);
  // By the rules in force, of which there are some. Adds the mailbox's names to the subject.
  Task<DecisionBasis> decide_call(Subject& subject, const Caller& caller);

  // Commits the intent, with the approval it claims and the limits it takes; else the answer. The
  // decision changes where a limit is spent beyond which calls need approval.
  struct Outdated {};  // Other rules are in force: nothing happened.
  Task<std::variant<audit::Receipt, http::Response, Outdated>> commit_intent(
      Subject& subject, const CallMembers& members, DecisionBasis& basis);

  // At once when the intent of a call that goes past its approval is durable.
  void alarm(const Subject& subject, const audit::RecordRef& intent) const;

  // Both take the request's head with them.
  Task<http::Response> pass_through(
      Call& call, graph::LinkRewriter::Content content_kind = graph::LinkRewriter::Content::kPlain);
  Task<http::Response> pass_batch(Call& call, Subject& subject, std::optional<std::string> version);
  // Where another call or an officer is first to change the approval that the refusal's record
  // files or ends, the answer is how it stands then, which may be a new step; but only once.
  enum class IfOvertaken { kLookAgain, kGiveUp };
  Task<http::Response> refuse_call(const Subject& subject, Refusal refusal,
                                   const DecisionBasis* basis = nullptr,
                                   IfOvertaken if_overtaken = IfOvertaken::kLookAgain);
  Task<http::Response> own_approval(Call& call);
  http::Response answer_forwarded(const Subject& subject, const audit::RecordRef& intent,
                                  ForwardResult result, const Result<audit::RecordRef>& ended);
  void name_record(http::Response& response, const std::string& record) const;
  http::Response audit_unavailable(const Call& call) const;
  // The same, where the log did not take the call's record. What it never will is for the operator.
  http::Response unrecorded(const Call& call, const Error& error) const;
  http::Response local_endpoint(const Call& call) const;

  PipelineParts parts_;
  const PipelineMetrics metrics_;
  const std::shared_ptr<OpenOperations> open_;  // Shared with the metrics, which live longer.
  std::unique_ptr<Upstream> upstream_;
  std::unique_ptr<identity::GraphLookup> lookup_;
  ApprovalDesk desk_;
  Callers callers_;
};

}  // namespace holdfast::proxy
