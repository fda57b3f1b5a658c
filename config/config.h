// What a Holdfast process is told: a typed value, read once at start and never changed after.
//
//   LoadOptions options{.file = "holdfast.yaml", .environment = holdfast_environment()};
//   Result<Config> config = load_config(options);
//   if (config.ok()) status = check_for(*config, Role::kProxy);
//
// Later sources win: defaults (the initialisers below) < file < HOLDFAST_* environment < --set.
// A key's environment name is HOLDFAST_ and its path in upper case joined by two underscores:
// proxy.tls.key_file is HOLDFAST_PROXY__TLS__KEY_FILE. What each key means, its limits and who
// needs it stand once, in config/fields.cc; `holdfast config example` prints them.
//
// Secrets never stand in the configuration: it names the files that hold them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"

namespace holdfast::config {

using std::chrono::milliseconds;

// Where to listen. Port 0: any free one.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};

enum class ClientCertificates { kNone, kOptional, kRequired };

// PEM files; certificate and key empty: plain HTTP.
struct Tls {
  std::string certificate_file;
  std::string key_file;
  ClientCertificates client_certificates = ClientCertificates::kNone;  // The proxy's only.
  std::string client_ca_file;
};

// What load balancers in front write before a connection's first byte.
enum class ProxyProtocol { kOff, kV2 };

struct Database {
  std::string url;            // libpq URL or keywords, without a password.
  std::string password_file;  // Its first line is the password; empty: none is sent.
};

struct ProxyLimits {
  int connections = 10'000;
  int connections_per_address = 2'000;
  int requests_in_flight = 4'096;
  int guarded_in_flight = 1'024;
  std::size_t header_bytes = 32 * 1024;
  int header_count = 100;
  std::size_t target_bytes = 8 * 1024;
  std::size_t body_bytes = std::size_t{1} << 30;
  std::size_t buffered_body_bytes = 4 * 1024 * 1024;
  std::size_t buffered_bodies_bytes = 256 * 1024 * 1024;
  std::size_t queued_answer_bytes = 256 * 1024;
  std::size_t transfer_bytes_per_second = 1024;
};

struct ProxyTimeouts {
  milliseconds handshake{10'000};
  milliseconds header{10'000};
  milliseconds body{30'000};
  milliseconds idle{75'000};
  milliseconds write{30'000};
};

struct Proxy {
  Endpoint listen{"127.0.0.1", 8443};
  std::string public_origin;  // Empty: wherever each request was sent to.
  int threads = 2;
  Tls tls;
  std::string spool_dir;
  std::vector<std::string> trusted_proxies;  // CIDR blocks, each checked.
  ProxyProtocol proxy_protocol = ProxyProtocol::kOff;
  std::vector<std::string> metrics_from{"127.0.0.0/8", "::1/128"};
  milliseconds drain_delay{0};
  milliseconds drain_timeout{30'000};
  ProxyLimits limits;
  ProxyTimeouts timeouts;
  Database database;
};

struct Upstream {
  std::string origin = "https://graph.microsoft.com";  // Scheme, host and port only.
  std::string ca_file;                                 // Empty: the system's certificates.
  std::string egress_proxy;                            // http://host:port; empty: none.
  std::string egress_credentials_file;                 // Its first line is user:password.
  milliseconds connect_timeout{5'000};
  milliseconds response_timeout{100'000};
  milliseconds guarded_answer_timeout{30'000};
  milliseconds idle_timeout{30'000};
  milliseconds pool_idle_max{20'000};
  int connections = 512;
  int connections_per_address = 256;
  int guarded_connections = 128;
  int idle_connections = 256;
};

enum class IdentityMode { kPassthrough, kMtls };

// A name in client certificates and the app it stands for.
struct CertificateApp {
  std::string name;       // DNS:… in lower case, or URI:…
  std::string tenant_id;  // Both in lower case.
  std::string app_id;
};

struct Identity {
  IdentityMode mode = IdentityMode::kPassthrough;
  std::vector<CertificateApp> certificates;  // Each name once.
  milliseconds probe_timeout{10'000};
  int failed_probes_per_address = 300;
  int failed_probes = 3'000;
  milliseconds mailbox_cache{600'000};
};

struct Rules {
  std::string file;
  milliseconds facts_timeout{5'000};
  milliseconds watch_interval{5'000};
  bool two_people = true;
};

// Who may read the log's entries in bulk.
enum class EntryReaders { kOfficers, kAnyone };

// How the personal values of records are kept.
enum class PersonalData { kClear, kSealed };

struct AuditLog {
  milliseconds lease{15'000};
  milliseconds append_timeout{5'000};
  PersonalData personal_data = PersonalData::kClear;
};

// The log's identity to the outside, and what vouches for it.
struct LogTree {
  std::string origin;
  std::vector<std::string> key_files;      // Empty: this process signs nothing.
  std::vector<std::string> verifier_keys;  // Of keys that sign no more; in form only.
  std::string checkpoint_file;
  EntryReaders entries = EntryReaders::kOfficers;
  int partition_records = 1 << 22;  // As the migrations make them.
};

// What Graph is asked with: a token from a file, or credentials of an application. Neither: it is
// not asked.
struct GraphAccess {
  std::string token_file;
  std::string tenant;
  std::string client_id;
  std::string client_secret_file;
  std::string authority = "https://login.microsoftonline.com";  // Scheme, host and port only.

  bool is_given() const { return !token_file.empty() || !tenant.empty(); }
};

// How operations whose outcome is unknown are settled.
struct Reconcile {
  GraphAccess access;
  milliseconds after{600'000};
};

// A list of the rules that follows eDiscovery's legal holds.
struct HoldSync {
  std::string list_file;           // Empty: none does.
  std::vector<std::string> holds;  // CASE or CASE/HOLD, each checked; none: all there are.
  milliseconds interval{300'000};
  GraphAccess access;
};

// The identity provider that officers sign in with (OpenID Connect). No issuer: API tokens only.
struct SignIn {
  std::string issuer;
  std::string audience;
  std::string tenant;
  std::string keys_url;
  std::string ca_file;  // Empty: the system's certificates.
};

// Who holds the log's checkpoints outside the database; what is empty is not used.
struct Anchors {
  std::string file;
  std::string policy_file;  // The witnesses.
  milliseconds witness_interval{1'000};
  std::string timestamp_url;
  std::string timestamp_ca_file;
  milliseconds timestamp_interval{60'000};
  std::string sink_url;
  std::string sink_token_file;
  std::string ca_file;  // For all of them; empty: the system's certificates.
  milliseconds timeout{10'000};
};

// Who is told of approvals.
struct Webhooks {
  std::string file;     // Names the receivers; empty: nobody is told.
  std::string ca_file;  // For all of them; empty: the system's certificates.
  milliseconds timeout{10'000};
  milliseconds warn_before{1'800'000};
};

struct AuditLimits {
  int connections = 2'000;
  int connections_per_address = 400;
  int requests_in_flight = 512;
};

struct Audit {
  Endpoint listen{"127.0.0.1", 8444};
  std::string public_url;  // Scheme, host and port only.
  int threads = 1;
  Tls tls;
  std::string tokens_file;
  SignIn sign_in;
  bool allow_token_approvals = false;
  std::vector<std::string> metrics_from{"127.0.0.0/8", "::1/128"};
  AuditLimits limits;
  Database database;
  LogTree log;
  Reconcile reconcile;
  HoldSync hold_sync;
  Anchors anchors;
  Webhooks webhooks;
  milliseconds drain_timeout{10'000};
};

// What `holdfast migrate` tells the database about retention.
struct RetentionTerms {
  milliseconds floor{0};  // 0: nothing may be dropped.
  bool anchored = true;
};

struct Migrate {
  Database database;
  RetentionTerms retention;
};

// Of `holdfast retention`.
struct Retention {
  milliseconds age{0};  // 0: not set.
  Database database;
};

struct Records {
  std::string url = "https://127.0.0.1:8444";
  std::string token_file;
  std::string ca_file;
};

struct Logging {
  LogLevel level = LogLevel::kInfo;
};

struct Config {
  Proxy proxy;
  Upstream upstream;
  Identity identity;
  Rules rules;
  AuditLog audit_log;
  Audit audit;
  Migrate migrate;
  Retention retention;
  Records records;
  Logging logging;

  // Key path -> what set it: "holdfast.yaml:12", an environment name or "--set". Defaults are
  // absent.
  std::map<std::string, std::string> origins;

  // "holdfast.yaml:12: rules.file: ", to begin a message about that key's value with.
  std::string where(const std::string& key) const;
};

struct LoadOptions {
  std::string file;  // Empty: HOLDFAST_CONFIG of the environment, or no file at all.
  std::map<std::string, std::string> environment;  // Only HOLDFAST_* names matter.
  std::vector<std::string> settings;               // "proxy.listen=127.0.0.1:0", later ones win.
};

// The HOLDFAST_* part of this process's environment.
std::map<std::string, std::string> holdfast_environment();

// File paths in the file are relative to its directory, those from elsewhere to the working
// directory. kInvalid or kNotFound: one line that names file and line, variable or flag, and key.
Result<Config> load_config(const LoadOptions& options);

enum class Role { kProxy, kAudit, kCheck, kMigrate, kRetention, kErasure, kRecords };

// Whether the keys that a role needs are set and the files it was told of can be read. kInvalid:
// one line that names the key.
Status check_for(const Config& config, Role role);

// A complete file with every key, its default or an example, and what it means.
std::string example_yaml();

// The effective configuration as a file, with the origin of every value that is not the default.
std::string dump_yaml(const Config& config);

// The JSON Schema (draft 4) of the file.
std::string schema_json();

}  // namespace holdfast::config
