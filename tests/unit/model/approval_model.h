// One approval and the calls that want it, small enough to try every order of what can happen: two
// calls of the same binding through two proxies, two approvers and the requester, both expiries, a
// hold, a paused or killed proxy, a lost connection to the database or to Graph, a spool, settling
// by another process, and reconciliation. docs/model.md says what each step stands for.
//
// A Guard is one rule of the implementation. Without it some order breaks an invariant; the tests
// show that for each, so that the model is known to see what it is there for.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "explorer.h"

namespace holdfast::model {

enum class Guard {
  kClaimChecksState,     // A claim is refused unless the approval is APPROVED in that statement.
  kClaimChecksExpiry,    // A claim is refused after the time to use the approval.
  kClaimChecksHolds,     // A claim is refused when a hold or a rule forbids the call by now.
  kStepsAreConditional,  // Officers' steps are refused when the state is not what they saw.
  kRequesterNeverApproves,
  kApproversAreDistinct,
  kIntentBeforeForward,
  kEpochFencesParked,  // Raising its epoch, a proxy shuts out statements it gave up on.
  kOneTerminal,        // A terminal record is refused when the operation is not open.
  kOutcomeBeforeAnswer,
  kUnknownIsSpent,         // An unknown outcome never gives the approval back.
  kInDoubtIsNotForwarded,  // An intent whose commit was in doubt is never sent.
};

enum class Standing : std::uint8_t {
  kPending,
  kApproved,
  kRejected,
  kExpired,
  kInvalidated,
  kRevoked,  // Nothing was sent.
  kClaimed,
  kExecuted,
  kFailed,
  kUnknown,
};

enum class CallAt : std::uint8_t {
  kNew,
  kDecided,
  kParked,
  kInDoubt,
  kReceipt,
  kSent,
  kAnswered,
  kDurable,
  kDone,
  kKilled,
};

enum class Outcome : std::uint8_t { kNone, kExecuted, kRefused, kThrottled, kNotSent, kUnknown };

struct Call {
  CallAt at = CallAt::kNew;
  Outcome result = Outcome::kNone;    // What the proxy knows.
  Outcome terminal = Outcome::kNone;  // The log's terminal record.
  Outcome late = Outcome::kNone;      // A reconciliation record's.
  Outcome spooled = Outcome::kNone;
  Outcome told = Outcome::kNone;  // What the client was told.
  bool intent = false;            // The log's intent.
  bool parked = false;            // A statement with the intent waits in the database.
  bool in_flight = false;         // Bytes are on their way to Graph, or there.
  bool acted = false;             // Graph did it.
  bool lease_over = false;
  std::uint8_t terminals = 0;

  bool operator==(const Call&) const = default;
};

struct ApprovalState {
  Standing standing = Standing::kPending;
  std::uint8_t consents = 0;  // Counted.
  std::uint8_t who = 0;       // One bit for each person who gave one.
  std::uint8_t saw = 0;       // One bit for each officer who has the approval on the screen.
  bool too_late_to_decide = false;
  bool too_late_to_use = false;
  bool hold = false;
  bool claimed_wrongly = false;  // After its time, under a hold, or without having been approved.
  std::int8_t claimed_by = -1;
  std::array<Call, 2> calls;

  bool operator==(const ApprovalState&) const = default;
};

class ApprovalModel {
 public:
  using State = ApprovalState;
  using Emit = std::function<void(std::string_view name, const State& next, Kind kind)>;

  explicit ApprovalModel(std::set<Guard> without = {}) : without_(std::move(without)) {}

  State initial() const { return {}; }
  void steps(const State& state, const Emit& emit) const;
  std::string broken(const State& state) const;
  std::string unfinished(const State& state) const;

 private:
  bool guarded(Guard guard) const { return !without_.contains(guard); }

  void officers(const State& state, const Emit& emit) const;
  void time_and_holds(const State& state, const Emit& emit) const;
  void before_sending(const State& state, std::size_t i, const Emit& emit) const;
  void at_graph(const State& state, std::size_t i, const Emit& emit) const;
  void after_sending(const State& state, std::size_t i, const Emit& emit) const;
  void failures(const State& state, std::size_t i, const Emit& emit) const;
  bool append_intent(State& state, std::size_t i) const;
  void append_terminal(State& state, std::size_t i, Outcome outcome) const;

  std::set<Guard> without_;
};

}  // namespace holdfast::model

template <>
struct std::hash<holdfast::model::ApprovalState> {
  std::size_t operator()(const holdfast::model::ApprovalState& state) const noexcept;
};
