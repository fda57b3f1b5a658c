// The officers' API over fakes: one request in, one answer out.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "base/crypto.h"
#include "officers/api.h"
#include "tests/support/fake_approvals.h"
#include "tests/support/fake_audit_log.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_generations.h"
#include "tests/support/fake_holds.h"
#include "tests/support/fake_reviews.h"
#include "tests/support/fake_tokens.h"
#include "tests/unit/officers/fake_record_source.h"

namespace holdfast::officers {

class ApiTest : public ::testing::Test {
 protected:
  ApiTest() {
    const auto tokens = Tokens::parse("tokens:\n  - name: alice\n    sha256: \"" +
                                          to_hex(sha256("secret")) + "\"\n    roles: [auditor]\n" +
                                          officer("bob", "compliance") + officer("carol", "legal"),
                                      "tokens.yaml");
    tokens_ = *tokens;
    records_.page.records = {{.index = 1, .entry = R"({"id":"x","kind":"intent"})"},
                             {.index = 0, .entry = "\xff", .malformed = true}};
    records_.page.complete_to = 2;
    records_.page.log_size = 3;
  }

  // An approver whose token is the name.
  static std::string officer(const std::string& name, const std::string& group) {
    return "  - name: " + name + "\n    sha256: \"" + to_hex(sha256(name)) +
           "\"\n    roles: [approver]\n    groups: [" + group +
           "]\n    person: { tenant: T, user: " + name + ", names: [" + name + "@contoso.com] }\n";
  }

  http::Response send(http::RequestHead head, const std::string& content = {}) {
    const std::unique_ptr<http::Handler> api =
        make_api({.records = records_,
                  .tree = tree_,
                  .log = log_,
                  .approvals = approvals_,
                  .reviews = reviews_,
                  .generations = generations_,
                  .tokens = tokens_,
                  .stored_tokens = stored_tokens_,
                  .holds = holds_,
                  .sign_in = sign_in_.get(),
                  .clock = clock_,
                  .metrics = api_metrics_,
                  .metrics_from = {*approval::parse_network("10.1.0.0/16")},
                  .problems = [this] { return problems_; },
                  .tree_role = [this] { return tree_role_; },
                  .entry_readers = entry_readers_,
                  .reconcile_role = [this] { return reconcile_role_; },
                  .token_approvals = token_approvals_});
    http::Request request;
    request.head = std::move(head);
    request.peer = {.address = peer_address_, .port = 4711, .tls = true};
    request.body = http::string_body(content);
    boost::asio::io_context context;
    http::Response answer;
    boost::asio::co_spawn(context, api->handle(std::move(request)),
                          [&answer](std::exception_ptr thrown, http::Response response) {
                            if (thrown) std::rethrow_exception(thrown);
                            answer = std::move(response);
                          });
    context.run();
    return answer;
  }
  http::Response get(const std::string& target, const std::string& token = "secret",
                     const std::string& method = "GET", const std::string& content = {}) {
    http::RequestHead head;
    head.method = method;
    head.target = target;
    head.headers.add("Host", "audit.example:8444");
    if (!token.empty()) head.headers.add("Authorization", "Bearer " + token);
    return send(std::move(head), content);
  }
  static nlohmann::json body(const http::Response& response) {
    return nlohmann::json::parse(response.content);
  }

  std::string peer_address_ = "10.1.2.3";
  Metrics metrics_;
  ApiMetrics api_metrics_{metrics_};
  testing::FakeClock clock_;
  audit::FakeRecordSource records_;
  audit::FakeTreeSource tree_;
  audit::FakeAuditLog log_;
  approval::FakeApprovals approvals_;
  approval::FakeReviews reviews_;
  approval::FakeGenerations generations_{log_};
  Tokens tokens_;
  FakeTokens stored_tokens_{log_};
  FakeHolds holds_{log_};
  std::unique_ptr<identity::SignInVerifier> sign_in_;
  std::vector<std::string> problems_;
  TreeRole tree_role_{.origin = "audit.example/log", .keys = {"key"}, .status = {}};
  ReconcileRole reconcile_role_;
  EntryReaders entry_readers_ = EntryReaders::kOfficers;
  approval::TokenApprovals token_approvals_ = approval::TokenApprovals::kAllowed;
};

}  // namespace holdfast::officers
