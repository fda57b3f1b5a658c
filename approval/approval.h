// An approval as a value, and what officers and calls may do with it: a pure state machine. The
// database takes the steps (schema/0004_approvals.sql), and refuses what another step got ahead of.
//
// The functions return the `approval` member of the record that takes the step, or one sentence why
// it may not be taken.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "approval/binding.h"
#include "approval/decide.h"
#include "approval/rules.h"
#include "approval/stage_places.h"
#include "audit/approval_state.h"
#include "audit/record.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/uuid.h"

namespace holdfast::approval {

using audit::ApprovalState;
using audit::parse_approval_state;

// What names a person or an app, in every form that Holdfast knows. Two that share an account or a
// name are the same; names only ever restrict.
struct Identity {
  std::string name;                   // For people to read.
  std::vector<std::string> accounts;  // actor_key(): of a person the main one first.
  std::vector<std::string> names;     // UPNs and addresses, as home_name() has them.
};

bool is_same(const Identity& a, const Identity& b);

// As records have it, and back; what is not one throws nlohmann::json::exception.
nlohmann::json to_json(const Identity& identity);
Identity identity_from(const nlohmann::json& object);

// A UPN or address in the form they are compared in: lower case, and a guest's under the name of
// its home: ada_contoso.com#EXT#@fabrikam.com -> ada@contoso.com.
std::string home_name(std::string_view name);

// Rules that are named as the reason, to the caller and to who approves.
inline constexpr std::size_t kReasonsMax = 20;
// Of each of them `rule`, `title` and `unknown_facts`.
nlohmann::json reasons_of(const Decision& decision);

// Who makes a call. `own_names`: the names of the caller's own mailbox, where they are known: a
// person may sign in under any of them to decide.
Identity requester_of(const identity::Actor& actor, std::span<const std::string> own_names);

// An officer.
struct Approver {
  Identity person;                  // No accounts: nobody knows which person this is.
  std::vector<std::string> groups;  // Object ids, or the names that rules give approvers.
  bool may_approve = false;         // Has the role.
  bool may_revoke = false;
  bool by_api_token = false;
};

// As records name who took a step.
nlohmann::json to_json(const Approver& approver);

// Why this officer may not decide on what `requester` did or wants to; nullopt: no reason.
std::optional<std::string> bar(const Identity& requester, const Approver& approver);

// Whether API tokens may approve here (audit.allow_token_approvals).
enum class TokenApprovals { kRefused, kAllowed };

// One approval that somebody gave.
struct Consent {
  StageIndexes stages;               // Those that they may count for.
  std::optional<std::size_t> stage;  // The one that they count for; nullopt: none needs them.
  Identity person;
  std::string at;  // RFC 3339
};

struct Approval {
  Uuid code;
  std::int64_t number = 0;  // In the order of filing.
  ApprovalState state = ApprovalState::kPending;
  bool answers = false;  // A call of its binding gets no other.
  std::int64_t step = 0;
  std::string filed_at;  // RFC 3339
  std::string decide_by;
  std::string use_by;                // Empty until approved.
  std::optional<Uuid> claim_record;  // The intent of the call that claimed it last.
  Binding binding;
  Identity requester;
  std::vector<ApprovalStage> stages;
  std::chrono::seconds decide_within{0};  // As it was filed with.
  std::chrono::seconds use_within{0};
  std::optional<std::string> justification;  // Of the call that filed it, as its record has them.
  std::optional<std::string> ticket;
  std::vector<Consent> consents;
  std::string closing_reason;  // Why it was rejected, revoked or invalidated.
  nlohmann::json document;     // As the database has it, for showing.
};

// kInternal: the database says something else.
Result<Approval> read_approval(nlohmann::json document);

// Throws nlohmann::json::exception when it is none.
std::vector<ApprovalStage> stages_from(const nlohmann::json& array);

// What a call needs to know of an approval that people gave, so that it can claim it.
struct ApprovedCall {
  Uuid code;
  Sha256 binding{};  // Its digest.
  std::vector<ApprovalStage> stages;
  std::chrono::seconds use_within{0};
  WallTime approved_at;
  std::optional<std::string> justification;  // Of the call that filed it.
  std::optional<std::string> ticket;
};

ApprovedCall approved_call(const Approval& approval);

// Whether what was approved is at least what the rules ask for now: who fills all its places fills
// those.
bool covers(const std::vector<ApprovalStage>& approved, const std::vector<ApprovalStage>& wanted);

// The same of a pending or approved one and of everything: the people, the papers that it was filed
// with, and its time so far, where that is shorter now. The times it was filed with are the
// database's to keep.
bool meets(const Approval& approval, const Requirements& require, const ApprovalTerms& terms,
           WallTime now);
bool meets(const ApprovedCall& approved, const Requirements& require, const ApprovalTerms& terms,
           WallTime now);

// How many have approved who count for that stage.
std::size_t consents_of(const Approval& approval, std::size_t stage);

// Steps of calls.
nlohmann::json filing(const Uuid& code, const Binding& binding, const Identity& requester,
                      const ApprovalTerms& terms);
nlohmann::json claim(const Uuid& code, const Sha256& binding);
nlohmann::json invalidation(const Approval& approval, std::string_view reason);
Result<nlohmann::json> cancel(const Approval& approval);
// What an outcome says of the approval that its intent claimed; `status` is 0 without an answer.
nlohmann::json claim_ended(const Uuid& code, audit::CallResult result, int status);

// Steps of officers. kRefused: this officer may not; kInvalid: nobody may in this state.
Result<nlohmann::json> approve(const Approval& approval, const Approver& approver,
                               TokenApprovals tokens, std::string_view comment);
Result<nlohmann::json> reject(const Approval& approval, const Approver& approver,
                              std::string_view reason);
Result<nlohmann::json> revoke(const Approval& approval, const Approver& approver,
                              std::string_view reason);

// The step of time.
nlohmann::json expiry(const Uuid& code);

}  // namespace holdfast::approval
