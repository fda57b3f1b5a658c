#include "config/fields.h"

#include <algorithm>

namespace holdfast::config {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMiB = 1024 * kKiB;
constexpr std::size_t kGiB = 1024 * kMiB;
constexpr milliseconds kYear = 366 * 24h;

// Kept apart by section only so that each function stays short.

void add_proxy(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"proxy.listen", EndpointKind{[](Config& c) -> auto& { return c.proxy.listen; }},
       "Address and port that client apps connect to."},
      {"proxy.public_origin", OriginKind{[](Config& c) -> auto& { return c.proxy.public_origin; }},
       "Where clients find this proxy: links in Graph's answers lead there. Without it, to the "
       "Host that the request named, by https where the proxy serves it, and an ordinary request "
       "that names none (HTTP/1.0) is refused; set it where something in front changes either.",
       "https://holdfast.example.com"},
      {"proxy.threads", CountKind{[](Config& c) -> auto& { return c.proxy.threads; }, 1, 256},
       "Worker threads; each serves its own connections."},
      {"proxy.tls.certificate_file",
       FileKind{[](Config& c) -> auto& { return c.proxy.tls.certificate_file; }},
       "PEM certificate chain to serve HTTPS with. Without it: plain HTTP, and official Graph SDKs "
       "withhold the token.",
       "/etc/holdfast/proxy.crt"},
      {"proxy.tls.key_file", FileKind{[](Config& c) -> auto& { return c.proxy.tls.key_file; }},
       "PEM private key of that certificate, without a passphrase. SIGHUP reads both again.",
       "/etc/holdfast/proxy.key"},
      {"proxy.tls.client_certificates",
       ChoiceKind{[](const Config& c) { return static_cast<int>(c.proxy.tls.client_certificates); },
                  [](Config& c, int i) {
                    c.proxy.tls.client_certificates = static_cast<ClientCertificates>(i);
                  },
                  {"none", "optional", "required"},
                  {}},
       "Whether client apps are asked for a certificate of their own; one that they present must "
       "verify, and is recorded."},
      {"proxy.tls.client_ca_file",
       FileKind{[](Config& c) -> auto& { return c.proxy.tls.client_ca_file; }},
       "PEM certificates that vouch for client apps.", "/etc/holdfast/clients-ca.crt"},
      {"proxy.spool_dir",
       DirectoryKind{[](Config& c) -> auto& { return c.proxy.spool_dir; }},
       "Directory of this proxy alone, on a disk that keeps its word: outcomes that the database "
       "could not take wait here.",
       "/var/lib/holdfast/spool",
       {Role::kProxy}},
      {"proxy.trusted_proxies",
       CidrListKind{[](Config& c) -> auto& { return c.proxy.trusted_proxies; }},
       "Networks of load balancers whose X-Forwarded-For is believed."},
      {"proxy.proxy_protocol",
       ChoiceKind{[](const Config& c) { return static_cast<int>(c.proxy.proxy_protocol); },
                  [](Config& c, int i) { c.proxy.proxy_protocol = static_cast<ProxyProtocol>(i); },
                  {"off", "v2"},
                  {}},
       "v2: every connection from trusted_proxies must begin with a PROXY protocol header of "
       "version 2."},
      {"proxy.metrics_from", CidrListKind{[](Config& c) -> auto& { return c.proxy.metrics_from; }},
       "Networks that /holdfast/metrics is answered to; to others it does not exist."},
      {"proxy.drain_delay",
       DurationKind{[](Config& c) -> auto& { return c.proxy.drain_delay; }, 0ms, 1h},
       "How long after SIGTERM new connections are still served, with readyz saying 503, so that a "
       "balancer can turn away first."},
      {"proxy.drain_timeout",
       DurationKind{[](Config& c) -> auto& { return c.proxy.drain_timeout; }, 0ms, 1h},
       "How long requests in flight may take to finish after that. Guarded calls that have not are "
       "recorded and answered as unknown."},
      {"proxy.database.url",
       DatabaseUrlKind{[](Config& c) -> auto& { return c.proxy.database.url; }},
       "PostgreSQL, as the proxy's own role. No password here.",
       "postgresql://holdfast_proxy@localhost:5432/holdfast",
       {Role::kProxy}},
      {"proxy.database.password_file",
       FileKind{[](Config& c) -> auto& { return c.proxy.database.password_file; }},
       "File that holds that role's password.", "/etc/holdfast/proxy.password"},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_proxy_limits(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"proxy.limits.connections",
       CountKind{[](Config& c) -> auto& { return c.proxy.limits.connections; }, 1, 1'000'000},
       "Client connections at once; further ones are closed as they come."},
      {"proxy.limits.connections_per_address",
       CountKind{[](Config& c) -> auto& { return c.proxy.limits.connections_per_address; }, 1,
                 1'000'000},
       "Of one client address, or one IPv6 /64; further ones are closed. trusted_proxies are not "
       "counted."},
      {"proxy.limits.requests_in_flight",
       CountKind{[](Config& c) -> auto& { return c.proxy.limits.requests_in_flight; }, 1,
                 1'000'000},
       "Requests being answered at once, in the whole process; over it 503. One client address, "
       "or one IPv6 /64, gets a quarter of them at most; trusted_proxies are not counted."},
      {"proxy.limits.guarded_in_flight",
       CountKind{[](Config& c) -> auto& { return c.proxy.limits.guarded_in_flight; }, 1, 100'000},
       "Guarded calls among them; over it 503, with nothing recorded or forwarded."},
      {"proxy.limits.header_bytes",
       BytesKind{[](Config& c) -> auto& { return c.proxy.limits.header_bytes; }, kKiB, kMiB},
       "Request line and headers together; over it 431."},
      {"proxy.limits.header_count",
       CountKind{[](Config& c) -> auto& { return c.proxy.limits.header_count; }, 1, 10'000},
       "Headers of one request; over it 431."},
      {"proxy.limits.target_bytes",
       BytesKind{[](Config& c) -> auto& { return c.proxy.limits.target_bytes; }, 256, kMiB},
       "Path and query of a request; over it 414."},
      {"proxy.limits.body_bytes",
       BytesKind{[](Config& c) -> auto& { return c.proxy.limits.body_bytes; }, kKiB, 1024 * kGiB},
       "Body of any request; over it 413."},
      {"proxy.limits.buffered_body_bytes",
       BytesKind{[](Config& c) -> auto& { return c.proxy.limits.buffered_body_bytes; }, kKiB,
                 64 * kMiB},
       "A body that must be read whole before it is known what the call is, a batch's above all; "
       "over it 413. Of calls that are guarded by their path 64 KiB are taken, whatever this "
       "says."},
      {"proxy.limits.buffered_bodies_bytes",
       BytesKind{[](Config& c) -> auto& { return c.proxy.limits.buffered_bodies_bytes; }, kKiB,
                 1024 * kGiB},
       "All such bodies of the whole process together; over it 503. One client address, or one "
       "IPv6 /64, gets a quarter at most, or one such body if that is more; trusted_proxies are "
       "not counted."},
      {"proxy.limits.queued_answer_bytes",
       BytesKind{[](Config& c) -> auto& { return c.proxy.limits.queued_answer_bytes; }, kKiB,
                 64 * kMiB},
       "Of an answer, what may wait in the system for one connection until the client takes it."},
      {"proxy.limits.transfer_bytes_per_second",
       BytesKind{[](Config& c) -> auto& { return c.proxy.limits.transfer_bytes_per_second; }, 1,
                 kMiB},
       "What a client must send of a body and take of an answer, on average over the time it keeps "
       "Holdfast waiting, beyond one timeout of that kind; else 408, or the connection is closed."},
      {"proxy.timeouts.handshake",
       DurationKind{[](Config& c) -> auto& { return c.proxy.timeouts.handshake; }, 1ms, 1h},
       "TLS handshake of a client, and a PROXY header in front of it."},
      {"proxy.timeouts.header",
       DurationKind{[](Config& c) -> auto& { return c.proxy.timeouts.header; }, 1ms, 1h},
       "From the first byte of a request to the end of its headers."},
      {"proxy.timeouts.body",
       DurationKind{[](Config& c) -> auto& { return c.proxy.timeouts.body; }, 1ms, 1h},
       "Between two parts of a request's body."},
      {"proxy.timeouts.idle",
       DurationKind{[](Config& c) -> auto& { return c.proxy.timeouts.idle; }, 1ms, 1h},
       "Between two requests of one connection."},
      {"proxy.timeouts.write",
       DurationKind{[](Config& c) -> auto& { return c.proxy.timeouts.write; }, 1ms, 1h},
       "Between two parts of an answer that the client takes."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_upstream(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"upstream.origin", OriginKind{[](Config& c) -> auto& { return c.upstream.origin; }},
       "Where Microsoft Graph is: scheme, host and port only."},
      {"upstream.ca_file", FileKind{[](Config& c) -> auto& { return c.upstream.ca_file; }},
       "PEM certificates that vouch for it, instead of the system's.",
       "/etc/holdfast/graph-ca.crt"},
      {"upstream.egress_proxy",
       HttpProxyKind{[](Config& c) -> auto& { return c.upstream.egress_proxy; }},
       "HTTP proxy that every connection to Graph is tunnelled through (CONNECT).",
       "http://egress.example:3128"},
      {"upstream.egress_credentials_file",
       FileKind{[](Config& c) -> auto& { return c.upstream.egress_credentials_file; }},
       "File that holds user:password for that proxy.", "/etc/holdfast/egress.credentials"},
      {"upstream.connect_timeout",
       DurationKind{[](Config& c) -> auto& { return c.upstream.connect_timeout; }, 1ms, 10min},
       "Name, connection and TLS handshake together."},
      {"upstream.response_timeout",
       DurationKind{[](Config& c) -> auto& { return c.upstream.response_timeout; }, 1ms, 1h},
       "From the request's last byte to the answer's headers. A guarded call that passes it is "
       "recorded as unknown."},
      {"upstream.guarded_answer_timeout",
       DurationKind{[](Config& c) -> auto& { return c.upstream.guarded_answer_timeout; }, 1ms, 1h},
       "From the headers of the answer to a guarded call to its end. A call that passes it is "
       "recorded as unknown."},
      {"upstream.idle_timeout",
       DurationKind{[](Config& c) -> auto& { return c.upstream.idle_timeout; }, 1ms, 1h},
       "Between two parts of an answer's body."},
      {"upstream.pool_idle_max",
       DurationKind{[](Config& c) -> auto& { return c.upstream.pool_idle_max; }, 0ms, 1h},
       "How long an unused connection is kept; less than Graph keeps it."},
      {"upstream.connections",
       CountKind{[](Config& c) -> auto& { return c.upstream.connections; }, 1, 100'000},
       "Connections to Graph at once that any call may use, shared out among the worker threads."},
      {"upstream.connections_per_address",
       CountKind{[](Config& c) -> auto& { return c.upstream.connections_per_address; }, 1, 100'000},
       "Of those, and shared out like them, what one client address, or one IPv6 /64, may use at "
       "once, so that slow clients leave some to others; further calls wait for connect_timeout at "
       "most. trusted_proxies are not counted."},
      {"upstream.guarded_connections",
       CountKind{[](Config& c) -> auto& { return c.upstream.guarded_connections; }, 1, 100'000},
       "Further ones that only guarded calls, and Holdfast's questions about their callers, may "
       "use: slow downloads never keep those waiting."},
      {"upstream.idle_connections",
       CountKind{[](Config& c) -> auto& { return c.upstream.idle_connections; }, 1, 100'000},
       "Of all those, how many are kept while unused."},
      {"identity.mode",
       ChoiceKind{[](const Config& c) { return static_cast<int>(c.identity.mode); },
                  [](Config& c, int i) { c.identity.mode = static_cast<IdentityMode>(i); },
                  {"passthrough", "mtls"},
                  {"own_audience"}},
       "passthrough: the client's Graph token travels on, and its claims count once Graph has "
       "answered a probe with it. mtls: the token travels on, and the caller is the app that its "
       "client certificate stands for; needs proxy.tls.client_certificates: required."},
      {"identity.probe_timeout",
       DurationKind{[](Config& c) -> auto& { return c.identity.probe_timeout; }, 1ms, 10min},
       "How long that probe may take."},
      {"identity.failed_probes_per_address",
       CountKind{[](Config& c) -> auto& { return c.identity.failed_probes_per_address; }, 1,
                 1'000'000},
       "Probes for one client address, or one IPv6 /64, that may fail in a minute; further callers "
       "not known yet get 403."},
      {"identity.failed_probes",
       CountKind{[](Config& c) -> auto& { return c.identity.failed_probes; }, 1, 1'000'000},
       "The same, for all addresses together."},
      {"identity.mailbox_cache",
       DurationKind{[](Config& c) -> auto& { return c.identity.mailbox_cache; }, 0ms, 10min},
       "How long the names of a mailbox are remembered."},
      {"identity.certificates",
       CertificateListKind{[](Config& c) -> auto& { return c.identity.certificates; }},
       "For mtls: which alternative name of a certificate stands for which app, by the ids of its "
       "tenant and itself, such as [DNS:billing.contoso.com TENANT/APP, "
       "URI:spiffe://contoso.com/billing TENANT/APP]. Names are matched whole."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_audit(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"rules.file",
       FileKind{[](Config& c) -> auto& { return c.rules.file; }},
       "The approval rules; `holdfast check` validates them.",
       "rules.yaml",
       {Role::kProxy, Role::kCheck}},
      {"rules.facts_timeout",
       DurationKind{[](Config& c) -> auto& { return c.rules.facts_timeout; }, 1ms, 10min},
       "How long to go on asking Graph about an item and its recipients where a rule hangs on it."},
      {"rules.watch_interval",
       DurationKind{[](Config& c) -> auto& { return c.rules.watch_interval; }, 0ms, 1h},
       "How often to look whether the rules or their lists have changed; 0s: on SIGHUP only."},
      {"rules.two_people", FlagKind{[](Config& c) -> auto& { return c.rules.two_people; }},
       "Rules that loosen anything wait until an admin has approved their hash; false: they are in "
       "force at once, for teams of one. The same for all replicas."},
      {"audit_log.lease",
       DurationKind{[](Config& c) -> auto& { return c.audit_log.lease; }, 1s, 10min},
       "How long a silent process keeps its unfinished calls before others settle them as "
       "unknown."},
      {"audit_log.append_timeout",
       DurationKind{[](Config& c) -> auto& { return c.audit_log.append_timeout; }, 1ms, 5min},
       "How long the database may take to commit a record; shorter than the lease."},
      {"audit_log.personal_data",
       ChoiceKind{
           [](const Config& c) { return static_cast<int>(c.audit_log.personal_data); },
           [](Config& c, int i) { c.audit_log.personal_data = static_cast<PersonalData>(i); },
           {"clear", "sealed"},
           {}},
       "sealed: of the records that this proxy writes, names, addresses and paths lie encrypted "
       "beside the log, under a key for each person, and `holdfast retention erase` can end it. "
       "The same for all replicas."},
      {"audit.listen", EndpointKind{[](Config& c) -> auto& { return c.audit.listen; }},
       "Address and port of the officers' API."},
      {"audit.public_url", OriginKind{[](Config& c) -> auto& { return c.audit.public_url; }},
       "Where others reach the audit service; with it, guarded answers link to the proof of their "
       "record.",
       "https://audit.contoso.com"},
      {"audit.threads", CountKind{[](Config& c) -> auto& { return c.audit.threads; }, 1, 256},
       "Worker threads."},
      {"audit.tls.certificate_file",
       FileKind{[](Config& c) -> auto& { return c.audit.tls.certificate_file; }},
       "PEM certificate chain to serve HTTPS with. SIGHUP reads it and its key again.",
       "/etc/holdfast/audit.crt"},
      {"audit.tls.key_file", FileKind{[](Config& c) -> auto& { return c.audit.tls.key_file; }},
       "PEM private key of that certificate.", "/etc/holdfast/audit.key"},
      {"audit.tokens_file",
       FileKind{[](Config& c) -> auto& { return c.audit.tokens_file; }},
       "API tokens of the first officers, as SHA-256 digests, and which accounts and apps are "
       "whose; `holdfast token create` makes other tokens.",
       "/etc/holdfast/tokens.yaml",
       {Role::kAudit}},
      {"audit.sign_in.issuer", TextKind{[](Config& c) -> auto& { return c.audit.sign_in.issuer; }},
       "Officers may also sign in with OpenID Connect access tokens of this issuer (iss), with the "
       "roles auditor, approver and admin, and groups by their object ids.",
       "https://login.microsoftonline.com/d3b07384-0000-4000-8000-000000000005/v2.0"},
      {"audit.sign_in.audience",
       TextKind{[](Config& c) -> auto& { return c.audit.sign_in.audience; }},
       "Whom such a token must be for (aud).", "6a1e55aa-0000-4000-8000-000000000007"},
      {"audit.sign_in.tenant", TextKind{[](Config& c) -> auto& { return c.audit.sign_in.tenant; }},
       "The tenant that its person must be in (tid).", "d3b07384-0000-4000-8000-000000000005"},
      {"audit.sign_in.keys_url",
       TextKind{[](Config& c) -> auto& { return c.audit.sign_in.keys_url; }},
       "Where the issuer publishes its keys (jwks_uri).",
       "https://login.microsoftonline.com/d3b07384-0000-4000-8000-000000000005/discovery/v2.0/"
       "keys"},
      {"audit.sign_in.ca_file",
       FileKind{[](Config& c) -> auto& { return c.audit.sign_in.ca_file; }},
       "Certificates to trust there instead of the system's."},
      {"audit.allow_token_approvals",
       FlagKind{[](Config& c) -> auto& { return c.audit.allow_token_approvals; }},
       "Whether officers may approve with an API token that names them as a person. For trying "
       "things out: a token is not a person."},
      {"audit.metrics_from", CidrListKind{[](Config& c) -> auto& { return c.audit.metrics_from; }},
       "Networks that /metrics is answered to; to others it does not exist."},
      {"audit.database.url",
       DatabaseUrlKind{[](Config& c) -> auto& { return c.audit.database.url; }},
       "PostgreSQL, as the audit service's own role. No password here.",
       "postgresql://holdfast_audit@localhost:5432/holdfast",
       {Role::kAudit}},
      {"audit.database.password_file",
       FileKind{[](Config& c) -> auto& { return c.audit.database.password_file; }},
       "File that holds that role's password.", "/etc/holdfast/audit.password"},
      {"audit.drain_timeout",
       DurationKind{[](Config& c) -> auto& { return c.audit.drain_timeout; }, 0ms, 1h},
       "How long requests in flight may take to finish after SIGTERM."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_audit_limits(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"audit.limits.connections",
       CountKind{[](Config& c) -> auto& { return c.audit.limits.connections; }, 1, 1'000'000},
       "Connections at once; further ones are closed as they come."},
      {"audit.limits.connections_per_address",
       CountKind{[](Config& c) -> auto& { return c.audit.limits.connections_per_address; }, 1,
                 1'000'000},
       "Of one address, or one IPv6 /64; further ones are closed."},
      {"audit.limits.requests_in_flight",
       CountKind{[](Config& c) -> auto& { return c.audit.limits.requests_in_flight; }, 1,
                 1'000'000},
       "Requests being answered at once; over it 503. One address, or one IPv6 /64, gets a "
       "quarter of them at most."}};
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_log_tree(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"audit.log.origin", TextKind{[](Config& c) -> auto& { return c.audit.log.origin; }},
       "The log's name in everything that is signed: unique, without spaces, the same in every "
       "audit service of this log, never changed.",
       "audit.contoso.com/log"},
      {"audit.log.key_files",
       FileListKind{[](Config& c) -> auto& { return c.audit.log.key_files; }},
       "Ed25519 keys that sign the log's checkpoints, made by `holdfast keygen`; each signs, so "
       "that "
       "one can follow another. Without any, this process signs nothing."},
      {"audit.log.verifier_keys",
       VerifierKeyListKind{[](Config& c) -> auto& { return c.audit.log.verifier_keys; }},
       "Verifier keys, as `holdfast keygen` printed them, of keys that signed this log and do no "
       "more: `holdfast verify` believes what they signed. Nothing is signed with them."},
      {"audit.log.checkpoint_file",
       StateFileKind{[](Config& c) -> auto& { return c.audit.log.checkpoint_file; }},
       "File of this process alone in which it remembers the newest checkpoint it has seen. It "
       "never signs what contradicts it.",
       "/var/lib/holdfast/audit/checkpoint"},
      {"audit.log.entries",
       ChoiceKind{[](const Config& c) { return static_cast<int>(c.audit.log.entries); },
                  [](Config& c, int i) { c.audit.log.entries = static_cast<EntryReaders>(i); },
                  {"officers", "public"},
                  {}},
       "Who may read entries under /log/tile/entries/: officers, whose reading is recorded, or "
       "everybody. Hashes and checkpoints are for everybody."},
      {"audit.log.partition_records",
       CountKind{[](Config& c) -> auto& { return c.audit.log.partition_records; }, 256, 1 << 22},
       "How many records a partition of this log holds, as the migrations make them. What is gone "
       "must be whole partitions, dropped by retention: `holdfast verify` and the leading audit "
       "service take all else for a loss. Smaller ones are for tests."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

// What Graph is asked with, in one section of the file.
struct GraphAccessMeaning {
  std::string section;
  std::string token_file;
  std::string client_id;
};

template <GraphAccess& (*kAccess)(Config&)>
void add_graph_access(std::vector<Field>& table, const GraphAccessMeaning& meaning) {
  const std::string& section = meaning.section;
  const std::vector<Field> rows = {
      {section + ".token_file", FileKind{[](Config& c) -> auto& { return kAccess(c).token_file; }},
       meaning.token_file, "/run/holdfast/graph.token"},
      {section + ".tenant", TextKind{[](Config& c) -> auto& { return kAccess(c).tenant; }},
       "Tenant of the application to ask Graph as (client credentials).",
       "d3b07384-0000-4000-8000-000000000005"},
      {section + ".client_id", TextKind{[](Config& c) -> auto& { return kAccess(c).client_id; }},
       meaning.client_id, "6a1e55aa-0000-4000-8000-000000000006"},
      {section + ".client_secret_file",
       FileKind{[](Config& c) -> auto& { return kAccess(c).client_secret_file; }},
       "File that holds its secret.", "/etc/holdfast/graph.secret"},
      {section + ".authority", OriginKind{[](Config& c) -> auto& { return kAccess(c).authority; }},
       "Where its tokens are issued: scheme, host and port only."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

GraphAccess& reconcile_access(Config& config) {
  return config.audit.reconcile.access;
}

GraphAccess& hold_sync_access(Config& config) {
  return config.audit.hold_sync.access;
}

void add_reconcile(std::vector<Field>& table) {
  add_graph_access<reconcile_access>(
      table,
      {.section = "audit.reconcile",
       .token_file =
           "File with a Graph access token that may read mailboxes, kept fresh by something else "
           "and read anew each time. With it, or with the application below, Graph "
           "(upstream.origin) is asked what became of operations whose outcome is unknown.",
       .client_id =
           "Its id. It needs to read mail, calendars, contacts and tasks, and nothing else."});
  table.push_back(
      {"audit.reconcile.after",
       DurationKind{[](Config& c) -> auto& { return c.audit.reconcile.after; }, 0ms, 24h},
       "How long after an outcome became unknown Graph is first asked: longer than a call can "
       "still be on its way."});
}

void add_hold_sync(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"audit.hold_sync.list_file",
       StateFileKind{[](Config& c) -> auto& { return c.audit.hold_sync.list_file; }},
       "List file of the rules that is to name the mailboxes on hold in eDiscovery, written where "
       "the proxies read it (docs/rules.md). Give the list a max_age in the rules: when Graph "
       "does not answer, that is what restricts.",
       "/var/lib/holdfast/lists/legal-hold.csv"},
      {"audit.hold_sync.holds",
       HoldListKind{[](Config& c) -> auto& { return c.audit.hold_sync.holds; }},
       "Which holds, by their ids: CASE/HOLD, or CASE for all holds of a case. Without any: those "
       "of all cases that are not closed."},
      {"audit.hold_sync.interval",
       DurationKind{[](Config& c) -> auto& { return c.audit.hold_sync.interval; }, 100ms, 24h},
       "How often Graph (upstream.origin) is asked; a small part of the list's max_age. After a "
       "failure it is asked again within half a minute."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
  add_graph_access<hold_sync_access>(
      table,
      {.section = "audit.hold_sync",
       .token_file = "File with a Graph access token that may read eDiscovery, kept fresh by "
                     "something else and read anew each time; or the application below.",
       .client_id = "Its id. It needs eDiscovery.Read.All, nothing else, and to be an eDiscovery "
                    "administrator in Purview to see all cases."});
}

void add_anchors(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"audit.anchors.file", StateFileKind{[](Config& c) -> auto& { return c.audit.anchors.file; }},
       "File of this process alone that every checkpoint is appended to, best on a disk that "
       "nobody "
       "who can change the database can change. Nothing is signed that contradicts it.",
       "/var/lib/holdfast/anchors/checkpoints.ndjson"},
      {"audit.anchors.policy_file",
       FileKind{[](Config& c) -> auto& { return c.audit.anchors.policy_file; }},
       "C2SP tlog-policy file: its witnesses that have a URL cosign the checkpoints. A witness "
       "that "
       "has seen another or a larger log stops the signing.",
       "/etc/holdfast/witnesses.policy"},
      {"audit.anchors.witness_interval",
       DurationKind{[](Config& c) -> auto& { return c.audit.anchors.witness_interval; }, 0ms, 24h},
       "The least between two questions to one witness; each is about the newest checkpoint."},
      {"audit.anchors.timestamp_url",
       UrlKind{[](Config& c) -> auto& { return c.audit.anchors.timestamp_url; }},
       "RFC 3161 service that time-stamps checkpoints.", "https://tsa.example.com/"},
      {"audit.anchors.timestamp_ca_file",
       FileKind{[](Config& c) -> auto& { return c.audit.anchors.timestamp_ca_file; }},
       "PEM certificates that its time stamps must lead to; needed with it.",
       "/etc/holdfast/tsa-root.crt"},
      {"audit.anchors.timestamp_interval",
       DurationKind{[](Config& c) -> auto& { return c.audit.anchors.timestamp_interval; }, 0ms,
                    24h},
       "The least between two time stamps; each is of the newest checkpoint."},
      {"audit.anchors.sink_url",
       UrlKind{[](Config& c) -> auto& { return c.audit.anchors.sink_url; }},
       "Where every checkpoint is POSTed to, as lines of JSON, such as a SIEM's collector.",
       "https://siem.example.com/holdfast"},
      {"audit.anchors.sink_token_file",
       FileKind{[](Config& c) -> auto& { return c.audit.anchors.sink_token_file; }},
       "File that holds the bearer token for it.", "/etc/holdfast/sink.token"},
      {"audit.anchors.ca_file",
       FileKind{[](Config& c) -> auto& { return c.audit.anchors.ca_file; }},
       "PEM certificates that vouch for all of these over HTTPS, instead of the system's.",
       "/etc/holdfast/ca.crt"},
      {"audit.anchors.timeout",
       DurationKind{[](Config& c) -> auto& { return c.audit.anchors.timeout; }, 100ms, 5min},
       "How long one of them may take to answer. A new leader waits so long for its witnesses "
       "before it signs without having heard them."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_webhooks(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"audit.webhooks.file", FileKind{[](Config& c) -> auto& { return c.audit.webhooks.file; }},
       "File for its owner alone that names who is told of approvals: names, URLs, secrets and "
       "formats (docs/approvals.md). Without it nobody is.",
       "/etc/holdfast/webhooks.yaml"},
      {"audit.webhooks.ca_file",
       FileKind{[](Config& c) -> auto& { return c.audit.webhooks.ca_file; }},
       "PEM certificates that vouch for all of them over HTTPS, instead of the system's.",
       "/etc/holdfast/ca.crt"},
      {"audit.webhooks.timeout",
       DurationKind{[](Config& c) -> auto& { return c.audit.webhooks.timeout; }, 100ms, 5min},
       "How long one of them may take to answer, before it is tried again later."},
      {"audit.webhooks.warn_before",
       DurationKind{[](Config& c) -> auto& { return c.audit.webhooks.warn_before; }, 0ms, 30 * 24h},
       "How long before an approval runs out, undecided or unused, they are warned; at most half "
       "of "
       "the time it has."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_tools(std::vector<Field>& table) {
  const std::vector<Field> rows = {
      {"migrate.database.url",
       DatabaseUrlKind{[](Config& c) -> auto& { return c.migrate.database.url; }},
       "PostgreSQL, as a role that may create Holdfast's tables and roles. No password here.",
       "postgresql://postgres@localhost:5432/holdfast",
       {Role::kMigrate}},
      {"migrate.database.password_file",
       FileKind{[](Config& c) -> auto& { return c.migrate.database.password_file; }},
       "File that holds that role's password.", "/etc/holdfast/migrate.password"},
      {"migrate.retention.floor",
       DurationKind{[](Config& c) -> auto& { return c.migrate.retention.floor; }, 0ms, 100 * kYear},
       "The floor under retention.age, set in the database and recorded whenever it is given here "
       "and differs: no younger record can be dropped, whoever asks. 0s: none at all."},
      {"migrate.retention.anchored",
       FlagKind{[](Config& c) -> auto& { return c.migrate.retention.anchored; }},
       "Set with the floor: whether a witness, a time-stamp authority or a sink (audit.anchors) "
       "must "
       "have vouched for records before they can be dropped."},
      {"retention.age",
       DurationKind{[](Config& c) -> auto& { return c.retention.age; }, 0ms, 100 * kYear},
       "How old the newest record of a partition must be before `holdfast retention run` drops it: "
       "3650d. At least the floor. 0s: not set, and nothing is dropped."},
      {"retention.database.url",
       DatabaseUrlKind{[](Config& c) -> auto& { return c.retention.database.url; }},
       "PostgreSQL, as the role that drops old partitions and erases people, and does nothing "
       "else. No password here.",
       "postgresql://holdfast_retention@localhost:5432/holdfast",
       {Role::kRetention, Role::kErasure}},
      {"retention.database.password_file",
       FileKind{[](Config& c) -> auto& { return c.retention.database.password_file; }},
       "File that holds that role's password.", "/etc/holdfast/retention.password"},
      {"records.url", OriginKind{[](Config& c) -> auto& { return c.records.url; }},
       "The officers' API that `holdfast records` asks."},
      {"records.token_file",
       FileKind{[](Config& c) -> auto& { return c.records.token_file; }},
       "File that holds your own API token.",
       "officer.token",
       {Role::kRecords}},
      {"records.ca_file", FileKind{[](Config& c) -> auto& { return c.records.ca_file; }},
       "PEM certificates that vouch for it, instead of the system's.", "/etc/holdfast/ca.crt"},
      {"logging.level",
       ChoiceKind{[](const Config& c) { return static_cast<int>(c.logging.level); },
                  [](Config& c, int i) { c.logging.level = static_cast<LogLevel>(i); },
                  {"debug", "info", "warning", "error"},
                  {}},
       "The least that is logged, as JSON lines on standard error."},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

std::vector<Field> make_fields() {
  std::vector<Field> table;
  add_proxy(table);
  add_proxy_limits(table);
  add_upstream(table);
  add_audit(table);
  add_audit_limits(table);
  add_log_tree(table);
  add_reconcile(table);
  add_hold_sync(table);
  add_anchors(table);
  add_webhooks(table);
  add_tools(table);
  return table;
}

}  // namespace

const std::vector<Field>& fields() {
  static const std::vector<Field> table = make_fields();
  return table;
}

const std::vector<Section>& sections() {
  static const std::vector<Section> table = {
      {"proxy", "The data plane (`holdfast proxy`)."},
      {"upstream", "Microsoft Graph, as the proxy calls it."},
      {"identity", "Who is calling, and which mailbox is meant."},
      {"rules", "Who may do what."},
      {"audit_log", "How records become durable."},
      {"audit", "The officers' service (`holdfast audit`)."},
      {"migrate", "`holdfast migrate`."},
      {"retention", "`holdfast retention`: the end of old records."},
      {"records", "`holdfast records`."},
      {"logging", "The program's own log."},
  };
  return table;
}

const Field* find_field(std::string_view path) {
  const auto found = std::ranges::find(fields(), path, &Field::path);
  return found == fields().end() ? nullptr : &*found;
}

bool is_section(std::string_view path) {
  const std::string start = std::string(path) + ".";
  return std::ranges::any_of(fields(),
                             [&](const Field& field) { return field.path.starts_with(start); });
}

std::string environment_name(std::string_view path) {
  std::string name = "HOLDFAST_";
  for (const char c : path) {
    if (c == '.') {
      name += "__";
    } else {
      name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
  }
  return name;
}

}  // namespace holdfast::config
