// The pipeline between fakes: what is recorded, what is sent, in which order, and what the client
// is told, for every step that can fail.
#include "proxy/pipeline.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <thread>

#include "audit/entry.h"
#include "base/encoding.h"
#include "base/json.h"
#include "tests/support/fake_approvals.h"
#include "tests/support/fake_audit_log.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_graph.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::proxy {
namespace {

using audit::CallResult;
using audit::Kind;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr const char* kTenant = "11111111-0000-4000-8000-000000000001";
constexpr const char* kAlex = "11111111-0000-4000-8000-0000000000a1";

constexpr const char* kRules = R"(
schema: 1
revision: "r1"
default: deny
rules:
  - id: hold
    title: Held mailboxes are untouchable
    effect: deny
    when: { mailbox: { in: [held@contoso.com] } }
  - id: contacts-need-approval
    title: Contacts need approval
    effect: require_approval
    when: { resource: contact }
    require: { justification: 5, ticket: "^CASE-[0-9]+$" }
  - id: own
    title: Everyone may purge their own messages
    effect: allow
    when: { mailbox: { own: true }, resource: message }
)";

// Behind those.
constexpr const char* kBreakGlassRule = R"(
  - id: incident
    effect: break_glass
    when: { actor: { kind: user } }
    require: { justification: 10 }
    review_within: 4h
)";

constexpr const char* kAffectedRules = R"(
schema: 1
revision: "r2"
rules:
  - id: hold
    effect: deny
    when: { affected_mailboxes: { any_in: [held@contoso.com] } }
  - id: own
    effect: allow
    when: { mailbox: { own: true }, resource: message }
)";

const std::string kLeak = to_base64("the mailbox leaks");

const LinkSettings kLinks{.graph = {"https://graph"}, .outside = "https://proxy"};

// Remembers what it was given and answers what the test says.
class FakeUpstream final : public Upstream {
 public:
  explicit FakeUpstream(audit::FakeAuditLog& log) : log_(log) {}

  Task<ForwardResult> forward(audit::Receipt receipt) override {
    entries_before_forward.push_back(log_.entries().size());
    forwarded.push_back(std::move(receipt).take_request());
    ForwardResult result{.result = next_result, .response = std::nullopt, .reason = "test"};
    if (next_status != 0) {
      result.response = http::Response{.status = next_status, .content = next_content};
      result.response->headers = next_headers;
      result.result = result_of_status(next_status);
      result.reason.clear();
    }
    co_return result;
  }

  Task<http::SendResult> pass(const http::RequestHead& head, http::Body* body,
                              std::string_view address) override {
    if (before_pass) before_pass();
    passed.push_back(head);
    passed_for.emplace_back(address);
    if (body != nullptr) {
      const Result<std::string> content = co_await http::read_all(*body, 1'000'000);
      if (content.ok()) passed_content.push_back(*content);
    }
    co_return http::SendResult{.progress = pass_progress, .response = pass_answer()};
  }

  Result<http::Response> pass_answer() const {
    if (pass_fails) return Error{pass_error, "no luck"};
    return http::Response{.status = 200, .headers = pass_headers, .content = pass_content};
  }

  std::vector<audit::OutboundRequest> forwarded;
  std::vector<std::size_t> entries_before_forward;
  std::vector<http::RequestHead> passed;
  std::vector<std::string> passed_for;
  std::vector<std::string> passed_content;
  std::function<void()> before_pass;
  CallResult next_result = CallResult::kUnknown;
  int next_status = 204;
  std::string next_content;
  http::Headers next_headers{{"request-id", "graph-1"}};
  bool pass_fails = false;
  ErrorCode pass_error = ErrorCode::kUnavailable;
  http::Headers pass_headers;
  std::string pass_content = "graph";
  http::Progress pass_progress = http::Progress::kSomeSent;

 private:
  audit::FakeAuditLog& log_;
};

// Remembers where its first byte was put.
class PlacedBody final : public http::Body {
 public:
  PlacedBody(const std::string& content, char*& place)
      : content_(http::string_body(content)), place_(place) {}
  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    if (place_ == nullptr) place_ = buffer.data();
    return content_->read(buffer);
  }
  std::optional<std::uint64_t> remaining() const override { return content_->remaining(); }

 private:
  const std::unique_ptr<http::Body> content_;
  char*& place_;
};

class BrokenBody final : public http::Body {
 public:
  Task<Result<std::size_t>> read(std::span<char>) override {
    co_return Error{ErrorCode::kInvalid, "the chunked body is not valid"};
  }
  std::optional<std::uint64_t> remaining() const override { return std::nullopt; }
};

std::string token_of(const json& claims) {
  return to_base64url(R"({"alg":"RS256","nonce":"n","typ":"JWT"})") + "." +
         to_base64url(claims.dump()) + "." + to_base64url("signature");
}

std::string token_for(const char* object_id) {
  return token_of({{"aud", "https://graph.microsoft.com"},
                   {"tid", kTenant},
                   {"oid", object_id},
                   {"appid", "22222222-0000-4000-8000-000000000001"},
                   {"upn", "alex@contoso.com"},
                   {"idtyp", "user"},
                   {"scp", "Mail.ReadWrite"},
                   {"exp", 4102444800}});
}

approval::RuleSet rules_from(const std::string& text) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/rules.yaml";
  std::ofstream(path) << text;
  const Result<approval::RuleSet> rules = approval::load_rules(path, testing::FakeClock::kStart);
  if (!rules.ok()) throw std::runtime_error(rules.error().message);
  return *rules;
}

class PipelineTest : public ::testing::Test {
 protected:
  PipelineTest() { make_pipeline(rules_); }

  void make_pipeline(approval::RuleStore& rules) {
    auto upstream = std::make_unique<FakeUpstream>(log_);
    upstream_ = upstream.get();
    auto graph = std::make_unique<testing::FakeGraph>();
    graph_ = graph.get();
    const json me = {{"id", kAlex}};
    graph_->answer("/v1.0/me?$select=id", 200, me.dump());
    know_mailbox("/v1.0/me", kAlex, "alex@contoso.com");
    know_mailbox("/v1.0/users/held%40contoso.com", "11111111-0000-4000-8000-0000000000b1",
                 "held@contoso.com");
    pipeline_ = std::make_unique<Pipeline>(
        PipelineParts{.log = log_,
                      .rules = rules,
                      .approvals = approvals_,
                      .verifier = verifier_,
                      .mailboxes = mailboxes_,
                      .refusals = refusals_,
                      .probes = probes_,
                      .guarded_in_flight = guarded_in_flight_,
                      .buffered_bodies = buffered_bodies_,
                      .metrics = metrics_,
                      .clock = clock_,
                      .draining = draining_,
                      .certificates = certificates_ ? &*certificates_ : nullptr,
                      .trusted_proxies = {*approval::parse_network("10.0.0.0/8")},
                      .metrics_from = {*approval::parse_network("198.51.100.0/24")},
                      .buffered_body_bytes_max = 1000,
                      .audit_url = "https://audit.example",
                      .links = links_},
        std::move(upstream), std::move(graph));
  }

  void know_mailbox(const std::string& path, const std::string& id, const std::string& upn) {
    const json names = {
        {"id", id}, {"userPrincipalName", upn}, {"mail", upn}, {"proxyAddresses", {"SMTP:" + upn}}};
    graph_->answer(path + "?$select=id,userPrincipalName,mail,proxyAddresses", 200, names.dump());
  }

  http::Response send(const std::string& method, const std::string& target,
                      http::Headers headers = {}, const std::string& body = {}) {
    if (headers.find("Authorization") == nullptr && authorized_) {
      headers.add("Authorization", "Bearer " + token_for(kAlex));
    }
    http::Request request{
        .head = {.method = method,
                 .target = target,
                 .minor_version = 1,
                 .headers = std::move(headers)},
        .peer = {.address = peer_address_, .port = 1, .tls = true, .certificate = certificate_},
        .body = http::string_body(body)};
    return testing::run(pipeline_->handle(std::move(request)));
  }
  http::Response refuse_busy(const std::string& method, const std::string& target) {
    http::Unreadable busy{.status = 503,
                          .why = "busy",
                          .head = {.method = method, .target = target},
                          .peer = {.address = peer_address_}};
    return testing::run(pipeline_->refuse(std::move(busy)));
  }
  http::Response refuse(const std::string& target) {
    http::Unreadable unreadable{.status = 400,
                                .why = "test",
                                .head = {.method = target.empty() ? "" : "POST", .target = target},
                                .peer = {.address = "192.0.2.1"}};
    return testing::run(pipeline_->refuse(std::move(unreadable)));
  }
  http::Response purge(http::Headers headers = {}) {
    return send("POST", "/v1.0/me/messages/m1/permanentDelete", std::move(headers));
  }

  static http::Headers papers() {
    return {{"x-msft-approval-justification", to_base64("clean up")},
            {"Holdfast-Ticket", "CASE-7"}};
  }
  http::Response purge_contact(http::Headers headers = {}) {
    return send("POST", "/v1.0/me/contacts/c1/permanentDelete", std::move(headers));
  }
  json last_content() const { return content(log_.entries().size() - 1); }
  // What was filed last, as the database keeps it, has come to that state since.
  void keep_filed(approval::ApprovalState state) {
    const json record = last_content();
    json filing = record["approval"];
    filing["request"] = record["request"];
    approvals_.add(std::move(filing), state);
  }
  // An approval of purge_contact() that has come to that state since; its code.
  std::string file_approval(approval::ApprovalState state) {
    const http::Response response = purge_contact(papers());
    EXPECT_EQ(response.status, 412);
    keep_filed(state);
    return std::string(response.headers.get("x-msft-approval-code"));
  }

  // From now on Graph does not say whose mailbox /me is, or does again; nothing is remembered.
  void lose_mailbox() {
    clock_.advance(identity::kNamesAgeMax + 1min);
    graph_->answer("/v1.0/me?$select=id,userPrincipalName,mail,proxyAddresses", 503, "{}");
  }
  void find_mailbox() {
    clock_.advance(identity::kNamesAgeMax + 1min);
    know_mailbox("/v1.0/me", kAlex, "alex@contoso.com");
  }

  // Contacts need approval; a rule names who may go past it.
  void break_glass_for_contacts() { enforce(rules_from(std::string(kRules) + kBreakGlassRule)); }
  http::Response break_glass(http::Headers headers) {
    headers.add("Holdfast-Break-Glass", "true");
    return send("POST", "/v1.0/me/contacts/c1/permanentDelete", std::move(headers));
  }

  static json error_of(const http::Response& response) {
    return json::parse(response.content).at("error");
  }
  json content(std::size_t i) const { return content_of(log_.entries().at(i).record); }
  // As it reaches the log.
  static json content_of(const audit::Record& record) {
    const Result<audit::Entry> entry = audit::make_entry(record, make_uuid_v4(), {});
    return entry.ok() ? audit::content_of(*entry) : json();
  }
  Kind kind(std::size_t i) const { return log_.entries().at(i).record.kind; }

  void enforce(approval::RuleSet rules) {
    rules_.replace({.number = rules_.current()->number + 1, .rules = std::move(rules)});
  }

  bool authorized_ = true;
  std::string peer_address_ = "192.0.2.1";
  std::optional<identity::CertificateApps> certificates_;
  LinkSettings links_ = kLinks;
  std::shared_ptr<const http::ClientCertificate> certificate_;
  testing::FakeClock clock_;
  audit::FakeAuditLog log_;
  approval::FakeApprovals approvals_;
  approval::RuleStore rules_{{.number = 1, .rules = rules_from(kRules)}};
  identity::Verifier verifier_{clock_};
  identity::MailboxDirectory mailboxes_{clock_};
  std::atomic<bool> draining_{false};
  RefusalBudget refusals_{
      {.unverified_per_second = 1, .verified_per_second = 1, .burst_seconds = 3}, clock_};
  identity::ProbeBudget probes_{{.failed_per_minute_and_address = 3, .failed_per_minute = 4},
                                clock_};
  Budget guarded_in_flight_{2};
  SharedBudget buffered_bodies_{1500, 1000};
  Metrics metrics_;
  FakeUpstream* upstream_ = nullptr;
  // Where the answer says that the proof of its record is.
  static std::string proof_link(const http::Response& response) {
    return "<https://audit.example/api/v1/records/" +
           std::string(response.headers.get("Holdfast-Record")) +
           "/proof>; rel=\"https://c2sp.org/tlog-proof\"";
  }

  testing::FakeGraph* graph_ = nullptr;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(PipelineTest, AllowedCallIsRecordedThenSentThenRecordedThenAnswered) {
  const http::Response response = purge();
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.headers.get("request-id"), "graph-1");
  ASSERT_EQ(log_.entries().size(), 2U);
  EXPECT_EQ(kind(0), Kind::kIntent);
  EXPECT_EQ(kind(1), Kind::kOutcome);
  EXPECT_EQ(upstream_->entries_before_forward, std::vector<std::size_t>{1});
  EXPECT_EQ(response.headers.get("Holdfast-Record"), to_string(log_.entries()[0].ref.id));
  EXPECT_EQ(response.headers.get("Link"), proof_link(response));
  EXPECT_EQ(content(0)["decision"]["effect"], "allow");
  EXPECT_EQ(content(0)["decision"]["rules"], json({"own"}));
  EXPECT_EQ(content(0)["actor"]["verification"], "probe");
  EXPECT_EQ(content(0)["operation"]["item"], "m1");
  EXPECT_EQ(content(1)["outcome"]["result"], "executed");
  EXPECT_EQ(content(1)["outcome"]["graph_request_id"], "graph-1");
}

// Another generation takes effect between the decision and its commit.
TEST_F(PipelineTest, WhatWasDecidedByRulesThatAreOverIsDecidedAgain) {
  log_.fail_nth(1, {ErrorCode::kNotFound, "other rules are in force"});
  log_.before_next_append([this] {
    enforce(rules_from("schema: 1\nrevision: r2\nrules:\n  - { id: freeze, effect: deny }\n"));
  });
  EXPECT_EQ(purge().status, 403);
  ASSERT_EQ(log_.entries().size(), 1U);
  EXPECT_EQ(content(0)["decision"]["rules_generation"], 2);
  EXPECT_EQ(content(0)["decision"]["rules_revision"], "r2");
  EXPECT_TRUE(upstream_->entries_before_forward.empty());
}

// Neither the claim of an approval nor a review.
TEST_F(PipelineTest, WhatIsDecidedAgainKeepsNothingOfTheFirstDecision) {
  const auto outdated = [this] {
    log_.fail_nth(1, {ErrorCode::kNotFound, "other rules are in force"});
    log_.before_next_append([this] {
      enforce(rules_from("schema: 1\nrevision: r2\nrules:\n  - { id: all, effect: allow }\n"));
    });
  };
  const auto expect_plain_intent = [this](std::size_t index) {
    EXPECT_EQ(kind(index), Kind::kIntent);
    EXPECT_EQ(log_.entries().at(index).record.approval_step, audit::ApprovalStep::kNone);
    EXPECT_FALSE(content(index).contains("approval"));
    EXPECT_FALSE(content(index).contains("review"));
  };
  file_approval(approval::ApprovalState::kApproved);
  outdated();
  EXPECT_EQ(purge_contact().status, 204);
  expect_plain_intent(1);
  approvals_.all.clear();
  break_glass_for_contacts();
  outdated();
  EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, 204);
  expect_plain_intent(3);
  EXPECT_NE(metrics_.text().find("holdfast_break_glass_total 0"), std::string::npos);
}

TEST_F(PipelineTest, WhereNoNewerRulesArriveACallIsNotDecidedAgain) {
  log_.fail_nth(1, {ErrorCode::kNotFound, "other rules are in force"});
  EXPECT_EQ(error_of(purge())["code"], "HoldfastAuditUnavailable");
  EXPECT_TRUE(upstream_->entries_before_forward.empty());
}

TEST_F(PipelineTest, WithoutRulesInForceGuardedCallsWait) {
  approval::RuleStore none;
  make_pipeline(none);
  EXPECT_EQ(error_of(purge())["code"], "HoldfastAuditUnavailable");
  EXPECT_TRUE(log_.entries().empty());
  EXPECT_EQ(send("GET", "/v1.0/me/messages").status, 200);
  const http::Response ready = send("GET", "/holdfast/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(json::parse(ready.content)["reason"], "the rules in force are not known yet");
}

TEST_F(PipelineTest, AnIntentNamesItsGeneration) {
  EXPECT_EQ(purge().status, 204);
  EXPECT_EQ(log_.entries().at(0).record.generation, 1);
  EXPECT_EQ(content(0)["decision"]["rules_generation"], 1);
}

TEST_F(PipelineTest, RulesThatNeverStopChangingLeaveTheCallUnsent) {
  for (std::size_t n = 1; n <= 10; ++n) {
    log_.fail_nth(n, {ErrorCode::kNotFound, "other rules are in force"});
  }
  const std::jthread changing([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) enforce(rules_from(kRules));
  });
  EXPECT_EQ(error_of(purge())["code"], "HoldfastAuditUnavailable");
  EXPECT_TRUE(log_.entries().empty());
  EXPECT_TRUE(upstream_->entries_before_forward.empty());
}

TEST_F(PipelineTest, NoTokenEverLands) {
  purge();
  const std::string target = "/v1.0/me/messages/m1/permanentDelete?";
  send("POST", target + "access_token=" + token_for(kAlex));
  send("POST", target + "access%255Ftoken=" + token_for(kAlex));
  send("POST", target + "t=" + token_for(kAlex));
  send("POST", "/v1.0/me/messages/m1/permanentDelete", {{"Authorization", "Bearer nonsense"}});
  const std::string token = token_for(kAlex);
  for (const auto& entry : log_.entries()) {
    const std::string text = content_of(entry.record).dump();
    EXPECT_EQ(text.find(token.substr(0, 30)), std::string::npos) << text;
    EXPECT_EQ(text.find("nonsense"), std::string::npos) << text;
  }
}

TEST_F(PipelineTest, OrdinaryCallsPassUnrecorded) {
  const http::Response response = send("GET", "/v1.0/me/messages", {{"Prefer", "x"}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content, "graph");
  EXPECT_EQ(upstream_->passed.at(0).target, "/v1.0/me/messages");
  EXPECT_EQ(response.headers.count("Holdfast-Record"), 0U);
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(PipelineTest, LinksOfOrdinaryAnswersStayInside) {
  upstream_->pass_headers = {{"Content-Type", "application/json"}, {"Location", "https://graph/a"}};
  upstream_->pass_content = R"({"@odata.nextLink":"https://graph/b","link":"https://graph/c"})";
  const http::Response response = send("GET", "/v1.0/me/messages");
  EXPECT_EQ(response.content, R"({"@odata.nextLink":"https://proxy/b","link":"https://graph/c"})");
  EXPECT_EQ(response.headers.get("Location"), "https://proxy/a");
}

TEST_F(PipelineTest, LinksInTheHeadersOfABatchsAnswersStayInside) {
  upstream_->pass_headers = {{"Content-Type", "application/json"}};
  upstream_->pass_content = R"({"responses":[{"headers":{"Location":"https://graph/a"}}]})";
  const std::string body = R"({"requests":[{"id":"1","method":"GET","url":"/me"}]})";
  EXPECT_EQ(send("POST", "/v1.0/$batch", {}, body).content,
            R"({"responses":[{"headers":{"Location":"https://proxy/a"}}]})");
  EXPECT_EQ(send("GET", "/v1.0/me").content, upstream_->pass_content);
}

TEST_F(PipelineTest, AnswersToGuardedCallsKeepTheirLinks) {
  upstream_->next_status = 200;
  upstream_->next_headers = {{"Content-Type", "application/json"}, {"Location", "https://graph/a"}};
  upstream_->next_content = R"({"@odata.nextLink":"https://graph/b"})";
  const http::Response response = purge();
  EXPECT_EQ(response.content, upstream_->next_content);
  EXPECT_EQ(response.headers.get("Location"), "https://graph/a");
}

TEST_F(PipelineTest, OrdinaryCallsNeedAHostWhereNoPublicOriginIsConfigured) {
  links_.outside.clear();
  make_pipeline(rules_);
  const std::string batch = R"({"requests":[{"id":"1","method":"GET","url":"/me"}]})";
  for (const http::Response& response :
       {send("GET", "/v1.0/me"), send("POST", "/v1.0/$batch", {}, batch)}) {
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(error_of(response)["code"], "HoldfastBadRequest");
    EXPECT_NE(response.content.find("proxy.public_origin"), std::string::npos);
  }
  EXPECT_TRUE(upstream_->passed.empty());
  EXPECT_TRUE(log_.entries().empty());
  peer_address_ = "198.51.100.7";
  for (const char* probe : {"/holdfast/livez", "/holdfast/readyz", "/holdfast/metrics"}) {
    EXPECT_EQ(send("GET", probe).status, 200) << probe;
  }
  EXPECT_EQ(purge().status, 204);
  EXPECT_EQ(log_.entries().size(), 2U);
  EXPECT_EQ(send("GET", "/v1.0/me", {{"Host", "proxy"}}).status, 200);
}

TEST_F(PipelineTest, OptionsThatMayGoNoFurtherAreAnsweredHere) {
  const http::Response response = send("OPTIONS", "/v1.0/me", {{"Max-Forwards", "0"}});
  EXPECT_EQ(response.status, 204);
  EXPECT_NE(response.headers.get("Allow").find("POST"), std::string_view::npos);
  EXPECT_TRUE(upstream_->passed.empty());
}

TEST_F(PipelineTest, PassThroughTellsNothingSentFromOutcomeUnknown) {
  upstream_->pass_fails = true;
  EXPECT_EQ(error_of(send("GET", "/v1.0/me"))["code"], "HoldfastOutcomeUnknown");
  upstream_->pass_progress = http::Progress::kNothingSent;
  const http::Response response = send("GET", "/v1.0/me");
  EXPECT_EQ(response.status, 502);
  EXPECT_EQ(error_of(response)["code"], "HoldfastUpstreamUnreachable");
}

TEST_F(PipelineTest, PassThroughIsToldThatHoldfastIsBusyWhereNoConnectionIsFree) {
  upstream_->pass_fails = true;
  upstream_->pass_error = ErrorCode::kLimit;
  upstream_->pass_progress = http::Progress::kNothingSent;
  const std::string batch = R"({"requests":[{"id":"1","method":"GET","url":"/me"}]})";
  for (const http::Response& response :
       {send("GET", "/v1.0/me"), send("POST", "/v1.0/$batch", {}, batch)}) {
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(error_of(response)["code"], "HoldfastOverloaded");
    EXPECT_EQ(response.headers.get("Retry-After"), "1");
    EXPECT_NE(response.content.find("no luck"), std::string::npos) << "which limit it was";
  }
  // An answer of Graph's over a limit: it may have acted.
  upstream_->pass_progress = http::Progress::kSomeSent;
  const http::Response sent = send("GET", "/v1.0/me");
  EXPECT_EQ(sent.status, 502);
  EXPECT_EQ(error_of(sent)["code"], "HoldfastOutcomeUnknown");
  EXPECT_EQ(sent.headers.count("Retry-After"), 0U);
}

TEST_F(PipelineTest, DeniedCallNeverLeavesAndNamesItsRule) {
  const http::Response response =
      send("POST", "/v1.0/users/held%40contoso.com/messages/m1/permanentDelete");
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(error_of(response)["code"], "HoldfastDenied");
  EXPECT_EQ(error_of(response)["innerError"]["holdfast"]["rule"], "hold");
  EXPECT_TRUE(upstream_->forwarded.empty());
  ASSERT_EQ(log_.entries().size(), 1U);
  EXPECT_EQ(kind(0), Kind::kDecision);
  EXPECT_EQ(content(0)["decision"]["status"], 403);
  EXPECT_EQ(response.headers.get("Holdfast-Record"), to_string(log_.entries()[0].ref.id));
  EXPECT_EQ(response.headers.get("Link"), proof_link(response));
}

TEST_F(PipelineTest, UnknownMailboxIsAsIfHeld) {
  const http::Response response = send("POST", "/v1.0/users/nobody/messages/m1/permanentDelete");
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(content(0)["decision"]["matched"][0]["id"], "hold");
  EXPECT_EQ(content(0)["decision"]["facts"]["mailbox"], nullptr);
}

TEST_F(PipelineTest, SharedCalendarIsNobodysForSure) {
  const http::Response response = send("POST", "/v1.0/me/calendars/c1/events/e1/permanentDelete");
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(content(0)["decision"]["facts"]["mailbox"], nullptr);
}

constexpr const char* kLimitRules = R"(
schema: 1
revision: "r3"
rules:
  - id: few
    title: A few a day
    effect: allow
    when: { mailbox: { own: true }, resource: message }
    limit: { count: 3, per: 1d, by: actor, distinct_mailboxes: 2 }
  - id: fewer
    effect: allow
    when: { mailbox: { own: true }, resource: message }
    limit: { count: 1, per: 1h, by: mailbox, over: require_approval }
)";

TEST_F(PipelineTest, LimitsTravelWithTheIntent) {
  enforce(rules_from(kLimitRules));
  EXPECT_EQ(purge().status, 204);
  EXPECT_TRUE(log_.entries().at(0).record.is_limited);
  EXPECT_FALSE(log_.entries().at(1).record.is_limited);
  const json limits = content(0)["decision"]["limits"];
  const std::string actor = std::string(kTenant) + "/" + kAlex;
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(limits[0], (json{{"rule", "few"},
                             {"key", "few|actor|" + actor},
                             {"count", 3},
                             {"per_s", 86400},
                             {"distinct_mailboxes", 2},
                             {"mailbox", kAlex}}));
  EXPECT_EQ(limits[1]["key"], std::string("fewer|mailbox|") + kAlex);
}

TEST_F(PipelineTest, ASpentLimitRefusesAndNothingLeaves) {
  enforce(rules_from(kLimitRules));
  log_.fail_nth(1, {ErrorCode::kLimit, "few"});
  const http::Response response = purge();
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(error_of(response)["code"], "HoldfastLimitExceeded");
  EXPECT_EQ(error_of(response)["innerError"]["holdfast"]["rule"], "few");
  EXPECT_TRUE(upstream_->forwarded.empty());
  EXPECT_EQ(content(0)["decision"]["effect"], "deny");
  EXPECT_FALSE(content(0)["decision"].contains("limits"));
}

TEST_F(PipelineTest, BeyondALimitThatSaysSoCallsNeedApproval) {
  enforce(rules_from(kLimitRules));
  log_.fail_nth(1, {ErrorCode::kLimit, "fewer"});
  const http::Response response = purge();
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(content(0)["decision"]["effect"], "require_approval");
  EXPECT_EQ(content(0)["decision"]["rules"], json{"fewer"});
  // For whoever decides: why, what is spent, and what else the call would take.
  EXPECT_EQ(content(0)["approval"]["why"][0]["rule"], "fewer");
  const json limits = content(0)["approval"]["limits"];
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(limits[0], (json{{"rule", "fewer"},
                             {"key", std::string("fewer|mailbox|") + kAlex},
                             {"count", 1},
                             {"per_s", 3600},
                             {"mailbox", kAlex}}));
  EXPECT_EQ(limits[1]["rule"], "few");
  EXPECT_FALSE(content(0)["decision"].contains("limits"));
}

// What it is beyond is shown to whoever decides, and is not taken.
TEST_F(PipelineTest, ACallApprovedBeyondALimitTakesTheOthersOnly) {
  enforce(rules_from(kLimitRules));
  log_.fail_nth(1, {ErrorCode::kLimit, "fewer"});
  EXPECT_EQ(purge().status, 412);
  keep_filed(approval::ApprovalState::kApproved);
  log_.fail_nth(1, {ErrorCode::kLimit, "fewer"});
  EXPECT_EQ(purge().status, 204);
  const json taken = content(1)["decision"]["limits"];
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0]["rule"], "few");
}

TEST_F(PipelineTest, ALimitNobodyTookIsNoReason) {
  enforce(rules_from(kLimitRules));
  log_.fail_nth(1, {ErrorCode::kLimit, "the entry has 99999 bytes"});
  EXPECT_EQ(purge().status, 503);
  log_.fail_nth(1, {ErrorCode::kUnavailable, "few"});
  EXPECT_EQ(purge().status, 503);
}

TEST_F(PipelineTest, WhatWasNotSentGivesItsLimitsBack) {
  enforce(rules_from(kLimitRules));
  upstream_->next_status = 0;
  upstream_->next_result = CallResult::kNotSent;
  EXPECT_EQ(purge().status, 502);
  EXPECT_TRUE(log_.entries().at(1).record.is_limited);
}

json recalled_message(const std::vector<std::string>& recipients) {
  json to = json::array();
  for (const std::string& address : recipients) {
    to.push_back({{"emailAddress", {{"address", address}}}});
  }
  return {{"id", "m1"},
          {"sentDateTime", "2026-01-01T00:00:00Z"},
          {"toRecipients", std::move(to)},
          {"ccRecipients", json::array()},
          {"bccRecipients", json::array()}};
}

// A recall removes the message from its recipients' mailboxes, by whichever name it went there.
TEST_F(PipelineTest, RecallReachesTheRecipientsMailboxes) {
  enforce(rules_from(kAffectedRules));
  const std::string item =
      "/beta/me/messages/m1?$select=id,internetMessageId,sentDateTime,receivedDateTime,from,sender,"
      "toRecipients,ccRecipients,bccRecipients,categories,parentFolderId";
  know_mailbox("/v1.0/users/b%40contoso.com", "11111111-0000-4000-8000-0000000000b2",
               "b@contoso.com");
  const auto recall = [&](http::Headers headers = {}) {
    return send("POST", "/beta/me/messages/m1/recall", std::move(headers)).status;
  };
  EXPECT_EQ(recall(), 403);  // The message cannot be read.
  EXPECT_EQ(content(0)["preimage"]["status"], 404);

  graph_->answer(item, 200, recalled_message({"b@contoso.com"}).dump());
  EXPECT_EQ(recall({{"Prefer", "IdType=\"ImmutableId\""}}), 204);
  EXPECT_EQ(content(1)["preimage"]["recipients_count"], 1);
  EXPECT_EQ(content(1)["decision"]["facts"]["affected_mailboxes"]["complete"], true);
  const auto asked = std::ranges::find(graph_->asked(), "IdType=\"ImmutableId\"",
                                       &testing::FakeGraph::Asked::prefer);
  ASSERT_NE(asked, graph_->asked().end());
  EXPECT_EQ(asked->target, item);

  graph_->answer(item, 200, recalled_message({"b@contoso.com", "held@contoso.com"}).dump());
  EXPECT_EQ(recall(), 403);
  graph_->answer(item, 200, recalled_message({"b@contoso.com", "stranger@fabrikam.com"}).dump());
  EXPECT_EQ(recall(), 403);
  graph_->answer(item, 200, recalled_message(std::vector<std::string>(60, "b@contoso.com")).dump());
  EXPECT_EQ(recall(), 403);
}

TEST_F(PipelineTest, TheItemIsReadOnlyWhereARuleHangsOnIt) {
  enforce(rules_from(kAffectedRules));
  EXPECT_EQ(purge().status, 204);
  for (const auto& asked : graph_->asked()) {
    EXPECT_EQ(asked.target.find("/messages/"), std::string::npos) << asked.target;
  }
  EXPECT_FALSE(content(0).contains("preimage"));
}

TEST_F(PipelineTest, ApprovalNeededFilesAPendingRequest) {
  const http::Response response = send(
      "POST", "/v1.0/me/contacts/c1/permanentDelete",
      {{"x-msft-approval-justification", to_base64("clean up")}, {"Holdfast-Ticket", "CASE-7"}});
  EXPECT_EQ(response.status, 412);
  const json error = error_of(response);
  EXPECT_EQ(error["code"], "HoldfastApprovalRequired");
  const std::string code(response.headers.get("x-msft-approval-code"));
  EXPECT_NE(error["message"].get<std::string>().find(code), std::string::npos);
  EXPECT_EQ(error["innerError"]["holdfast"]["approval"]["code"], code);
  EXPECT_EQ(response.headers.get("Location"), "/holdfast/approvals/" + code);
  EXPECT_EQ(content(0)["approval"]["code"], code);
  EXPECT_EQ(content(0)["approval"]["state"], "PENDING");
  EXPECT_EQ(
      content(0)["approval"]["why"],
      json::array({{{"rule", "contacts-need-approval"}, {"title", "Contacts need approval"}}}));
  EXPECT_EQ(content(0)["request"]["ticket"], "CASE-7");
  EXPECT_EQ(content(0)["request"]["justification"], "clean up");
  EXPECT_TRUE(upstream_->forwarded.empty());
}

// Nobody goes past people who are asked because of what is not known.
TEST_F(PipelineTest, AnApprovalRuleInDoubtIsPutToPeopleWithWhatIsNotKnown) {
  enforce(rules_from(std::string(R"(
schema: 1
revision: r2
rules:
  - id: executives
    effect: require_approval
    when: { mailbox: ceo@contoso.com }
)") + kBreakGlassRule));
  const http::Response response =
      send("POST", "/v1.0/users/nobody/messages/m1/permanentDelete",
           {{"x-msft-approval-justification", kLeak}, {"Holdfast-Break-Glass", "true"}});
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(error_of(response)["code"], "HoldfastApprovalRequired");
  EXPECT_FALSE(error_of(response)["innerError"]["holdfast"].contains("break_glass"));
  EXPECT_EQ(content(0)["approval"]["why"][0]["rule"], "executives");
  EXPECT_EQ(content(0)["approval"]["why"][0]["unknown_facts"], json::array({"mailbox"}));
  EXPECT_EQ(content(0)["decision"]["default"], false);
  EXPECT_TRUE(upstream_->forwarded.empty());
}

// Approvals. The database's part is played by the test: what is filed is added to what is found.

TEST_F(PipelineTest, PlainlyAllowedCallsAskForNoApproval) {
  EXPECT_EQ(purge({{"x-msft-approval-code", to_string(make_uuid_v4())}}).status, 204);
  EXPECT_EQ(approvals_.asked, 0);
}

TEST_F(PipelineTest, PendingApprovalIsNamedAgainAndNotFiledTwice) {
  const std::string code = file_approval(approval::ApprovalState::kPending);
  const http::Response again = purge_contact();
  EXPECT_EQ(again.status, 412);
  EXPECT_EQ(again.headers.get("x-msft-approval-code"), code);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kNone);
  EXPECT_EQ(content(1)["approval"], json({{"code", code}, {"state", "PENDING"}}));
}

TEST_F(PipelineTest, ApprovedCallIsClaimedByItsIntentWithoutAnyHeader) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  EXPECT_EQ(purge_contact().status, 204);
  ASSERT_EQ(log_.entries().size(), 3U);
  EXPECT_EQ(log_.entries()[1].record.approval_step, audit::ApprovalStep::kClaim);
  EXPECT_EQ(content(1)["approval"]["code"], code);
  EXPECT_EQ(content(1)["approval"]["state"], "CLAIMED");
  EXPECT_EQ(log_.entries()[2].record.approval_step, audit::ApprovalStep::kEnd);
  EXPECT_EQ(content(2)["approval"], json({{"code", code}, {"state", "EXECUTED"}}));
}

TEST_F(PipelineTest, ApprovedCallThatIsAtHandIsClaimedWithoutAsking) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  const int asked = approvals_.asked;
  for (const bool by_code : {false, true}) {
    approvals_.approved = {approval::approved_call(approvals_.all.back())};
    http::Headers headers;
    if (by_code) headers.add("x-msft-approval-code", code);
    EXPECT_EQ(purge_contact(headers).status, 204);
    EXPECT_EQ(approvals_.asked, asked);
    EXPECT_EQ(content(by_code ? 3 : 1)["approval"],
              json({{"binding", to_hex(approvals_.all.back().binding.digest())},
                    {"code", code},
                    {"state", "CLAIMED"}}));
    EXPECT_TRUE(approvals_.approved.empty());
  }
}

TEST_F(PipelineTest, WhatIsAtHandDecidesNothingButAClaim) {
  const std::string code = file_approval(approval::ApprovalState::kRejected);
  const approval::ApprovedCall approved = approval::approved_call(approvals_.all.back());
  const std::string other = to_string(make_uuid_v4());
  approval::ApprovedCall short_of_people = approved;
  short_of_people.stages.clear();
  approval::ApprovedCall without_papers = approved;
  without_papers.justification.reset();
  int asked = approvals_.asked;
  // The answer is that of how the approval stands.
  for (const approval::ApprovedCall& hint : {short_of_people, without_papers}) {
    approvals_.approved = {hint};
    EXPECT_EQ(error_of(purge_contact())["code"], "HoldfastApprovalRejected");
    EXPECT_EQ(approvals_.asked, ++asked);
  }
  approvals_.approved = {approved};
  EXPECT_EQ(error_of(purge_contact({{"x-msft-approval-code", other}}))["code"],
            "HoldfastApprovalMismatch");
  EXPECT_EQ(approvals_.asked, ++asked);
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, WhatIsAtHandMendsNoHeaderThatIsWrong) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  break_glass_for_contacts();
  for (const http::Headers& wrong :
       {http::Headers{{"x-msft-approval-code", code}, {"x-msft-approval-code", code}},
        http::Headers{{"Holdfast-Break-Glass", "yes"}}}) {
    approvals_.approved = {approval::approved_call(approvals_.all.back())};
    EXPECT_EQ(purge_contact(wrong).status, 400);
    EXPECT_EQ(approvals_.approved.size(), 1U);
  }
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, WhatIsAtHandAndOverIsAnsweredByHowThingsStand) {
  file_approval(approval::ApprovalState::kRejected);
  approvals_.approved = {approval::approved_call(approvals_.all.back())};
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval is over"});
  EXPECT_EQ(error_of(purge_contact())["code"], "HoldfastApprovalRejected");
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, WhatIsAtHandAndOverGivesWayToWhatIsApprovedByNow) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  approval::ApprovedCall over = approval::approved_call(approvals_.all.back());
  over.code = make_uuid_v4();
  approvals_.approved = {over, approval::approved_call(approvals_.all.back())};
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval is over"});
  EXPECT_EQ(purge_contact().status, 204);
  EXPECT_EQ(content(1)["approval"]["code"], code);
}

TEST_F(PipelineTest, ApprovalBindsTheOperationAndNotItsSpelling) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  EXPECT_EQ(send("POST", "/V1.0/me/contacts('c1')/microsoft.graph.permanentDelete()").status, 204);
  approvals_.all.back().state = approval::ApprovalState::kApproved;
  EXPECT_EQ(send("POST", "/v1.0/me/contacts/C1/permanentDelete", papers()).status, 412);
}

TEST_F(PipelineTest, CodeOfAnotherCallIsAMismatchThatNamesTheField) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  const auto field_of = [&](const std::string& target, http::Headers more = {},
                            const std::string& body = {}) {
    clock_.advance(std::chrono::minutes(1));
    more.add("x-msft-approval-code", code);
    const http::Response response = send("POST", target, std::move(more), body);
    EXPECT_EQ(response.status, 412);
    EXPECT_EQ(error_of(response)["code"], "HoldfastApprovalMismatch");
    return error_of(response)["innerError"]["holdfast"].value("field", "");
  };
  const std::string same = "/v1.0/me/contacts/c1/permanentDelete";
  EXPECT_EQ(field_of("/v1.0/me/contacts/c2/permanentDelete"), "path");
  EXPECT_EQ(field_of("/beta/me/contacts/c1/permanentDelete"), "version");
  EXPECT_EQ(field_of(same + "?a=b"), "query");
  EXPECT_EQ(field_of(same, {{"Prefer", "IdType=\"ImmutableId\""}}), "prefer");
  EXPECT_EQ(field_of(same, {}, "{}"), "body");
  EXPECT_EQ(send("POST", same, {{"x-msft-approval-code", code}}).status, 204);
  EXPECT_EQ(error_of(send("POST", same,
                          {{"x-msft-approval-code",
                            to_string(make_uuid_v4())}}))["innerError"]["holdfast"]["field"],
            "code");
  EXPECT_EQ(upstream_->forwarded.size(), 1U);
}

TEST_F(PipelineTest, EndedApprovalsAnswerForThemselves) {
  file_approval(approval::ApprovalState::kExecuted);
  approval::Approval& approval = approvals_.all.back();
  approval.claim_record = make_uuid_v4();
  const http::Response used = purge_contact();
  EXPECT_EQ(used.status, 409);
  EXPECT_EQ(error_of(used)["code"], "HoldfastApprovalUsed");
  EXPECT_EQ(error_of(used)["innerError"]["holdfast"]["record"], to_string(*approval.claim_record));

  approval.state = approval::ApprovalState::kRejected;
  approval.closing_reason = "no case";
  const http::Response rejected = purge_contact();
  EXPECT_EQ(rejected.status, 403);
  EXPECT_EQ(error_of(rejected)["code"], "HoldfastApprovalRejected");
  EXPECT_NE(error_of(rejected)["message"].get<std::string>().find("no case"), std::string::npos);
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, ExpiredApprovalIsAskedForAnewEvenByItsCode) {
  const std::string code = file_approval(approval::ApprovalState::kExpired);
  approvals_.all.back().answers = false;
  http::Headers headers = papers();
  headers.add("x-msft-approval-code", code);
  const http::Response response =
      send("POST", "/v1.0/me/contacts/c1/permanentDelete", std::move(headers));
  EXPECT_EQ(response.status, 412);
  EXPECT_NE(response.headers.get("x-msft-approval-code"), code);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kFile);
}

TEST_F(PipelineTest, OvertakenClaimIsAnsweredByHowThingsStand) {
  file_approval(approval::ApprovalState::kApproved);
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
  log_.before_next_append(
      [this] { approvals_.all.back().state = approval::ApprovalState::kClaimed; });
  EXPECT_EQ(purge_contact().status, 409);
  EXPECT_TRUE(upstream_->forwarded.empty());
}

// A moment later the call would have been asked for anew, so it is now.
TEST_F(PipelineTest, AClaimThatLosesToExpiryOrRevocationIsAskedForAnew) {
  for (const auto state : {approval::ApprovalState::kExpired, approval::ApprovalState::kRevoked}) {
    clock_.advance(std::chrono::minutes(1));
    approvals_.all.clear();
    const std::string code = file_approval(approval::ApprovalState::kApproved);
    log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
    log_.before_next_append([this, state] {
      approvals_.all.back().state = state;
      approvals_.all.back().answers = false;
    });
    const http::Response response = purge_contact(papers());
    EXPECT_EQ(response.status, 412) << response.content;
    EXPECT_EQ(error_of(response)["code"], "HoldfastApprovalRequired");
    const audit::FakeAuditLog::Entry filed = log_.entries().back();
    EXPECT_EQ(response.headers.get("Holdfast-Record"), to_string(filed.ref.id));
    EXPECT_EQ(filed.record.approval_step, audit::ApprovalStep::kFile);
    EXPECT_NE(response.headers.get("x-msft-approval-code"), code);
  }
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, AClaimThatLosesToExpiryStillGoesPastTheApprovalWhereTheCallSaysSo) {
  file_approval(approval::ApprovalState::kApproved);
  break_glass_for_contacts();
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
  log_.before_next_append([this] {
    approvals_.all.back().state = approval::ApprovalState::kExpired;
    approvals_.all.back().answers = false;
  });
  EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, 204);
  EXPECT_EQ(log_.entries().at(1).record.approval_step, audit::ApprovalStep::kBreakGlass);
  EXPECT_FALSE(content(1).contains("approval"));
}

TEST_F(PipelineTest, AStepThatLosesTwiceIsGivenUp) {
  file_approval(approval::ApprovalState::kExpired);
  approvals_.all.back().answers = false;
  const std::size_t before = log_.entries().size();
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
  EXPECT_EQ(purge_contact(papers()).status, 412) << "filed the second time";
  EXPECT_EQ(log_.entries().size(), before + 1);
  clock_.advance(std::chrono::minutes(1));
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
  log_.fail_nth(2, {ErrorCode::kRefused, "the approval has changed"});
  const http::Response response = purge_contact(papers());
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(error_of(response)["code"], "HoldfastAuditUnavailable");
  EXPECT_EQ(log_.entries().size(), before + 1);
}

TEST_F(PipelineTest, AnApprovalThatIsGivenBackInThatMomentIsThereToBeUsed) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
  const http::Response response = purge_contact();
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(response.headers.get("x-msft-approval-code"), code);
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, UnreadableApprovalsLetNothingThrough) {
  approvals_.away = true;
  const http::Response response = purge_contact();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(error_of(response)["code"], "HoldfastAuditUnavailable");
  EXPECT_TRUE(upstream_->forwarded.empty());
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(PipelineTest, PlainDenialInvalidatesWhatWasApproved) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  enforce(rules_from("schema: 1\nrevision: r2\nrules:\n  - { id: freeze, effect: deny }\n"));
  EXPECT_EQ(purge_contact().status, 403);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kInvalidate);
  EXPECT_EQ(content(1)["approval"]["code"], code);
  EXPECT_EQ(content(1)["approval"]["state"], "INVALIDATED");
}

TEST_F(PipelineTest, PlainDenialByDefaultInvalidatesWhatIsPending) {
  const std::string code = file_approval(approval::ApprovalState::kPending);
  enforce(rules_from(kAffectedRules));
  EXPECT_EQ(purge_contact().status, 403);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kInvalidate);
  EXPECT_EQ(content(1)["approval"]["code"], code);
}

// The rule that lets the call pass, on an approval or without, hangs on whose mailbox it is.
TEST_F(PipelineTest, WhatIsNotKnownStopsTheCallAndLeavesItsApproval) {
  enforce(rules_from(kLimitRules));
  log_.fail_nth(1, {ErrorCode::kLimit, "fewer"});
  EXPECT_EQ(purge().status, 412);
  keep_filed(approval::ApprovalState::kApproved);
  lose_mailbox();
  const http::Response stopped = purge();
  EXPECT_EQ(stopped.status, 403);
  const json error = error_of(stopped);
  EXPECT_EQ(error["code"], "HoldfastDenied");
  EXPECT_NE(error["message"].get<std::string>().find("established: own_mailbox."),
            std::string::npos);
  EXPECT_EQ(error["innerError"]["holdfast"]["unknown_facts"], json::array({"own_mailbox"}));
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kNone);
  EXPECT_TRUE(upstream_->forwarded.empty());
  find_mailbox();
  log_.fail_nth(1, {ErrorCode::kLimit, "fewer"});
  EXPECT_EQ(purge().status, 204);
  EXPECT_EQ(content(2)["approval"]["state"], "CLAIMED");
}

TEST_F(PipelineTest, DenialLeavesWhatWasUsed) {
  file_approval(approval::ApprovalState::kExecuted);
  enforce(rules_from("schema: 1\nrevision: r2\nrules:\n  - { id: freeze, effect: deny }\n"));
  EXPECT_EQ(purge_contact().status, 403);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kNone);
}

// Where the item lies is asked each time; while nobody can say, the call is stopped and no more.
TEST_F(PipelineTest, AnItemThatMovedIsDeniedAndApprovedByWhereItLies) {
  file_approval(approval::ApprovalState::kApproved);
  enforce(rules_from(R"(
schema: 1
revision: r2
rules:
  - { id: kept, effect: deny, when: { folder: [archive] } }
  - { id: contacts, effect: require_approval }
)"));
  const auto lies_in = [&](const char* folder) {
    graph_->answer("/v1.0/me/contacts/c1?$select=id,createdDateTime,categories,parentFolderId", 200,
                   json({{"parentFolderId", folder}}).dump());
  };
  EXPECT_EQ(purge_contact().status, 403);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kNone);
  lies_in("archive");
  EXPECT_EQ(purge_contact().status, 403);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kInvalidate);
  lies_in("inbox");
  EXPECT_EQ(purge_contact().status, 204);
}

TEST_F(PipelineTest, ApprovalThatTheRulesHaveOutgrownIsReplaced) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  enforce(rules_from(R"(
schema: 1
revision: r2
approvers: { legal: { group: 91ab77de-0000-4000-8000-000000000002 } }
rules:
  - id: lawyers
    effect: require_approval
    approve: { stages: [ { from: legal } ] }
)"));
  const http::Response response = purge_contact();
  EXPECT_EQ(response.status, 412);
  EXPECT_NE(response.headers.get("x-msft-approval-code"), code);
  EXPECT_EQ(content(1)["approval"]["replaces"], code);
}

approval::RuleSet contacts_need_approval(const std::string& terms) {
  return rules_from(
      "schema: 1\nrevision: r2\nrules:\n"
      "  - { id: contacts, effect: require_approval, when: { resource: contact }, " +
      terms + " }\n");
}

TEST_F(PipelineTest, ApprovalFiledWithFewerPapersThanTheRulesAskForByNowIsReplaced) {
  for (const char* terms :
       {"require: { justification: 9 }", "require: { ticket: '^INC-[0-9]+$' }"}) {
    for (const auto state :
         {approval::ApprovalState::kPending, approval::ApprovalState::kApproved}) {
      SCOPED_TRACE(terms);
      clock_.advance(1min);
      approvals_.all.clear();
      enforce(rules_from(kRules));
      const std::string code = file_approval(state);
      enforce(contacts_need_approval(terms));
      EXPECT_EQ(purge_contact().status, 400);
      clock_.advance(1min);
      const http::Response response =
          purge_contact({{"x-msft-approval-justification", to_base64("clean up more")},
                         {"Holdfast-Ticket", "INC-7"}});
      EXPECT_EQ(response.status, 412);
      EXPECT_NE(response.headers.get("x-msft-approval-code"), code);
      EXPECT_EQ(last_content()["approval"]["replaces"], code);
    }
  }
  EXPECT_TRUE(upstream_->forwarded.empty());
}

// What it was filed with counts, not what the call is sent again with.
TEST_F(PipelineTest, ApprovalFiledWithAllThatTighterRulesAskForIsClaimed) {
  file_approval(approval::ApprovalState::kApproved);
  enforce(
      contacts_need_approval("require: { justification: 8, ticket: '^CASE-7$' }, "
                             "approve: { decide_within: 1h, use_within: 30m }"));
  EXPECT_EQ(purge_contact().status, 204);
}

TEST_F(PipelineTest, ApprovalWhoseTimeByTheRulesOfNowIsOverIsReplaced) {
  const std::string pending = file_approval(approval::ApprovalState::kPending);
  enforce(contacts_need_approval("approve: { decide_within: 10m }"));
  clock_.advance(10min - 1s);
  EXPECT_EQ(purge_contact().headers.get("x-msft-approval-code"), pending);
  clock_.advance(1s);
  EXPECT_EQ(purge_contact().status, 412);
  EXPECT_EQ(last_content()["approval"]["replaces"], pending);

  clock_.advance(1min);
  approvals_.all.clear();
  enforce(rules_from(kRules));
  const std::string approved = file_approval(approval::ApprovalState::kApproved);
  approvals_.all.back().consents.push_back(
      {.stage = 0, .person = {}, .at = to_rfc3339(clock_.now())});
  enforce(contacts_need_approval("approve: { decide_within: 1s, use_within: 5m }"));
  clock_.advance(5min - 1s);
  EXPECT_EQ(purge_contact().status, 204);
  clock_.advance(1s);
  EXPECT_EQ(purge_contact().status, 412);
  EXPECT_EQ(last_content()["approval"]["replaces"], approved);
}

// Contacts need anybody's approval, and a lawyer's where the mailbox is the CEO's.
constexpr const char* kLawyerRules = R"(
schema: 1
revision: r2
approvers: { legal: { group: 91ab77de-0000-4000-8000-000000000002 } }
rules:
  - id: contacts
    effect: require_approval
    when: { resource: contact }
  - id: lawyers
    effect: require_approval
    when: { mailbox: ceo@contoso.com }
    require: { justification: 20 }
    approve: { stages: [ { from: legal } ] }
)";

TEST_F(PipelineTest, ApprovalThatFallsShortOnlyByWhatIsNotKnownStands) {
  enforce(rules_from(kLawyerRules));
  const std::string code = file_approval(approval::ApprovalState::kPending);
  lose_mailbox();
  const http::Response pending = purge_contact();
  EXPECT_EQ(pending.status, 412);
  EXPECT_EQ(pending.headers.get("x-msft-approval-code"), code);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kNone);

  approvals_.all.back().state = approval::ApprovalState::kApproved;
  const http::Response stopped = purge_contact();
  EXPECT_EQ(stopped.status, 403);
  EXPECT_EQ(error_of(stopped)["code"], "HoldfastDenied");
  const json detail = error_of(stopped)["innerError"]["holdfast"];
  EXPECT_EQ(detail["approval"], json({{"code", code}, {"state", "APPROVED"}}));
  EXPECT_EQ(detail["unknown_facts"], json::array({"mailbox"}));
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kNone);
  EXPECT_EQ(content(2)["approval"], json({{"code", code}, {"state", "APPROVED"}}));
  EXPECT_TRUE(upstream_->forwarded.empty());

  find_mailbox();
  EXPECT_EQ(purge_contact().status, 204);
  EXPECT_EQ(content(3)["approval"]["state"], "CLAIMED");
}

TEST_F(PipelineTest, AnApprovalInDoubtIsNoAnswerToAnEmergency) {
  enforce(rules_from(std::string(kLawyerRules) + kBreakGlassRule));
  file_approval(approval::ApprovalState::kApproved);
  lose_mailbox();
  EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, 204);
  EXPECT_TRUE(content(1).contains("review"));
}

TEST_F(PipelineTest, ApprovalByAGroupUnderAnotherNameIsReplaced) {
  const auto asking = [this](const std::string& name) {
    enforce(rules_from("schema: 1\nrevision: r2\napprovers: { " + name +
                       ": { group: 91ab77de-0000-4000-8000-000000000002 } }\n"
                       "rules:\n  - id: lawyers\n    effect: require_approval\n"
                       "    approve: { stages: [ { from: " +
                       name + " } ] }\n"));
  };
  asking("legal");
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  asking("interns");
  const http::Response response = purge_contact();
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(content(1)["approval"]["replaces"], code);
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, RequestersSeeTheirOwnApprovalsAndNobodyElses) {
  const std::string code = file_approval(approval::ApprovalState::kPending);
  const std::string target = "/holdfast/approvals/" + code;
  const http::Response mine = send("GET", target);
  EXPECT_EQ(mine.status, 200);
  EXPECT_EQ(json::parse(mine.content)["state"], "PENDING");
  EXPECT_EQ(send("GET", "/holdfast/approvals/" + to_string(make_uuid_v4())).status, 404);
  EXPECT_EQ(send("PUT", target).status, 405);

  approvals_.all.back().requester.accounts = {"somebody/else"};
  EXPECT_EQ(send("GET", target).status, 404);
  EXPECT_EQ(send("DELETE", target).status, 404);
  authorized_ = false;
  EXPECT_EQ(send("GET", target).status, 401);
}

// Who belongs to both stages came first, and counts for the one that the other does not belong to.
TEST_F(PipelineTest, RequestersSeeHowManyCountForEachStage) {
  enforce(rules_from(R"(
schema: 1
revision: r2
approvers:
  compliance: { group: 3f2c0a52-0000-4000-8000-000000000001 }
  legal: { group: 91ab77de-0000-4000-8000-000000000002 }
rules:
  - id: two-of-two
    effect: require_approval
    approve: { stages: [ { from: compliance }, { from: legal } ] }
)"));
  const std::string code = file_approval(approval::ApprovalState::kPending);
  json document = approvals_.all.back().document;
  for (const json& stages : {json::array({0, 1}), json::array({0})}) {
    const std::string account = "t/officer" + std::to_string(document["history"].size());
    const json by = {
        {"accounts", json::array({account})}, {"name", account}, {"names", json::array()}};
    document["history"].push_back({{"name", "approve"},
                                   {"at", "2026-10-05T09:00:00.000000Z"},
                                   {"content", {{"by", by}, {"stage", 0}, {"stages", stages}}}});
  }
  approvals_.all.back() = *approval::read_approval(document);
  const json shown = json::parse(send("GET", "/holdfast/approvals/" + code).content);
  EXPECT_EQ(shown["stages"][0]["approved"], 1);
  EXPECT_EQ(shown["stages"][1]["approved"], 1);
}

TEST_F(PipelineTest, RequestersCancelWhatIsPending) {
  const std::string code = file_approval(approval::ApprovalState::kPending);
  EXPECT_EQ(send("DELETE", "/holdfast/approvals/" + code).status, 200);
  EXPECT_EQ(log_.entries().back().record.approval_step, audit::ApprovalStep::kCancel);
  approvals_.all.back().state = approval::ApprovalState::kExecuted;
  approvals_.all.back().claim_record = make_uuid_v4();
  const http::Response used = send("DELETE", "/holdfast/approvals/" + code);
  EXPECT_EQ(used.status, 409);
  EXPECT_EQ(error_of(used)["innerError"]["holdfast"],
            (json{{"approval", {{"code", code}, {"state", "EXECUTED"}}},
                  {"record", to_string(*approvals_.all.back().claim_record)}}));
}

TEST_F(PipelineTest, ApprovalWithoutItsPapersIsAskedForThem) {
  const std::string good = to_base64("clean up");
  const std::vector<http::Headers> incomplete = {
      {},
      {{"x-msft-approval-justification", good}},
      {{"Holdfast-Ticket", "CASE-7"}},
      {{"x-msft-approval-justification", good}, {"Holdfast-Ticket", "7"}},
      {{"x-msft-approval-justification", "!"}, {"Holdfast-Ticket", "CASE-7"}},
      {{"x-msft-approval-justification", to_base64("hi")}, {"Holdfast-Ticket", "CASE-7"}}};
  for (const http::Headers& headers : incomplete) {
    clock_.advance(std::chrono::minutes(1));
    const http::Response response = send("POST", "/v1.0/me/contacts/c1/permanentDelete", headers);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(error_of(response)["code"], "HoldfastJustificationRequired");
    EXPECT_EQ(response.headers.count("Holdfast-Record"), 1U);
  }
}

TEST_F(PipelineTest, BreakingTheGlassGoesPastAnApprovalWithAReview) {
  break_glass_for_contacts();
  const http::Response response = break_glass({{"x-msft-approval-justification", kLeak}});
  EXPECT_EQ(response.status, 204);
  ASSERT_EQ(upstream_->forwarded.size(), 1U);
  EXPECT_EQ(log_.entries().at(0).record.approval_step, audit::ApprovalStep::kBreakGlass);
  EXPECT_EQ(content(0)["decision"]["effect"], "break_glass");
  EXPECT_EQ(content(0)["decision"]["rules"], json::array({"incident"}));
  EXPECT_EQ(content(0)["request"]["justification"], "the mailbox leaks");
  EXPECT_EQ(content(0)["review"]["review_within_s"], 4 * 3600);
  EXPECT_EQ(content(0)["review"]["state"], "OPEN");
  EXPECT_FALSE(content(0).contains("approval"));
  EXPECT_FALSE(content(0)["review"].contains("overrides"));
  EXPECT_TRUE(parse_uuid(content(0)["review"]["code"].get<std::string>()));
  EXPECT_NE(metrics_.text().find("holdfast_break_glass_total 1"), std::string::npos);
}

TEST_F(PipelineTest, BreakingTheGlassTakesAJustificationAndTheRightWord) {
  break_glass_for_contacts();
  const std::vector<std::pair<http::Headers, const char*>> refused = {
      {{}, "HoldfastJustificationRequired"},
      {{{"x-msft-approval-justification", to_base64("  short  ")}},
       "HoldfastJustificationRequired"},
      {{{"x-msft-approval-justification", "!"}}, "HoldfastJustificationRequired"},
      {{{"x-msft-approval-justification", kLeak}, {"Holdfast-Break-Glass", "true"}},
       "HoldfastBadRequest"}};
  for (const auto& [headers, code] : refused) {
    clock_.advance(std::chrono::minutes(1));
    const http::Response response = break_glass(headers);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(error_of(response)["code"], code);
  }
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, NobodyBreaksTheGlassUnasked) {
  break_glass_for_contacts();
  const http::Response response = send("POST", "/v1.0/me/contacts/c1/permanentDelete", papers());
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(error_of(response)["innerError"]["holdfast"]["break_glass"], json::array({"incident"}));
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, WhoNoRuleNamesAsksForApprovalAsEver) {
  http::Headers headers = papers();
  headers.add("Holdfast-Break-Glass", "true");
  EXPECT_EQ(send("POST", "/v1.0/me/contacts/c1/permanentDelete", headers).status, 412);
}

// However the call was sent when they said so.
TEST_F(PipelineTest, BreakingTheGlassGoesPastNoRejectionOfTheSameItem) {
  file_approval(approval::ApprovalState::kRejected);
  approvals_.rejected = approvals_.all.back();
  approvals_.all.clear();
  break_glass_for_contacts();
  const http::Response response = break_glass({{"x-msft-approval-justification", kLeak}});
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(error_of(response)["code"], "HoldfastApprovalRejected");
  EXPECT_TRUE(upstream_->forwarded.empty());
  ASSERT_EQ(approvals_.rejections_asked.size(), 1U);
  const auto& [operation, requester] = approvals_.rejections_asked.front();
  EXPECT_EQ(json::parse(operation), content(0)["operation"]);
  EXPECT_EQ(requester, approvals_.rejected->requester.accounts.front());
}

TEST_F(PipelineTest, WhoAsksIsKnownByEveryNameOfTheirMailbox) {
  graph_->answer("/v1.0/me?$select=id,userPrincipalName,mail,proxyAddresses", 200,
                 json({{"id", kAlex},
                       {"userPrincipalName", "alex@contoso.com"},
                       {"mail", "wilber@contoso.com"},
                       {"proxyAddresses", {"smtp:W_Fabrikam.com#EXT#@contoso.com"}}})
                     .dump());
  EXPECT_EQ(send("POST", "/v1.0/me/contacts/c1/permanentDelete", papers()).status, 412);
  EXPECT_EQ(content(0)["approval"]["requested_by"]["names"],
            json::array({"alex@contoso.com", "w@fabrikam.com", "wilber@contoso.com"}));
  // Whose mailbox it is else says nothing of who asks.
  know_mailbox("/v1.0/users/b%40contoso.com", "11111111-0000-4000-8000-0000000000b2",
               "b@contoso.com");
  EXPECT_EQ(
      send("POST", "/v1.0/users/b%40contoso.com/contacts/c1/permanentDelete", papers()).status,
      412);
  EXPECT_EQ(content(1)["approval"]["requested_by"]["names"], json::array({"alex@contoso.com"}));
}

// What officers have said, or an approval was used for, stands.
TEST_F(PipelineTest, BreakingTheGlassIsForCallsWithoutAnAnswer) {
  using enum approval::ApprovalState;
  const std::vector<std::pair<approval::ApprovalState, int>> cases = {
      {kPending, 204},  {kApproved, 204}, {kRejected, 403},
      {kExecuted, 409}, {kUnknown, 409},  {kExpired, 204}};
  for (const auto& [state, status] : cases) {
    SCOPED_TRACE(audit::to_string(state));
    clock_.advance(std::chrono::minutes(1));
    approvals_.all.clear();
    file_approval(state);
    approvals_.all.back().answers = state != kExpired;
    break_glass_for_contacts();
    const std::size_t before = upstream_->forwarded.size();
    EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, status);
    EXPECT_EQ(upstream_->forwarded.size() - before, status == 204 ? 1U : 0U);
    if (status != 204) continue;
    const std::size_t intent = log_.entries().size() - 2;
    EXPECT_EQ(content(intent).contains("review"), state != kApproved);
    EXPECT_EQ(content(intent).contains("approval"), state == kApproved) << "it is claimed";
    if (state == kApproved) continue;
    const json review = content(intent)["review"];
    const approval::Approval& filed = approvals_.all.back();
    EXPECT_EQ(review["binding"], filed.document["filing"]["binding"]);
    const json waits = {{"code", to_string(filed.code)}, {"step", 1}};
    EXPECT_EQ(review.value("overrides", json()), state == kPending ? waits : json());
  }
  approvals_.away = true;
  EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, 503);
}

TEST_F(PipelineTest, BreakingTheGlassWithTheCodeOfItsApprovalIsNoOther) {
  using enum approval::ApprovalState;
  const std::vector<std::pair<approval::ApprovalState, int>> cases = {
      {kPending, 204},  {kApproved, 204},  {kRejected, 403},
      {kExecuted, 409}, {kCancelled, 204}, {kFailed, 204}};
  for (const auto& [state, status] : cases) {
    SCOPED_TRACE(audit::to_string(state));
    clock_.advance(std::chrono::minutes(1));
    approvals_.all.clear();
    const std::string code = file_approval(state);
    approvals_.all.back().answers = state != kCancelled && state != kFailed;
    break_glass_for_contacts();
    const http::Headers headers = {{"x-msft-approval-justification", kLeak},
                                   {"x-msft-approval-code", code}};
    EXPECT_EQ(break_glass(headers).status, status);
    if (status != 204) continue;
    const std::size_t intent = log_.entries().size() - 2;
    EXPECT_EQ(content(intent).contains("review"), state != kApproved);
  }
  // One that is another call's is a mistake, and "yes" is no word for it.
  clock_.advance(std::chrono::minutes(1));
  const http::Response other = break_glass({{"x-msft-approval-justification", kLeak},
                                            {"x-msft-approval-code", to_string(make_uuid_v4())}});
  EXPECT_EQ(error_of(other)["code"], "HoldfastApprovalMismatch");
  const std::string code = file_approval(kPending);
  const http::Response yes =
      send("POST", "/v1.0/me/contacts/c1/permanentDelete",
           {{"x-msft-approval-code", code}, {"Holdfast-Break-Glass", "yes"}});
  EXPECT_EQ(error_of(yes)["code"], "HoldfastBadRequest");
}

// A thousand rules that match a call of which little is known, with names as long as they may be.
TEST_F(PipelineTest, HoweverManyRulesMatchTheCallIsRecorded) {
  for (const std::string effect : {"deny", "require_approval", "allow"}) {
    for (const std::string mode : {"enforce", "monitor"}) {
      SCOPED_TRACE(effect + " " + mode);
      clock_.advance(std::chrono::minutes(1));
      std::string rules = "schema: 1\nrevision: r3\nrules:\n";
      for (int i = 0; i < 990; ++i) {
        const std::string id = "rule-" + std::to_string(1000 + i) + std::string(55, 'x');
        rules += "  - { id: " + id + ", title: " + std::string(200, 't') + ", effect: " + effect +
                 ", mode: " + mode + " }\n";
      }
      enforce(rules_from(rules));
      const std::size_t before = log_.entries().size();
      const http::Response response = send("POST", "/v1.0/me/contacts/c1/permanentDelete");
      EXPECT_NE(response.status, 503);
      ASSERT_GT(log_.entries().size(), before);
      const json decision = content(before)["decision"];
      const json& listed = mode == "monitor" ? decision["monitored"] : decision["matched"];
      EXPECT_EQ(listed.size(), 100U);
      EXPECT_EQ(decision[mode == "monitor" ? "monitored_more" : "matched_more"], 890);
      EXPECT_EQ(decision.value("rules_more", 0), mode == "monitor" ? 0 : 890);
    }
  }
}

TEST_F(PipelineTest, ADecisionThatIsTooLongIsShortened) {
  json names = {{"id", kAlex}, {"userPrincipalName", "alex@contoso.com"}, {"mail", nullptr}};
  for (int i = 0; i < 400; ++i) {
    names["proxyAddresses"].push_back("smtp:" + std::to_string(i) + std::string(60, 'a') +
                                      "@contoso.com");
  }
  clock_.advance(identity::kNamesAgeMax + 1min);
  graph_->answer("/v1.0/me?$select=id,userPrincipalName,mail,proxyAddresses", 200, names.dump());
  EXPECT_EQ(send("POST", "/v1.0/me/messages/m1/permanentDelete").status, 204);
  const json intent = content(0);
  EXPECT_EQ(intent["operation"]["mailbox"]["names"].size(), 402U);
  EXPECT_EQ(intent["decision"]["shortened"], true);
  EXPECT_FALSE(intent["decision"].contains("facts"));
  EXPECT_EQ(intent["decision"]["effect"], "allow");
}

TEST_F(PipelineTest, WhatIsSaidTwiceForPeopleIsSaidByNobody) {
  for (const char* name : {"x-msft-approval-justification", "Holdfast-Ticket"}) {
    SCOPED_TRACE(name);
    clock_.advance(std::chrono::minutes(1));
    http::Headers headers = papers();
    headers.add(name, to_base64("another"));
    headers.add(name, to_base64("another"));
    for (const char* target :
         {"/v1.0/me/contacts/c1/permanentDelete", "/v1.0/me/messages/m1/permanentDelete"}) {
      const http::Response response = send("POST", target, headers);
      EXPECT_EQ(response.status, 400) << target;
      EXPECT_EQ(error_of(response)["code"], "HoldfastBadRequest");
      EXPECT_EQ(error_of(response)["message"],
                std::string("There is more than one ") + name + " header.");
      EXPECT_EQ(response.headers.count("Holdfast-Record"), 1U);
    }
  }
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, AnApprovalThatTheRulesHaveOutgrownIsNoAnswerToAnEmergency) {
  const std::string code = file_approval(approval::ApprovalState::kApproved);
  enforce(rules_from(std::string(R"(
schema: 1
revision: r2
approvers: { legal: { group: 91ab77de-0000-4000-8000-000000000002 } }
rules:
  - id: lawyers
    effect: require_approval
    approve: { stages: [ { from: legal } ] }
)") + kBreakGlassRule));
  EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, 204);
  EXPECT_EQ(content(1)["review"]["overrides"], json({{"code", code}, {"step", 1}}));
}

// The log refuses the intent, and the approval says why.
TEST_F(PipelineTest, WhoBreaksTheGlassIsAnsweredByWhatTheApprovalHasBecome) {
  using enum approval::ApprovalState;
  const std::vector<std::pair<approval::ApprovalState, int>> cases = {
      {kRejected, 403}, {kClaimed, 409}, {kExecuted, 409}, {kApproved, 204}, {kCancelled, 204}};
  for (const auto& [state, status] : cases) {
    SCOPED_TRACE(audit::to_string(state));
    clock_.advance(std::chrono::minutes(1));
    approvals_.all.clear();
    file_approval(kPending);
    break_glass_for_contacts();
    const std::size_t before = upstream_->forwarded.size();
    log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
    log_.before_next_append([this, becomes = state] {
      approvals_.all.back().state = becomes;
      approvals_.all.back().answers = becomes != kCancelled;
    });
    EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, status);
    EXPECT_EQ(upstream_->forwarded.size() - before, status == 204 ? 1U : 0U);
    if (status != 204) continue;
    const std::size_t intent = log_.entries().size() - 2;
    EXPECT_EQ(content(intent).contains("approval"), state == kApproved) << "it is claimed";
    EXPECT_EQ(content(intent).contains("review"), state == kCancelled);
    EXPECT_FALSE(content(intent).value("review", json::object()).contains("overrides"));
  }
}

TEST_F(PipelineTest, TheGlassIsBrokenPastAnApprovalAsItStandsByThen) {
  file_approval(approval::ApprovalState::kPending);
  break_glass_for_contacts();
  log_.fail_nth(1, {ErrorCode::kRefused, "the approval has changed"});
  log_.before_next_append([this] { approvals_.all.back().step = 2; });
  EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, 204);
  EXPECT_EQ(content(1)["review"]["overrides"]["step"], 2);
}

TEST_F(PipelineTest, AnApprovalThatNeverStandsStillIsGivenUp) {
  file_approval(approval::ApprovalState::kPending);
  break_glass_for_contacts();
  for (std::size_t n = 1; n <= 4; ++n) {
    log_.fail_nth(n, {ErrorCode::kRefused, "the approval has changed"});
  }
  const http::Response response = break_glass({{"x-msft-approval-justification", kLeak}});
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(error_of(response)["code"], "HoldfastAuditUnavailable");
  EXPECT_TRUE(upstream_->forwarded.empty());
  EXPECT_NE(metrics_.text().find("holdfast_break_glass_total 0"), std::string::npos);
}

TEST_F(PipelineTest, OfSeveralWaysPastAnApprovalTheLongestTimeForTheReviewCounts) {
  const std::string other = R"(
  - id: short
    effect: break_glass
    when: { resource: contact }
    require: { justification: 11 }
    review_within: 1h
)";
  enforce(rules_from(std::string(kRules) + kBreakGlassRule + other));
  EXPECT_EQ(break_glass({{"x-msft-approval-justification", kLeak}}).status, 204);
  EXPECT_EQ(content(0)["decision"]["rules"], json({"incident", "short"}));
  EXPECT_EQ(content(0)["review"]["review_within_s"], 4 * 3600);
  // Of the rules whose papers the call has.
  const std::string brief = to_base64("0123456789");
  EXPECT_EQ(break_glass({{"x-msft-approval-justification", brief}}).status, 204);
  EXPECT_EQ(content(2)["decision"]["rules"], json::array({"incident"}));
}

TEST_F(PipelineTest, CallerMustBeNamed) {
  authorized_ = false;
  const http::Response response = purge({{"client-request-id", "c-1"}});
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(error_of(response)["code"], "InvalidAuthenticationToken");
  EXPECT_EQ(error_of(response)["innerError"]["client-request-id"], "c-1");
  EXPECT_EQ(response.headers.count("WWW-Authenticate"), 1U);
  EXPECT_EQ(content(0)["decision"]["effect"], "unauthenticated");
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, TwoAuthorizationHeadersAreAmbiguous) {
  const http::Response response =
      purge({{"Authorization", "Bearer a.b.c"}, {"Authorization", "Bearer d.e.f"}});
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response)["code"], "HoldfastBadRequest");
  EXPECT_TRUE(upstream_->forwarded.empty());
}

// Callers are the apps that their certificates stand for.
class MtlsPipelineTest : public PipelineTest {
 protected:
  MtlsPipelineTest() {
    certificates_.emplace(std::vector<identity::CertificateApps::Entry>{
        {.name = "DNS:billing.contoso.com", .tenant_id = kTenant, .app_id = kBilling},
        {.name = "DNS:payroll.contoso.com", .tenant_id = kTenant, .app_id = kPayroll}});
    enforce(rules_from(kMtlsRules));
    make_pipeline(rules_);
    present({"DNS:billing.contoso.com"});
    know_mailbox("/v1.0/users/adele%40contoso.com", "11111111-0000-4000-8000-0000000000a2",
                 "adele@contoso.com");
  }

  void present(std::vector<std::string> names) {
    certificate_ = std::make_shared<const http::ClientCertificate>(http::ClientCertificate{
        .subject = "CN=billing.contoso.com", .names = std::move(names), .sha256 = "00"});
  }

  static std::string token_of_app(const char* app, const char* tenant = kTenant) {
    return token_of({{"tid", tenant},
                     {"oid", kAlex},
                     {"appid", app},
                     {"app_displayname", "Forged name"},
                     {"idtyp", "app"},
                     {"uti", "forged"},
                     {"roles", {"Trusted"}}});
  }
  http::Response purge_as(const std::string& token, const std::string& mailbox = "adele") {
    return send("POST", "/v1.0/users/" + mailbox + "@contoso.com/messages/m1/permanentDelete",
                {{"Authorization", "Bearer " + token}});
  }
  void expect_refused(const http::Response& response, int status, const std::string& code) {
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(error_of(response)["code"], code);
    ASSERT_FALSE(log_.entries().empty());
    const json refused = content(log_.entries().size() - 1);
    EXPECT_EQ(refused["decision"]["effect"], "unauthenticated");
    EXPECT_EQ(refused["decision"]["status"], status);
    EXPECT_TRUE(refused["request"].contains("client_certificate"));
    EXPECT_TRUE(upstream_->forwarded.empty());
    EXPECT_TRUE(graph_->asked().empty());
  }

  static constexpr const char* kBilling = "22222222-0000-4000-8000-000000000011";
  static constexpr const char* kPayroll = "22222222-0000-4000-8000-000000000012";
  static constexpr const char* kMtlsRules = R"(
schema: 1
revision: "m1"
rules:
  - id: hold
    effect: deny
    when: { mailbox: { in: [held@contoso.com] } }
  - id: contacts-need-approval
    effect: require_approval
    when: { resource: contact }
  - id: trusted
    effect: allow
    when: { actor: { role: [Trusted] }, resource: event }
  - id: billing
    effect: allow
    when: { actor: { kind: app, app: 22222222-0000-4000-8000-000000000011 }, resource: message }
)";
};

TEST_F(MtlsPipelineTest, TheAppOfTheCertificateIsTheCallerAndGraphIsNotAskedAboutIt) {
  EXPECT_EQ(purge_as(token_of_app(kBilling)).status, 204);
  ASSERT_EQ(log_.entries().size(), 2U);
  const json actor = content(0)["actor"];
  EXPECT_EQ(actor["kind"], "app");
  EXPECT_EQ(actor["verification"], "certificate");
  EXPECT_EQ(actor["tenant"], kTenant);
  EXPECT_EQ(actor["app"], kBilling);
  EXPECT_EQ(actor["name"], "DNS:billing.contoso.com");
  EXPECT_FALSE(actor.contains("token_id"));
  EXPECT_TRUE(actor.contains("token_sha256"));
  EXPECT_EQ(content(0)["decision"]["rules"], json({"billing"}));
  EXPECT_TRUE(content(0)["request"].contains("client_certificate"));
  ASSERT_EQ(graph_->asked().size(), 1U);
  EXPECT_TRUE(graph_->asked()[0].target.starts_with("/v1.0/users/adele%40contoso.com?"));
  ASSERT_EQ(upstream_->forwarded.size(), 1U);
  EXPECT_EQ(upstream_->forwarded[0].head.headers.get("Authorization"),
            "Bearer " + token_of_app(kBilling));
}

TEST_F(MtlsPipelineTest, RulesHoldForTheAppOfTheCertificate) {
  EXPECT_EQ(purge_as(token_of_app(kBilling), "held").status, 403);
  EXPECT_EQ(content(0)["decision"]["rules"], json({"hold"}));
  present({"DNS:payroll.contoso.com"});
  EXPECT_EQ(purge_as(token_of_app(kPayroll)).status, 403);
  EXPECT_EQ(content(1)["decision"]["effect"], "deny");
  EXPECT_EQ(content(1)["actor"]["app"], kPayroll);
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(MtlsPipelineTest, RolesThatTheTokenClaimsAreNotKnown) {
  const http::Response response =
      send("POST", "/v1.0/users/adele@contoso.com/events/e1/permanentDelete",
           {{"Authorization", "Bearer " + token_of_app(kBilling)}});
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(content(0)["decision"]["effect"], "deny");
  EXPECT_TRUE(content(0)["decision"]["facts"]["roles"].is_null());
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(MtlsPipelineTest, CertificatesOfNobodyAreRefusedAndRecorded) {
  present({"DNS:stranger.contoso.com"});
  expect_refused(purge_as(token_of_app(kBilling)), 403, "HoldfastDenied");
  EXPECT_FALSE(content(0).contains("actor"));
  present({"DNS:billing.contoso.com", "DNS:payroll.contoso.com"});
  expect_refused(purge_as(token_of_app(kBilling)), 403, "HoldfastDenied");
  EXPECT_EQ(log_.entries().size(), 2U);
}

// TLS lets nobody through without one; should it ever, the token does not stand in for it.
TEST_F(MtlsPipelineTest, WithoutACertificateNobodyIsKnown) {
  certificate_ = nullptr;
  const http::Response response = purge_as(token_of_app(kBilling));
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(content(0)["decision"]["effect"], "unauthenticated");
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(MtlsPipelineTest, TokensOfOthersAreRefusedInTheNameOfTheApp) {
  const char* const other_tenant = "11111111-0000-4000-8000-0000000000ff";
  for (const std::string& token :
       {token_of_app(kPayroll), token_of_app(kBilling, other_tenant), token_for(kAlex)}) {
    expect_refused(purge_as(token), 403, "HoldfastDenied");
    const json actor = content(log_.entries().size() - 1)["actor"];
    EXPECT_EQ(actor["app"], kBilling);
    EXPECT_EQ(actor["verification"], "certificate");
  }
}

TEST_F(MtlsPipelineTest, WhatLooksLikeATokenToBeReadMustBeReadable) {
  expect_refused(purge_as(token_of_app(kPayroll) + "="), 401, "InvalidAuthenticationToken");
}

TEST_F(MtlsPipelineTest, AnOpaqueTokenIsForGraphToDecideOn) {
  upstream_->next_status = 401;
  EXPECT_EQ(purge_as("opaque").status, 401);
  ASSERT_EQ(log_.entries().size(), 2U);
  EXPECT_EQ(kind(0), Kind::kIntent);
  EXPECT_EQ(content(1)["outcome"]["result"], "refused");
}

TEST_F(MtlsPipelineTest, ATokenIsAskedForAllTheSame) {
  authorized_ = false;
  const http::Response response =
      send("POST", "/v1.0/users/adele@contoso.com/messages/m1/permanentDelete");
  expect_refused(response, 401, "InvalidAuthenticationToken");
}

// What is not guarded passes as ever; a batch that holds something guarded does not.
TEST_F(MtlsPipelineTest, WhatIsNotGuardedPassesWhateverTheTokenSays) {
  present({"DNS:stranger.contoso.com"});
  EXPECT_EQ(send("GET", "/v1.0/me").status, 200);
  present({"DNS:billing.contoso.com"});
  const http::Headers headers{{"Content-Type", "application/json"}};
  const std::string reads = R"({"requests":[{"id":"1","method":"GET","url":"/me"}]})";
  EXPECT_EQ(send("POST", "/v1.0/$batch", headers, reads).status, 200);
  EXPECT_EQ(upstream_->passed.size(), 2U);
  const std::string purges =
      R"({"requests":[{"id":"1","method":"POST","url":"/me/messages/m1/permanentDelete"}]})";
  EXPECT_EQ(send("POST", "/v1.0/$batch", headers, purges).status, 400);
  EXPECT_EQ(upstream_->passed.size(), 2U);
}

TEST_F(MtlsPipelineTest, ApprovalsAreTheAppsAndOnlyItSeesThem) {
  const http::Response filed =
      send("POST", "/v1.0/users/adele@contoso.com/contacts/c1/permanentDelete",
           {{"Authorization", "Bearer " + token_of_app(kBilling)}});
  EXPECT_EQ(filed.status, 412);
  const json approval = content(0)["approval"];
  EXPECT_EQ(approval["requester"], std::string(kTenant) + "/" + kBilling);
  approvals_.add(log_.entries().back().record.content["approval"],
                 approval::ApprovalState::kPending);
  const std::string target =
      "/holdfast/approvals/" + std::string(filed.headers.get("x-msft-approval-code"));
  const auto look = [&](const char* app) {
    return send("GET", target, {{"Authorization", "Bearer " + token_of_app(app)}}).status;
  };
  EXPECT_EQ(look(kBilling), 200);
  EXPECT_EQ(look(kPayroll), 403);
  present({"DNS:payroll.contoso.com"});
  EXPECT_EQ(look(kPayroll), 404);
}

TEST_F(MtlsPipelineTest, ARecordHoldsSomeNamesAndTheOneThatCounted) {
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) names.push_back("DNS:host" + std::to_string(i));
  names.push_back("DNS:billing.contoso.com");
  present(names);
  EXPECT_EQ(purge_as(token_of_app(kBilling)).status, 204);
  EXPECT_EQ(content(0)["request"]["client_certificate"]["names"].size(), 16U);
  EXPECT_EQ(content(0)["actor"]["name"], "DNS:billing.contoso.com");
}

TEST_F(PipelineTest, GraphsRefusalOfTheTokenReachesTheClient) {
  graph_->answer("/v1.0/me?$select=id", 401, R"({"error":{"code":"X"}})",
                 {{"WWW-Authenticate", "Bearer claims=abc"}});
  const http::Response response = purge({{"client-request-id", "mine-1"}});
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.headers.get("WWW-Authenticate"), "Bearer claims=abc");
  EXPECT_EQ(error_of(response)["code"], "X");
  EXPECT_EQ(error_of(response)["innerError"]["client-request-id"], "mine-1");
  EXPECT_EQ(content(0)["actor"]["verification"], "none");
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, ForgedTokenIsNobody) {
  const json other = {{"id", "11111111-0000-4000-8000-0000000000ff"}};
  graph_->answer("/v1.0/me?$select=id", 200, other.dump());
  EXPECT_EQ(purge().status, 401);
  EXPECT_EQ(content(0)["actor"]["verification"], "none");
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, VerificationAwayMeansNothingForwarded) {
  graph_->fail(ErrorCode::kUnavailable);
  const http::Response response = purge();
  EXPECT_EQ(response.status, 502);
  EXPECT_EQ(error_of(response)["code"], "HoldfastUpstreamUnreachable");
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, AmbiguousRequestIsRefusedAndRecorded) {
  const http::Response response = send("POST", "/v1.0/me/messages/m1%5CpermanentDelete");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response)["code"], "HoldfastBadRequest");
  EXPECT_EQ(content(0)["decision"]["effect"], "bad_request");
  EXPECT_EQ(content(0)["actor"]["verification"], "none");
}

TEST_F(PipelineTest, RefusalsBeyondTheRateAreCountedNotRecorded) {
  authorized_ = false;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(purge().headers.count("Holdfast-Record"), 1U);
  const http::Response response = purge();
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.headers.count("Holdfast-Record"), 0U);
  EXPECT_EQ(log_.entries().size(), 3U);
  EXPECT_EQ(refusals_.take_unrecorded()->unverified, 1);
}

TEST_F(PipelineTest, ApprovalThatIsNotFiledIsNotPromised) {
  const http::Headers headers{{"x-msft-approval-justification", to_base64("clean up")},
                              {"Holdfast-Ticket", "CASE-7"}};
  const auto ask = [&] { return send("POST", "/v1.0/me/contacts/c1/permanentDelete", headers); };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask().status, 412);
  const http::Response response = ask();
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(error_of(response)["code"], "HoldfastLimitExceeded");
  EXPECT_EQ(response.headers.count("x-msft-approval-code"), 0U);
  EXPECT_EQ(refusals_.take_unrecorded()->verified, 1);
}

TEST_F(PipelineTest, VerifiedCallersRefusalsAreTheirOwnWhateverTheReason) {
  purge();
  authorized_ = false;
  for (int i = 0; i < 5; ++i) purge();
  authorized_ = true;
  const http::Response ambiguous = send("POST", "/v1.0/me/messages/m1%5CpermanentDelete");
  EXPECT_EQ(ambiguous.headers.count("Holdfast-Record"), 1U);
}

TEST_F(PipelineTest, BodiesAreKeptOnlyForCallersWhoNameThemselves) {
  authorized_ = false;
  EXPECT_EQ(send("POST", "/v1.0/$batch", {}, std::string(2000, 'x')).status, 401);
  EXPECT_EQ(send("POST", "/v1.0/me/messages/m/recall", {}, std::string(2000, 'x')).status, 401);
}

TEST_F(PipelineTest, PassThroughBlamesTheClientForItsOwnBrokenBody) {
  upstream_->pass_fails = true;
  upstream_->pass_progress = http::Progress::kNothingSent;
  http::Request request{.head = {.method = "PUT", .target = "/v1.0/me/photo/$value"},
                        .peer = {.address = "192.0.2.1"},
                        .body = std::make_unique<BrokenBody>()};
  const http::Response response = testing::run(pipeline_->handle(std::move(request)));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response)["code"], "HoldfastBadRequest");
}

TEST_F(PipelineTest, ReasonsOfAnyLengthFitARecord) {
  const std::string id(900, 'x');
  send("POST", "/v1.0/$batch", {},
       R"({"requests":[{"id":")" + id + R"(\u0000","method":"POST",)" +
           R"("url":"/me/messages/m/recall"}]})");
  ASSERT_EQ(log_.entries().size(), 1U);
  const std::string reason = content(0)["decision"]["reason"];
  EXPECT_LE(reason.size(), 512U);
  EXPECT_EQ(reason.find('\0'), std::string::npos);
}

TEST_F(PipelineTest, RefusalThatCannotBeRecordedIsNotGiven) {
  log_.fail_nth(1, {ErrorCode::kUnavailable, "away"});
  const http::Response response =
      send("POST", "/v1.0/users/held%40contoso.com/messages/m1/permanentDelete");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(error_of(response)["code"], "HoldfastAuditUnavailable");
  EXPECT_EQ(response.headers.count("Retry-After"), 0U);
  EXPECT_EQ(response.headers.count("Holdfast-Record"), 0U);
}

TEST_F(PipelineTest, NoIntentNoForward) {
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kInDoubt, ErrorCode::kTimeout}) {
    log_.fail_nth(1, {code, "away"});
    const http::Response response = purge();
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.headers.count("Retry-After"), 0U);
  }
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, DrainingTurnsBalancersAwayAndNobodyElse) {
  EXPECT_EQ(send("GET", "/holdfast/readyz").status, 200);
  draining_ = true;
  const http::Response ready = send("GET", "/holdfast/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(json::parse(ready.content)["status"], "draining");
  EXPECT_EQ(send("GET", "/holdfast/livez").status, 200);
  EXPECT_EQ(purge().status, 204);
}

TEST_F(PipelineTest, UnreadyLogStopsGuardedCallsOnly) {
  log_.set_health({.ready = false, .reason = "spool", .spooled = 3});
  EXPECT_EQ(purge().status, 503);
  EXPECT_TRUE(graph_->asked().empty());
  EXPECT_EQ(send("GET", "/v1.0/me/messages").status, 200);
  const http::Response ready = send("GET", "/holdfast/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(json::parse(ready.content)["reason"], "spool");
  EXPECT_EQ(send("GET", "/holdfast/livez").status, 200);
}

TEST_F(PipelineTest, GraphsErrorComesBackUnchanged) {
  upstream_->next_status = 404;
  upstream_->next_content = R"({"error":{"code":"ErrorItemNotFound","message":"gone"}})";
  upstream_->next_headers = {{"Content-Type", "application/json"}, {"Retry-After", "7"}};
  const http::Response response = purge();
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.content, upstream_->next_content);
  EXPECT_EQ(response.headers.get("Retry-After"), "7");
  EXPECT_EQ(content(1)["outcome"]["result"], "refused");
  EXPECT_EQ(content(1)["outcome"]["error_code"], "ErrorItemNotFound");
}

TEST_F(PipelineTest, AnswersThatSettleNothingAreUnknown) {
  for (const int status : {302, 408, 500, 503, 504}) {
    upstream_->next_status = status;
    const http::Response response = purge();
    EXPECT_EQ(response.status, 502) << status;
    EXPECT_EQ(error_of(response)["code"], "HoldfastOutcomeUnknown") << status;
    EXPECT_EQ(error_of(response)["innerError"]["holdfast"]["status"], status);
    EXPECT_EQ(content_of(log_.entries().back().record)["outcome"]["result"], "unknown");
  }
}

TEST_F(PipelineTest, NoAnswerIsUnknownAndNotSentIsUnreachable) {
  upstream_->next_status = 0;
  upstream_->next_result = CallResult::kUnknown;
  EXPECT_EQ(error_of(purge())["code"], "HoldfastOutcomeUnknown");
  upstream_->next_result = CallResult::kNotSent;
  const http::Response response = purge();
  EXPECT_EQ(response.status, 502);
  EXPECT_EQ(error_of(response)["code"], "HoldfastUpstreamUnreachable");
  EXPECT_EQ(error_of(response)["message"], "Nothing was sent to Microsoft Graph: test");
  EXPECT_EQ(content_of(log_.entries().back().record)["outcome"]["result"], "not_sent");
}

TEST_F(PipelineTest, SpooledOutcomeIsAsGoodAsACommittedOne) {
  log_.spool_nth(2);
  EXPECT_EQ(purge().status, 204);
}

TEST_F(PipelineTest, OutcomeDurableNowhereIsNeverReportedAsCertain) {
  log_.fail_nth(2, {ErrorCode::kInternal, "disk full"});
  const http::Response response = purge();
  EXPECT_EQ(response.status, 502);
  EXPECT_EQ(error_of(response)["code"], "HoldfastOutcomeUnknown");
  EXPECT_EQ(response.headers.count("Holdfast-Record"), 1U);
  EXPECT_EQ(response.headers.get("Link"), proof_link(response));
}

TEST_F(PipelineTest, RecallAnswerTravelsUnchangedAndIsRead) {
  enforce(rules_from(R"(
schema: 1
revision: "r2"
default: deny
rules:
  - { id: all, title: All, effect: allow, when: { action: recall } }
)"));
  upstream_->next_status = 202;
  upstream_->next_content =
      "{\n  \"Successfully submitted recall request to Hub server H.X, MessageId is M@x.\"\n}";
  const http::Response response = send("POST", "/beta/me/mailFolders/sentitems/messages/m1/recall");
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.content, upstream_->next_content);
  EXPECT_EQ(content(1)["outcome"]["recall"], json({{"message_id", "M@x"}, {"hub_server", "H.X"}}));
  EXPECT_EQ(content(0)["decision"]["rules_revision"], "r2");
}

TEST_F(PipelineTest, BatchWithoutGuardedPartsPassesByteForByte) {
  const std::string body = R"({"requests": [ {"id":"1","method":"GET","url":"/me/messages"} ]})";
  EXPECT_EQ(send("POST", "/v1.0/$batch", {{"Content-Type", "application/json"}}, body).status, 200);
  EXPECT_EQ(upstream_->passed_content.at(0), body);
}

// What changes in the memory that it was read into changes what is passed.
TEST_F(PipelineTest, ABodyThatWasReadWholeIsHeldOnce) {
  const std::string body = R"({"requests":[{"id":"1","method":"GET","url":"/me/messages"}]})";
  char* place = nullptr;
  upstream_->before_pass = [&place] { *place = '?'; };
  http::Request request{.head = {.method = "POST",
                                 .target = "/v1.0/$batch",
                                 .headers = {{"Authorization", "Bearer " + token_for(kAlex)},
                                             {"Content-Type", "application/json"}}},
                        .peer = {.address = "192.0.2.1"},
                        .body = std::make_unique<PlacedBody>(body, place)};
  EXPECT_EQ(testing::run(pipeline_->handle(std::move(request))).status, 200);
  EXPECT_EQ(upstream_->passed_content.at(0), "?" + body.substr(1));
}

TEST_F(PipelineTest, BatchWithAGuardedPartIsRefusedWhole) {
  const http::Response response =
      send("POST", "/v1.0/$batch", {},
           R"({"requests":[{"id":"1","method":"GET","url":"/me"},)"
           R"({"id":"two","method":"POST","url":"/me/messages/m1/permanentDelete"}]})");
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(error_of(response)["message"].get<std::string>().find("\"two\""), std::string::npos);
  EXPECT_TRUE(upstream_->passed.empty());
  EXPECT_EQ(content(0)["operation"]["action"], "permanentDelete");
}

TEST_F(PipelineTest, UnreadableBatchIsRefused) {
  EXPECT_EQ(send("POST", "/v1.0/$batch", {}, "{\"requests\":").status, 400);
  EXPECT_TRUE(upstream_->passed.empty());
}

TEST_F(PipelineTest, BodyBeyondTheLimitIsRefused) {
  const http::Response response =
      send("POST", "/v1.0/me/messages/m1/permanentDelete", {}, std::string(64 * 1024 + 1, 'x'));
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(content(0)["operation"]["item"], "m1");
  EXPECT_EQ(send("POST", "/v1.0/$batch", {}, std::string(1001, ' ')).status, 413);
  EXPECT_EQ(metrics_.refused_by("buffered_body_bytes").value(), 2u);
  EXPECT_TRUE(upstream_->forwarded.empty());
}

TEST_F(PipelineTest, UnreadableRequestIsRecordedWhereItMayHaveBeenGuarded) {
  const http::Response response = refuse("/v1.0/me/messages/m1%00/permanentDelete#\xff\x01");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response)["code"], "HoldfastBadRequest");
  EXPECT_EQ(response.headers.count("Holdfast-Record"), 1U);
  ASSERT_EQ(log_.entries().size(), 1U);
  EXPECT_EQ(content(0)["request"]["target"], "/v1.0/me/messages/m1%00/permanentDelete#%ff%01");
  // PostgreSQL's JSON has no NUL.
  EXPECT_EQ(content(0).dump().find("u0000"), std::string::npos);
  EXPECT_TRUE(canonical_json(content(0)).ok());
}

TEST_F(PipelineTest, UnreadableOrdinaryRequestIsNot) {
  EXPECT_EQ(refuse("/v1.0/me/messages\"").status, 400);
  EXPECT_EQ(refuse("").status, 400);
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(PipelineTest, HoldfastsOwnPathsNeverReachGraph) {
  EXPECT_EQ(send("GET", "/holdfast/nothing").status, 404);
  EXPECT_TRUE(upstream_->passed.empty());
}

// Occupies a budget while a test looks at what happens then.
class Occupied {
 public:
  Occupied(Budget& budget, std::size_t amount) : share_(budget) {
    EXPECT_TRUE(share_.take(amount));
  }

 private:
  Budget::Share share_;
};

// The same, for one client of many.
class OccupiedBy {
 public:
  OccupiedBy(const std::string& client, SharedBudget& budget, std::size_t amount)
      : account_(budget, client), share_(account_) {
    EXPECT_EQ(share_.take(amount), SharedBudget::Answer::kTaken);
  }

 private:
  const SharedBudget::Account account_;
  SharedBudget::Share share_;
};

void expect_untouched(const http::Response& response) {
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.count("Holdfast-Record"), 0U);
  EXPECT_EQ(response.headers.count("Retry-After"), 0U);
}

TEST_F(PipelineTest, GuardedCallsBeyondTheirNumberLeaveNothingBehind) {
  {
    const Occupied places(guarded_in_flight_, 2);
    const http::Response response = purge();
    expect_untouched(response);
    EXPECT_EQ(error_of(response)["code"], "HoldfastAuditUnavailable");
    EXPECT_EQ(send("GET", "/v1.0/me").status, 200) << "others pass";
  }
  EXPECT_TRUE(log_.entries().empty());
  EXPECT_TRUE(upstream_->forwarded.empty());
  EXPECT_TRUE(graph_->asked().empty());
  EXPECT_EQ(metrics_.refused_by("guarded_in_flight").value(), 1u);
  for (int each = 0; each < 5; ++each) EXPECT_EQ(purge().status, 204) << "places are given back";
}

TEST_F(PipelineTest, TooManyRequestsAreRefusedByWhatTheyAre) {
  http::Response guarded = refuse_busy("POST", "/v1.0/me/messages/m1/permanentDelete");
  expect_untouched(guarded);
  EXPECT_EQ(error_of(guarded)["code"], "HoldfastAuditUnavailable");
  http::Response batch = refuse_busy("POST", "/v1.0/$batch");
  expect_untouched(batch);
  EXPECT_EQ(error_of(batch)["code"], "HoldfastOverloaded");
  http::Response other = refuse_busy("GET", "/v1.0/me");
  EXPECT_EQ(other.status, 503);
  EXPECT_EQ(error_of(other)["code"], "HoldfastOverloaded");
  EXPECT_EQ(other.headers.get("Retry-After"), "1");
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(PipelineTest, BodiesInMemoryAreBoundedTogether) {
  const std::string batch = R"({"requests":[{"id":"1","method":"GET","url":"/me"}]})";
  const http::Headers json_type{{"Content-Type", "application/json"}};
  {
    const OccupiedBy memory("", buffered_bodies_, 1500 - batch.size() + 1);
    const http::Response response = send("POST", "/v1.0/$batch", json_type, batch);
    expect_untouched(response);
    EXPECT_EQ(error_of(response)["code"], "HoldfastOverloaded");
  }
  EXPECT_TRUE(log_.entries().empty());
  EXPECT_EQ(metrics_.refused_by("buffered_bodies_bytes").value(), 1u);
  EXPECT_EQ(metrics_.refused_by("buffered_bodies_bytes_per_address").value(), 0u);
  EXPECT_EQ(send("POST", "/v1.0/$batch", json_type, batch).status, 200);
  EXPECT_EQ(buffered_bodies_.used(), 0u);
}

TEST_F(PipelineTest, BodiesInMemoryOfOneAddressLeaveSomeToOthers) {
  const std::string batch = R"({"requests":[{"id":"1","method":"GET","url":"/me"}]})";
  const http::Headers json_type{{"Content-Type", "application/json"}};
  const http::Headers named{{"Content-Type", "application/json"}, {"X-Forwarded-For", "192.0.2.1"}};
  {
    const OccupiedBy memory("192.0.2.1", buffered_bodies_, 1000 - batch.size() + 1);
    const http::Response response = send("POST", "/v1.0/$batch", json_type, batch);
    expect_untouched(response);
    EXPECT_EQ(error_of(response)["code"], "HoldfastOverloaded");
    const http::Response guarded =
        send("POST", "/v1.0/me/messages/m1/permanentDelete", json_type, batch);
    expect_untouched(guarded);
    EXPECT_EQ(error_of(guarded)["code"], "HoldfastAuditUnavailable");
    EXPECT_EQ(purge().status, 204) << "without a body it takes none";
    peer_address_ = "10.0.0.1";
    expect_untouched(send("POST", "/v1.0/$batch", named, batch));
    EXPECT_EQ(send("POST", "/v1.0/$batch", json_type, batch).status, 200) << "of a balancer";
    peer_address_ = "192.0.2.2";
    EXPECT_EQ(send("POST", "/v1.0/$batch", json_type, batch).status, 200);
  }
  EXPECT_EQ(log_.entries().size(), 2U) << "those of the call without a body";
  EXPECT_EQ(metrics_.refused_by("buffered_bodies_bytes_per_address").value(), 3u);
  EXPECT_EQ(metrics_.refused_by("buffered_bodies_bytes").value(), 0u);
  peer_address_ = "192.0.2.1";
  EXPECT_EQ(send("POST", "/v1.0/$batch", json_type, batch).status, 200);
  EXPECT_EQ(buffered_bodies_.used(), 0u);
  EXPECT_EQ(buffered_bodies_.clients(), 0u);
}

TEST(Probes, AreWhatAsksHowTheProxyDoes) {
  for (const char* target : {"/holdfast/livez", "/holdfast/readyz", "/holdfast/metrics"}) {
    EXPECT_TRUE(is_probe(target)) << target;
  }
  for (const char* target : {"/holdfast/", "/holdfast/livez?a", "/holdfast/livez/",
                             "/holdfast/approvals/CODE", "/v1.0/me", "/holdfast/nothing", ""}) {
    EXPECT_FALSE(is_probe(target)) << target;
  }
}

TEST_F(PipelineTest, WhatIsPassedThroughTakesTheShareOfItsClient) {
  send("GET", "/v1.0/me");
  peer_address_ = "2001:db8:1:2:3::4";
  send("GET", "/v1.0/me");
  peer_address_ = "10.0.0.1";
  send("GET", "/v1.0/me", {{"X-Forwarded-For", "203.0.113.7"}});
  send("GET", "/v1.0/me");  // Of a balancer that names nobody.
  send("GET", "/v1.0/me", {{"X-Forwarded-For", "unknown"}});
  EXPECT_EQ(upstream_->passed_for,
            (std::vector<std::string>{"192.0.2.1", "2001:db8:1:2::/64", "203.0.113.7", "", ""}));
}

TEST_F(PipelineTest, TokensGraphTurnsDownAreTriedOnlySoOften) {
  graph_->answer("/v1.0/me?$select=id", 401, R"({"error":{"code":"InvalidAuthenticationToken"}})");
  for (int each = 0; each < 3; ++each) EXPECT_EQ(purge().status, 401);
  const std::size_t asked = graph_->asked().size();
  const http::Response response = purge();
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(error_of(response)["code"], "HoldfastLimitExceeded");
  EXPECT_EQ(response.headers.count("Retry-After"), 0U);
  EXPECT_EQ(graph_->asked().size(), asked);
  EXPECT_EQ(metrics_.refused_by("failed_probes_per_address").value(), 1u);
  EXPECT_EQ(metrics_.refused_by("failed_probes").value(), 0u);
  // One more in all.
  peer_address_ = "192.0.2.2";
  EXPECT_EQ(purge().status, 401);
  EXPECT_EQ(purge().status, 403);
  EXPECT_EQ(metrics_.refused_by("failed_probes_per_address").value(), 1u);
  EXPECT_EQ(metrics_.refused_by("failed_probes").value(), 1u);
  clock_.advance(std::chrono::minutes(1));
  EXPECT_EQ(purge().status, 401);
}

TEST_F(PipelineTest, CallersWhoAreWhoTheySayAreNeverOverTheProbeRate) {
  for (int each = 0; each < 10; ++each) {
    std::string token = token_for(kAlex);
    token.replace(token.rfind('.') + 1, std::string::npos, to_base64url(std::to_string(each)));
    EXPECT_EQ(purge({{"Authorization", "Bearer " + token}}).status, 204) << each;
  }
}

TEST_F(PipelineTest, MetricsAreForOperatorsOnly) {
  const http::Response hidden = send("GET", "/holdfast/metrics");
  EXPECT_EQ(hidden.status, 404);
  EXPECT_EQ(error_of(hidden)["code"], "HoldfastNotFound");
  peer_address_ = "198.51.100.7";
  const http::Response shown = send("GET", "/holdfast/metrics");
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(shown.headers.get("Content-Type"), kMetricsContentType);
  for (const char* name : {"X-Forwarded-For", "Forwarded", "Via"}) {
    EXPECT_EQ(send("GET", "/holdfast/metrics", {{name, "198.51.100.8"}}).status, 404) << name;
  }
}

TEST_F(PipelineTest, CountsWhatItAnswers) {
  purge();
  upstream_->next_status = 0;
  purge();
  send("GET", "/v1.0/me");
  send("GET", "/holdfast/livez");
  send("POST", "/v1.0/me/messages/m1%5CpermanentDelete");
  refuse("/v1.0/me");
  const std::string page = metrics_.text();
  for (const char* line :
       {R"(holdfast_requests_total{class="guarded",status="2xx"} 1)",
        R"(holdfast_requests_total{class="guarded",status="5xx"} 1)",
        R"(holdfast_requests_total{class="passthrough",status="2xx"} 1)",
        R"(holdfast_requests_total{class="local",status="2xx"} 1)",
        R"(holdfast_requests_total{class="rejected",status="4xx"} 1)",
        R"(holdfast_requests_total{class="unreadable",status="4xx"} 1)",
        R"(holdfast_guarded_results_total{result="executed"} 1)",
        R"(holdfast_guarded_results_total{result="unknown"} 1)",
        R"(holdfast_identity_probes_total{result="accepted"} 1)",
        "holdfast_guarded_seconds_count 2", "holdfast_intent_commit_seconds_count 2",
        "holdfast_outcome_commit_seconds_count 2",
        R"(holdfast_oldest_open_operation_seconds{worker="0"} 0)"}) {
    EXPECT_NE(page.find(line), std::string::npos) << line << "\n" << page;
  }
}

TEST(OpenOperations, TheOldestIsTheOneStillOpen) {
  OpenOperations operations;
  EXPECT_EQ(operations.oldest(), SteadyTime::max());
  auto first = std::make_unique<OpenOperations::Entry>(operations, SteadyTime(1s));
  const OpenOperations::Entry second(operations, SteadyTime(2s));
  EXPECT_EQ(operations.oldest(), SteadyTime(1s));
  first.reset();
  EXPECT_EQ(operations.oldest(), SteadyTime(2s));
}

}  // namespace
}  // namespace holdfast::proxy
