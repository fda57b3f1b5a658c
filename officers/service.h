// `holdfast audit` as one object: the audit log it records readings in, the record source, the
// background tasks and the HTTP server, started together and stopped in the right order.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "approval/approvals_postgres.h"
#include "approval/generations_postgres.h"
#include "approval/reviews_postgres.h"
#include "audit/conninfo.h"
#include "audit/log_postgres.h"
#include "audit/queries_postgres.h"
#include "audit/retention.h"
#include "audit/tree_keeper_postgres.h"
#include "audit/tree_source_postgres.h"
#include "base/loop.h"
#include "base/result.h"
#include "http/server.h"
#include "officers/anchors.h"
#include "officers/api.h"
#include "officers/hold_sync.h"
#include "officers/holds_postgres.h"
#include "officers/reconciler.h"
#include "officers/token_source_postgres.h"
#include "officers/tokens.h"
#include "officers/webhooks.h"

namespace holdfast::officers {

struct ServiceOptions {
  http::ServerOptions server;
  audit::Database database;  // As holdfast_audit.
  std::chrono::milliseconds lease{15'000};
  std::chrono::milliseconds append_timeout{5'000};
  Tokens tokens;
  std::unique_ptr<identity::SignInVerifier> sign_in;  // Null: officers have API tokens only.
  // The log's identity, what signs it, and where the newest checkpoint seen is kept. Without a key
  // this process signs nothing, and serves what others have signed.
  std::string origin;
  std::vector<audit::NoteSigner> signers;
  std::string checkpoint_file;
  std::uint64_t partition_records = audit::kPartitionRecords;
  config::Anchors anchors;
  config::Webhooks webhooks;
  NoticeLinks notice_links;
  EntryReaders entry_readers = EntryReaders::kOfficers;
  // What Graph is asked with about operations whose outcome is unknown; null: it is not asked.
  std::unique_ptr<identity::GraphCredential> credential;
  ReconcileOptions reconcile;
  // What Graph is asked with for eDiscovery's holds; null: no list follows them.
  std::unique_ptr<identity::GraphCredential> hold_credential;
  HoldSyncOptions hold_sync;
  approval::TokenApprovals token_approvals = approval::TokenApprovals::kRefused;
  std::vector<approval::Network> metrics_from;  // Who /metrics is for.
};

class Service {
 public:
  // Serves when it returns. Does not wait for the database: until that can be reached, /readyz
  // answers 503 and says why. Errors: those of http::Server::start, audit::LogPostgres::open and
  // audit::TreeKeeper::open.
  static Result<std::unique_ptr<Service>> start(ServiceOptions options);

  // Closes what is still open at once.
  ~Service();

  std::uint16_t port() const { return server_->port(); }

  // See http::Server::reload_tls.
  Status reload_tls() { return server_->reload_tls(); }

  // Stops accepting and lets requests in flight finish. False: some were left at `timeout`.
  bool drain(std::chrono::milliseconds timeout);

 private:
  explicit Service(Tokens tokens, std::unique_ptr<identity::SignInVerifier> sign_in)
      : tokens_(std::move(tokens)), sign_in_(std::move(sign_in)) {}
  void expose_loops();
  void start_loops(const ServiceOptions& options);
  void start_reconciling(ServiceOptions& options);
  void start_hold_sync(ServiceOptions& options);
  std::vector<std::string> loop_problems() const;
  TreeRole tree_role() const;
  ReconcileRole reconcile_role() const;

  const Tokens tokens_;
  const std::unique_ptr<identity::SignInVerifier> sign_in_;
  Metrics metrics_;  // What reads the members below is asked only while the server runs.
  ApiMetrics api_metrics_{metrics_};
  std::unique_ptr<audit::LogPostgres> log_;
  std::unique_ptr<audit::PostgresRecordSource> records_;
  std::unique_ptr<audit::PostgresTreeSource> tree_;
  std::unique_ptr<approval::PostgresApprovalSource> approvals_;
  std::unique_ptr<approval::PostgresGenerationSource> generations_;
  std::unique_ptr<PostgresTokenSource> stored_tokens_;
  std::unique_ptr<PostgresHoldSource> holds_;
  std::string origin_;
  std::unique_ptr<approval::PostgresReviewSource> reviews_;
  std::unique_ptr<approval::ReviewWatch> review_watch_;
  std::unique_ptr<Anchors> anchors_;
  std::unique_ptr<Webhooks> webhooks_;
  std::unique_ptr<audit::TreeKeeper> keeper_;  // Null: this process does not sign.
  std::unique_ptr<Reconciler> reconciler_;     // Null: it asks nobody.
  std::unique_ptr<HoldSync> hold_sync_;        // Null: no list follows eDiscovery.
  std::vector<std::unique_ptr<Loop>> loops_;   // Complete before the server starts.
  std::unique_ptr<http::Server> server_;
};

}  // namespace holdfast::officers
