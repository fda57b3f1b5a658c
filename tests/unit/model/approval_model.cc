#include "approval_model.h"

#include <bit>
#include <cstddef>

namespace holdfast::model {
namespace {

constexpr std::uint8_t kNeeded = 2;  // Consents.
constexpr int kOfficers = 3;
constexpr int kRequester = 2;  // The last of the officers is who makes the calls.

std::uint8_t bit(int officer) {
  return static_cast<std::uint8_t>(1U << officer);
}

bool is_live(const Call& call) {
  return call.at != CallAt::kNew && call.at != CallAt::kDone && call.at != CallAt::kKilled;
}

bool is_closed_unused(Standing standing) {
  return standing == Standing::kRejected || standing == Standing::kExpired ||
         standing == Standing::kInvalidated || standing == Standing::kRevoked;
}

bool was_approved(Standing standing) {
  return standing == Standing::kApproved || standing >= Standing::kClaimed;
}

}  // namespace

void ApprovalModel::steps(const State& state, const Emit& emit) const {
  officers(state, emit);
  time_and_holds(state, emit);
  for (std::size_t i = 0; i < state.calls.size(); ++i) {
    before_sending(state, i, emit);
    if (state.calls[i].in_flight) at_graph(state, i, emit);
    after_sending(state, i, emit);
    failures(state, i, emit);
  }
}

void ApprovalModel::officers(const State& state, const Emit& emit) const {
  const bool conditional = guarded(Guard::kStepsAreConditional);
  for (int officer = 0; officer < kOfficers; ++officer) {
    State next = state;
    if (state.standing == Standing::kPending || state.standing == Standing::kApproved) {
      next.saw |= bit(officer);
      emit("an officer looks", next, Kind::kProgress);
    }
    if ((state.saw & bit(officer)) == 0) continue;

    const bool may = (officer != kRequester || !guarded(Guard::kRequesterNeverApproves)) &&
                     ((state.who & bit(officer)) == 0 || !guarded(Guard::kApproversAreDistinct));
    const bool open = state.standing == Standing::kPending && !state.too_late_to_decide;
    if (may && state.consents < kNeeded && (open || !conditional)) {
      next = state;
      next.who |= bit(officer);
      if (++next.consents == kNeeded) next.standing = Standing::kApproved;
      emit(officer == kRequester ? "the requester approves" : "an officer approves", next,
           Kind::kProgress);
    }
    next = state;
    if (state.standing == Standing::kPending || !conditional) {
      next.standing = Standing::kRejected;
      emit("an officer rejects", next, Kind::kProgress);
    }
    if (state.standing == Standing::kApproved || !conditional) {
      next.standing = Standing::kRevoked;
      emit("an officer revokes", next, Kind::kProgress);
    }
  }
}

void ApprovalModel::time_and_holds(const State& state, const Emit& emit) const {
  State next = state;
  next.too_late_to_decide = true;
  emit("decide_within passes", next, Kind::kProgress);
  if (was_approved(state.standing)) {
    next = state;
    next.too_late_to_use = true;
    emit("use_within passes", next, Kind::kProgress);
  }
  next = state;
  next.hold = true;
  emit("a hold is placed", next, Kind::kProgress);

  next = state;
  next.standing = Standing::kExpired;
  if ((state.standing == Standing::kPending && state.too_late_to_decide) ||
      (state.standing == Standing::kApproved && state.too_late_to_use)) {
    emit("the approval expires", next, Kind::kProgress);
  }
}

// The append statement with the intent and its claim.
bool ApprovalModel::append_intent(State& state, std::size_t i) const {
  if (state.calls[i].lease_over) return false;
  if (guarded(Guard::kClaimChecksState) && state.standing != Standing::kApproved) return false;
  if (guarded(Guard::kClaimChecksExpiry) && state.too_late_to_use) {
    if (state.standing == Standing::kApproved) state.standing = Standing::kExpired;
    return false;
  }
  if (guarded(Guard::kClaimChecksHolds) && state.hold) {
    if (state.standing == Standing::kApproved) state.standing = Standing::kInvalidated;
    return false;
  }
  state.claimed_wrongly = state.too_late_to_use || state.hold;
  state.calls[i].intent = true;
  state.standing = Standing::kClaimed;
  state.claimed_by = static_cast<std::int8_t>(i);
  return true;
}

// The append statement with what became of a call: its terminal record, or, where it has one, a
// reconciliation record. What the proxy that sent it knows is appended whatever is there.
void ApprovalModel::append_terminal(State& state, std::size_t i, Outcome outcome) const {
  Call& call = state.calls[i];
  const bool ours = state.claimed_by == static_cast<std::int8_t>(i);
  if (call.terminal != Outcome::kNone && guarded(Guard::kOneTerminal)) {
    if (outcome == Outcome::kUnknown) return;
    call.late = outcome;
    if (ours && (state.standing == Standing::kUnknown || state.standing == Standing::kFailed)) {
      state.standing = outcome == Outcome::kExecuted ? Standing::kExecuted : Standing::kFailed;
    }
    return;
  }
  call.terminal = outcome;
  ++call.terminals;
  if (!ours || state.standing != Standing::kClaimed) return;
  switch (outcome) {
    case Outcome::kExecuted:
      state.standing = Standing::kExecuted;
      break;
    case Outcome::kRefused:
      state.standing = Standing::kFailed;
      break;
    case Outcome::kUnknown:
      state.standing = guarded(Guard::kUnknownIsSpent) ? Standing::kUnknown : Standing::kApproved;
      break;
    case Outcome::kThrottled:
    case Outcome::kNotSent:
    case Outcome::kNone:
      state.standing = Standing::kApproved;
  }
}

void ApprovalModel::before_sending(const State& state, std::size_t i, const Emit& emit) const {
  State next = state;
  Call& call = next.calls[i];
  if (state.calls[i].parked) {
    call.parked = false;
    const bool appended = append_intent(next, i);
    const bool waiting = call.at == CallAt::kParked;
    if (waiting) call.at = appended ? CallAt::kReceipt : CallAt::kDone;
    emit(appended ? "an intent is committed" : "an intent is refused", next, Kind::kProgress);
    if (waiting && appended) {
      call.at = CallAt::kInDoubt;
      emit("an intent is committed, and the connection lost", next, Kind::kFailure);
    }
  }
  next = state;
  switch (state.calls[i].at) {
    case CallAt::kNew:
      if (state.standing != Standing::kApproved) return;
      call.at = CallAt::kDecided;
      return emit("a call finds its approval", next, Kind::kProgress);
    case CallAt::kDecided:
      call.at = CallAt::kParked;
      call.parked = true;
      emit("a proxy appends the intent", next, Kind::kProgress);
      if (guarded(Guard::kIntentBeforeForward)) return;
      call.at = CallAt::kSent;
      call.in_flight = true;
      return emit("a proxy sends before the intent", next, Kind::kProgress);
    case CallAt::kParked:
      call.at = CallAt::kInDoubt;
      return emit("the connection is lost with the intent", next, Kind::kFailure);
    case CallAt::kInDoubt:
      if (!guarded(Guard::kInDoubtIsNotForwarded)) {
        call.at = CallAt::kSent;
        call.in_flight = true;
        return emit("a proxy sends what is in doubt", next, Kind::kProgress);
      }
      if (guarded(Guard::kEpochFencesParked)) call.parked = false;
      if (call.intent) append_terminal(next, i, Outcome::kNotSent);
      call.at = CallAt::kDone;
      return emit("a proxy raises its epoch and reads what is open", next, Kind::kProgress);
    case CallAt::kReceipt:
      call.result = Outcome::kNotSent;
      call.at = CallAt::kAnswered;
      emit("Graph cannot be reached", next, Kind::kProgress);
      call = state.calls[i];
      call.at = CallAt::kSent;
      call.in_flight = true;
      return emit("a proxy sends the call", next, Kind::kProgress);
    default:
      return;
  }
}

void ApprovalModel::at_graph(const State& state, std::size_t i, const Emit& emit) const {
  const auto graph = [&](std::string_view name, bool acts, Outcome answer) {
    State next = state;
    Call& call = next.calls[i];
    call.in_flight = false;
    call.acted = acts;
    if (call.at == CallAt::kSent) {
      call.at = CallAt::kAnswered;
      call.result = answer;
    }
    emit(name, next, Kind::kProgress);
  };
  graph("Graph acts", true, Outcome::kExecuted);
  graph("Graph acts, and its answer is lost", true, Outcome::kUnknown);
  graph("Graph refuses the call", false, Outcome::kRefused);
  graph("Graph answers 429", false, Outcome::kThrottled);
  graph("Graph loses the call", false, Outcome::kUnknown);
}

void ApprovalModel::after_sending(const State& state, std::size_t i, const Emit& emit) const {
  const Call& was = state.calls[i];
  State next = state;
  Call& call = next.calls[i];
  if (was.at == CallAt::kSent) {
    call.result = Outcome::kUnknown;
    call.at = CallAt::kAnswered;
    emit("a proxy waits no longer for Graph", next, Kind::kProgress);
  } else if (was.at == CallAt::kAnswered) {
    append_terminal(next, i, was.result);
    call.at = CallAt::kDurable;
    emit("an outcome is committed", next, Kind::kProgress);
    next = state;
    call.spooled = was.result;
    call.at = CallAt::kDurable;
    emit("an outcome is spooled", next, Kind::kFailure);
    if (!guarded(Guard::kOutcomeBeforeAnswer)) {
      next = state;
      call.told = was.result;
      emit("the client is answered too early", next, Kind::kProgress);
    }
  } else if (was.at == CallAt::kDurable) {
    call.told = was.result;
    call.at = CallAt::kDone;
    emit("the client is answered", next, Kind::kProgress);
  }
  next = state;
  if (was.spooled != Outcome::kNone) {
    call.spooled = Outcome::kNone;
    append_terminal(next, i, was.spooled);
    emit("a spool is drained", next, Kind::kProgress);
  }
  next = state;
  if (was.lease_over && was.intent && was.terminal == Outcome::kNone) {
    append_terminal(next, i, Outcome::kUnknown);
    emit("another process settles an intent as unknown", next, Kind::kProgress);
  }
  next = state;
  if (was.terminal == Outcome::kUnknown && was.late == Outcome::kNone && !was.in_flight) {
    append_terminal(next, i, was.acted ? Outcome::kExecuted : Outcome::kNotSent);
    emit("an unknown outcome is reconciled", next, Kind::kProgress);
  }
}

void ApprovalModel::failures(const State& state, std::size_t i, const Emit& emit) const {
  State next = state;
  Call& call = next.calls[i];
  if (is_live(call)) {
    call.at = CallAt::kKilled;
    emit("a proxy is killed", next, Kind::kFailure);
  }
  call = state.calls[i];
  if (call.at != CallAt::kNew) {
    const bool killed = call.at == CallAt::kKilled;
    call.lease_over = true;
    emit("a proxy's lease runs out", next, killed ? Kind::kProgress : Kind::kFailure);
  }
}

std::string ApprovalModel::broken(const State& state) const {
  int executions = 0;
  for (const Call& call : state.calls) {
    const bool sent = call.in_flight || call.acted;
    executions += call.acted ? 1 : 0;
    if (sent && !call.intent) return "a call reached Graph without a committed intent";
    if (sent && call.terminal == Outcome::kNotSent) return "a call that was sent is not_sent";
    if (call.terminals > 1) return "an operation has two terminal records";
    if (call.terminal == Outcome::kExecuted && !call.acted) return "executed, and was not";
    if (call.told == Outcome::kExecuted && call.terminal != Outcome::kExecuted &&
        call.late != Outcome::kExecuted && call.spooled != Outcome::kExecuted) {
      return "a client was told what no record says";
    }
    if (is_closed_unused(state.standing) && (sent || call.at == CallAt::kReceipt)) {
      return "a call goes on under an approval that is closed";
    }
  }
  if (executions > 1) return "one approval, two executions";
  if (state.claimed_wrongly) return "an approval was claimed too late or under a hold";
  if ((state.who & bit(kRequester)) != 0) return "the requester approved";
  if (was_approved(state.standing) && std::popcount(state.who) < kNeeded) {
    return "too few people approved";
  }
  return "";
}

std::string ApprovalModel::unfinished(const State& state) const {
  for (const Call& call : state.calls) {
    if (call.intent && call.terminals != 1) return "an intent never gets its terminal record";
    if (call.intent && call.terminal == Outcome::kUnknown && call.late == Outcome::kNone) {
      return "an unknown outcome is never reconciled";
    }
  }
  if (state.standing == Standing::kClaimed) return "an approval stays claimed for ever";
  return "";
}

}  // namespace holdfast::model

std::size_t std::hash<holdfast::model::ApprovalState>::operator()(
    const holdfast::model::ApprovalState& state) const noexcept {
  std::size_t mixed = 0;
  const auto mix = [&mixed](auto value) {
    mixed = (mixed ^ static_cast<std::size_t>(value)) * 0x9E3779B97F4A7C15U;
    mixed ^= mixed >> 29U;
  };
  mix(state.standing);
  mix(state.consents | state.who << 4U | state.saw << 8U);
  mix(state.too_late_to_decide | state.too_late_to_use << 1U | state.hold << 2U |
      state.claimed_wrongly << 3U);
  mix(state.claimed_by);
  for (const holdfast::model::Call& call : state.calls) {
    mix(static_cast<unsigned>(call.at) | static_cast<unsigned>(call.result) << 4U |
        static_cast<unsigned>(call.terminal) << 8U | static_cast<unsigned>(call.late) << 12U |
        static_cast<unsigned>(call.spooled) << 16U | static_cast<unsigned>(call.told) << 20U);
    mix(call.intent | call.parked << 1U | call.in_flight << 2U | call.acted << 3U |
        call.lease_over << 4U | call.terminals << 5U);
  }
  return mixed;
}
