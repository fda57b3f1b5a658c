// Approvals in memory, as tests want them to be. For one thread.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "approval/approval_source.h"

namespace holdfast::approval {

class FakeApprovals final : public ApprovalSource {
 public:
  // As the database shows an approval that was filed with that content, in that state.
  Approval& add(nlohmann::json content, ApprovalState state, bool answers = true) {
    const auto number = static_cast<std::int64_t>(all.size() + 1);
    const std::string code = content.at("code");
    const nlohmann::json document = {{"number", number},
                                     {"code", code},
                                     {"state", to_string(state)},
                                     {"answers", answers},
                                     {"step", 1},
                                     {"filed_at", "2026-10-05T08:00:00.000000Z"},
                                     {"decide_by", "2026-10-06T08:00:00.000000Z"},
                                     {"use_by", nullptr},
                                     {"claim_record", nullptr},
                                     {"filing", std::move(content)},
                                     {"history", nlohmann::json::array()}};
    all.push_back(*read_approval(document));
    return all.back();
  }

  Task<Result<std::optional<Approval>>> find(Uuid code) override {
    co_return last([&](const Approval& approval) { return approval.code == code; });
  }
  Task<Result<std::optional<Approval>>> newest(Sha256 binding) override {
    co_return last([&](const Approval& approval) { return approval.binding.digest() == binding; });
  }
  Task<Result<std::optional<Approval>>> rejection(std::string operation,
                                                  std::string requester) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    rejections_asked.emplace_back(std::move(operation), std::move(requester));
    co_return rejected;
  }
  std::optional<ApprovedCall> at_hand(const Sha256& binding) override {
    const auto found = std::ranges::find(approved, binding, &ApprovedCall::binding);
    if (found == approved.end()) return std::nullopt;
    ApprovedCall taken = std::move(*found);
    approved.erase(found);
    return taken;
  }
  Task<Result<std::vector<Approval>>> list(ApprovalFilter filter) override {
    if (away) co_return Error{ErrorCode::kUnavailable, "database away"};
    std::vector<Approval> found;
    for (auto approval = all.rbegin(); approval != all.rend(); ++approval) {
      const bool wanted = filter.states.empty() ||
                          std::ranges::find(filter.states, approval->state) != filter.states.end();
      const bool below = !filter.before || approval->number < *filter.before;
      if (wanted && below && std::cmp_less(found.size(), filter.at_most)) {
        found.push_back(*approval);
      }
    }
    co_return found;
  }

  Task<Result<nlohmann::json>> context(Uuid) override {
    if (context_away) co_return Error{ErrorCode::kUnavailable, "database away"};
    co_return known;
  }

  std::vector<Approval> all;                                          // In the order of filing.
  std::vector<ApprovedCall> approved;                                 // What is at hand.
  std::optional<Approval> rejected;                                   // What rejection() says.
  std::vector<std::pair<std::string, std::string>> rejections_asked;  // Operations, requesters.
  nlohmann::json known = nlohmann::json::object();                    // What context() says.
  bool context_away = false;
  bool away = false;
  int asked = 0;

 private:
  template <class Wanted>
  Result<std::optional<Approval>> last(const Wanted& wanted) {
    ++asked;
    if (away) return Error{ErrorCode::kUnavailable, "database away"};
    const auto found = std::find_if(all.rbegin(), all.rend(), wanted);
    if (found == all.rend()) return std::optional<Approval>();
    return std::optional<Approval>(*found);
  }
};

}  // namespace holdfast::approval
