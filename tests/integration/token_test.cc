// Officers' tokens in the database: they come and go with the records that tell of it.
#include <array>

#include "officers/token_source_postgres.h"
#include "tests/integration/log_fixture.h"

namespace holdfast::testing {
namespace {

using officers::StoredToken;
using officers::WhichTokens;

class TokenTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    audit::LogOptions audit = log_options();
    audit.database = database("holdfast_audit");
    audit.role = audit::WriterRole::kAudit;
    audit.spool_dir.clear();
    log_ = open_log(audit);
    for (auto& workers : workers_) {
      workers = std::make_unique<audit::QueryWorkers>(audit::RecordSourceOptions{
          .access = {.database = database("holdfast_audit")}, .connections = 1});
    }
  }
  void TearDown() override {
    for (auto& workers : workers_) {
      if (workers) workers->stop();
    }
    log_.reset();
    LogTest::TearDown();
  }

  static officers::Officer maker() {
    return {.name = "root",
            .roles = {officers::OfficerRole::kAdmin},
            .person = {.name = "root", .accounts = {"t/root"}, .names = {"root@contoso.com"}},
            .groups = {"compliance"}};
  }
  Uuid make(const std::string& text, std::chrono::seconds life = std::chrono::hours(1)) {
    const WallTime now = system_clock().now();
    audit::Record record{.kind = audit::Kind::kSystem};
    const officers::TokenGrant grant{.id = make_uuid_v7(now),
                                     .name = "siem",
                                     .roles = {officers::OfficerRole::kAuditor},
                                     .expires_at = now + life};
    record.content["system"] = officers::token_creation(grant, text, maker());
    const auto made = runner_.run(log_->append(std::move(record)));
    EXPECT_TRUE(made.ok()) << made.error().message;
    return grant.id;
  }
  void revoke(const Uuid& id) {
    const auto token = runner_.run(replica(0).find(id));
    ASSERT_TRUE(token.ok() && token->has_value());
    audit::Record record{.kind = audit::Kind::kSystem};
    record.content["system"] = officers::token_revocation(**token, maker(), "leaked");
    const auto done = runner_.run(log_->append(std::move(record)));
    EXPECT_TRUE(done.ok()) << done.error().message;
  }
  officers::PostgresTokenSource replica(std::size_t i) {
    return officers::PostgresTokenSource(*workers_[i]);
  }
  std::optional<StoredToken> use(const std::string& text, std::size_t i = 0) {
    officers::PostgresTokenSource source = replica(i);
    auto used = runner_.run(source.use(sha256(text)));
    EXPECT_TRUE(used.ok()) << used.error().message;
    return used.ok() ? *std::move(used) : std::nullopt;
  }
  std::size_t listed(WhichTokens which) {
    officers::PostgresTokenSource source = replica(0);
    const auto found = runner_.run(source.list(which));
    EXPECT_TRUE(found.ok()) << found.error().message;
    return found.ok() ? found->size() : 0;
  }

  std::unique_ptr<audit::LogPostgres> log_;
  std::array<std::unique_ptr<audit::QueryWorkers>, 2> workers_;
};

TEST_F(TokenTest, a_token_is_what_its_record_says) {
  const Uuid id = make("secret");
  const auto token = use("secret");
  ASSERT_TRUE(token);
  EXPECT_EQ(token->id, id);
  EXPECT_EQ(token->officer.name, "root");
  EXPECT_EQ(token->officer.roles, std::vector{officers::OfficerRole::kAuditor});
  EXPECT_EQ(token->officer.person.accounts, std::vector<std::string>{"t/root"});
  EXPECT_EQ(token->officer.person.names, std::vector<std::string>{"root@contoso.com"});
  EXPECT_EQ(token->officer.groups, std::vector<std::string>{"compliance"});
  EXPECT_EQ(token->officer.token_id, id);
  EXPECT_TRUE(token->officer.by_api_token);
  EXPECT_FALSE(token->document.contains("sha256"));
  EXPECT_FALSE(use("other"));
}

TEST_F(TokenTest, replicas_agree_at_once_that_a_token_is_revoked) {
  const Uuid id = make("secret");
  make("another");
  EXPECT_TRUE(use("secret", 0));
  EXPECT_TRUE(use("secret", 1));
  revoke(id);
  EXPECT_FALSE(use("secret", 0));
  EXPECT_FALSE(use("secret", 1));
  EXPECT_TRUE(use("another", 1));
  EXPECT_EQ(listed(WhichTokens::kActive), 1U);
  EXPECT_EQ(listed(WhichTokens::kAll), 2U);
  const auto token = runner_.run(replica(1).find(id));
  ASSERT_TRUE(token.ok() && token->has_value());
  EXPECT_EQ((*token)->state, "revoked");
  EXPECT_EQ((*token)->document["revocation"]["reason"], "leaked");
}

TEST_F(TokenTest, a_token_expires_on_the_databases_clock) {
  const Uuid id = make("secret", std::chrono::seconds(-1));
  EXPECT_FALSE(use("secret"));
  EXPECT_EQ(listed(WhichTokens::kActive), 0U);
  const auto token = runner_.run(replica(0).find(id));
  ASSERT_TRUE(token.ok() && token->has_value());
  EXPECT_EQ((*token)->state, "expired");
}

TEST_F(TokenTest, its_use_is_noted_to_the_minute) {
  make("secret");
  EXPECT_TRUE(
      runner_.run(replica(0).list(WhichTokens::kAll))->front().document["last_used_at"].is_null());
  const std::string first = use("secret")->document["last_used_at"];
  EXPECT_EQ(use("secret")->document["last_used_at"], first);
  sql("postgres",
      "UPDATE holdfast.token_uses SET last_used_at = last_used_at - interval '2 minutes'");
  EXPECT_GE(use("secret")->document["last_used_at"].get<std::string>(), first);
}

TEST_F(TokenTest, nothing_but_a_record_of_the_audit_service_makes_one) {
  for (const std::string user : {"holdfast_audit", "holdfast_proxy"}) {
    for (const std::string table : {"tokens", "token_uses"}) {
      // For `holdfast verify`; the log tells the audit service of tokens anyway.
      const bool reads = user == "holdfast_audit" && table == "tokens";
      EXPECT_EQ(refusal(user, "SELECT FROM holdfast." + table).empty(), reads);
      EXPECT_NE(refusal(user, "DELETE FROM holdfast." + table), "");
    }
    EXPECT_NE(refusal(user, "SELECT holdfast.take_token_changes('{}', '{}', '{}')"), "");
  }
  EXPECT_NE(refusal("holdfast_proxy", "SELECT holdfast.use_token('')"), "");
  EXPECT_NE(refusal("holdfast_proxy", "SELECT holdfast.list_tokens(NULL, true, 1)"), "");
  EXPECT_THAT(idle_triggers("holdfast.tokens", "holdfast.tokens"), ::testing::IsEmpty());
  const auto proxy = open_log();
  audit::Record record{.kind = audit::Kind::kSystem};
  const WallTime now = system_clock().now();
  record.content["system"] = officers::token_creation({.id = make_uuid_v7(now),
                                                       .name = "x",
                                                       .roles = {officers::OfficerRole::kAdmin},
                                                       .expires_at = now + std::chrono::hours(1)},
                                                      "forged", maker());
  EXPECT_TRUE(runner_.run(proxy->append(std::move(record))).ok());
  EXPECT_FALSE(use("forged"));
}

}  // namespace
}  // namespace holdfast::testing
