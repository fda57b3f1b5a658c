// Generations of rules in memory: some to begin with, and what the records of a FakeAuditLog make
// of them. For one thread.
#pragma once

#include <utility>
#include <vector>

#include "approval/generation_source.h"
#include "tests/support/fake_audit_log.h"

namespace holdfast::approval {

class FakeGenerations final : public GenerationSource {
 public:
  explicit FakeGenerations(const audit::FakeAuditLog& log) : log_(log) {}

  // Numbered from 1 on; its hash is "hash" and its number.
  void add(const std::string& state) {
    const std::string number = std::to_string(generations_.size() + 1);
    generations_.push_back({{"generation", generations_.size() + 1},
                            {"sha256", "hash" + number},
                            {"state", state},
                            {"offered_at", "2026-10-05T08:00:00.000000Z"},
                            {"writer", "11111111-0000-4000-8000-000000000009"},
                            {"offer",
                             {{"revision", "r" + number},
                              {"people", 2},
                              {"loosens", {"rule hold: it does not restrict any more"}},
                              {"files", nlohmann::json::array()}}}});
  }

  Task<Result<std::optional<StoredGeneration>>> find(std::int64_t number) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    for (const nlohmann::json& generation : all()) {
      if (generation.at("generation") == number) {
        co_return std::optional<StoredGeneration>(*read_generation(generation));
      }
    }
    co_return std::optional<StoredGeneration>();
  }
  Task<Result<std::optional<GenerationName>>> active() override {
    for (const nlohmann::json& generation : all()) {
      if (generation.at("state") == "active") {
        co_return std::optional<GenerationName>(read_generation(generation)->name);
      }
    }
    co_return std::optional<GenerationName>();
  }
  Task<Result<std::vector<StoredGeneration>>> list(std::optional<std::int64_t> below,
                                                   int at_most) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    std::vector<StoredGeneration> found;
    const std::vector<nlohmann::json> known = all();
    for (auto one = known.rbegin(); one != known.rend(); ++one) {
      if (below && one->at("generation").get<std::int64_t>() >= *below) continue;
      if (found.size() < static_cast<std::size_t>(at_most)) found.push_back(*read_generation(*one));
    }
    co_return found;
  }
  Task<Result<SourceFiles>> files(std::int64_t) override {
    co_return SourceFiles{{.name = kRuleFileName, .bytes = "schema: 1\n", .modified = {}}};
  }
  Task<Result<std::vector<std::string>>> changes(std::int64_t) override {
    if (broken) co_return Error{ErrorCode::kInvalid, "generation 2: 3: no such condition"};
    co_return std::vector<std::string>{"rule hold is gone: it denies every call before"};
  }

  Task<Result<RuledNow>> decide(Facts facts) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    if (broken) co_return Error{ErrorCode::kInvalid, "generation 2: 3: no such condition"};
    decided.push_back(std::move(facts));
    co_return ruled;
  }

  RuledNow ruled;              // What decide() says.
  std::vector<Facts> decided;  // And of what.
  bool away = false;
  bool broken = false;  // One of the two does not load.

 private:
  std::vector<nlohmann::json> all() const {
    std::vector<nlohmann::json> known = generations_;
    for (const auto& entry : log_.entries()) {
      if (entry.record.kind != audit::Kind::kRules) continue;
      const nlohmann::json& change = entry.record.content.at("rules");
      const bool approved = change.at("event") == "approved";
      for (nlohmann::json& one : known) {
        if (one.at("generation") == change.at("generation")) {
          one["state"] = approved ? "active" : "rejected";
          one["decided_at"] = "2026-10-05T09:00:00.000000Z";
          one["decision"] = change;
        } else if (approved && one.at("state") == "active") {
          one["state"] = "superseded";
        }
      }
    }
    return known;
  }

  const audit::FakeAuditLog& log_;
  std::vector<nlohmann::json> generations_;
};

}  // namespace holdfast::approval
