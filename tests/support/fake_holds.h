// Legal holds in memory, as the records of a FakeAuditLog say. For one thread.
#pragma once

#include <algorithm>
#include <vector>

#include "officers/holds.h"
#include "tests/support/fake_audit_log.h"

namespace holdfast::officers {

class FakeHolds final : public HoldSource {
 public:
  explicit FakeHolds(const audit::FakeAuditLog& log) : log_(log) {}

  Task<Result<std::optional<Hold>>> find(Uuid id) override {
    for (const nlohmann::json& hold : all()) {
      if (hold.at("id") == to_string(id)) co_return std::optional<Hold>(*read_hold(hold));
    }
    co_return std::optional<Hold>();
  }
  Task<Result<std::vector<Hold>>> list(WhichHolds which) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    std::vector<Hold> found;
    for (const nlohmann::json& hold : all()) {
      if (which == WhichHolds::kInForce && hold.at("state") == "lifted") continue;
      found.insert(found.begin(), *read_hold(hold));
    }
    co_return found;
  }

  bool away = false;
  bool overtaken = false;  // Somebody else's steps come first: those of the log change nothing.

 private:
  // What the database would make of the log's records.
  std::vector<nlohmann::json> all() const {
    std::vector<nlohmann::json> holds;
    for (const auto& entry : log_.entries()) {
      if (entry.record.kind != audit::Kind::kSystem) continue;
      const nlohmann::json& told = entry.record.content.at("system");
      const std::string event = told.at("event");
      const nlohmann::json step = {{"event", event},
                                   {"at", "2026-10-05T08:00:00.000000Z"},
                                   {"by", told.at("by")},
                                   {"record", to_string(entry.ref.id)}};
      if (event == "hold_placed") {
        nlohmann::json hold = told.at("hold");
        hold.update({{"state", "placed"},
                     {"waits_on", told.at("by").at("person")},
                     {"history", nlohmann::json::array({step})}});
        holds.push_back(std::move(hold));
        continue;
      }
      for (nlohmann::json& hold : holds) {
        if (overtaken || hold.at("id") != told.at("hold").at("id")) continue;
        const bool asked = event == "hold_lift_asked";
        hold["state"] = event == "hold_lifted" ? "lifted" : asked ? "lifting" : "held";
        hold["waits_on"] = asked ? told.at("by").at("person") : nlohmann::json();
        hold["history"].push_back(step);
      }
    }
    return holds;
  }

  const audit::FakeAuditLog& log_;
};

}  // namespace holdfast::officers
