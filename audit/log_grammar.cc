#include "audit/log_grammar.h"

#include <algorithm>
#include <cstring>

namespace holdfast::audit {
namespace {

constexpr int kUnauthorized = 401;
constexpr int kTooManyRequests = 429;

std::string at_index(std::uint64_t index) {
  return "index " + std::to_string(index);
}

// Whether what was approved did not happen, so that it may be tried again.
bool gives_back(const EntryFacts& outcome) {
  return outcome.result == CallResult::kNotSent ||
         (outcome.result == CallResult::kRefused &&
          (outcome.status == kUnauthorized || outcome.status == kTooManyRequests));
}

}  // namespace

std::size_t LogGrammar::UuidHash::operator()(const Uuid& uuid) const {
  std::size_t hash = 0;
  std::memcpy(&hash, uuid.bytes.data() + uuid.bytes.size() - sizeof hash, sizeof hash);
  return hash;
}

std::string LogGrammar::add(std::uint64_t index, const EntryFacts& facts) {
  ++counts_[static_cast<std::size_t>(facts.kind)];
  const auto [found, fresh] = writers_.try_emplace(facts.writer);
  WriterState& writer = found->second;
  if (fresh) writer = {.ordinal = static_cast<std::uint32_t>(writers_.size()), .last_time = {}};
  const WallTime before = writer.last_time;
  writer.last_time = facts.time;  // One step back is one fault, however far the way on.

  // All of it is noted, whatever is wrong with some of it.
  std::string wrong;
  if (facts.kind == Kind::kIntent) wrong = add_intent(index, facts, writer.ordinal);
  if (facts.kind == Kind::kOutcome) wrong = add_outcome(index, facts, writer.ordinal);
  if (facts.kind == Kind::kReconciliation) wrong = add_reconciliation(facts);
  if (facts.kind == Kind::kApproval || facts.kind == Kind::kDecision) note_approval(facts);

  if (!may_write(facts.role, facts.kind)) {
    return "a record of the kind " + std::string(to_string(facts.kind)) + " by the role " +
           std::string(to_string(facts.role)) + ", which may not write it";
  }
  if (facts.time < before) {
    return "its time, " + to_rfc3339(facts.time) +
           ", is before that of its writer's last record, " + to_rfc3339(before);
  }
  return wrong;
}

std::string LogGrammar::add_intent(std::uint64_t index, const EntryFacts& facts,
                                   std::uint32_t writer) {
  const auto [found, fresh] =
      calls_.try_emplace(facts.operation_id, Call{.intent_index = index, .writer = writer});
  std::string wrong;
  if (facts.approval != Uuid{}) wrong = claim(index, facts);
  if (facts.overrides != Uuid{}) approvals_[facts.overrides].standing = Standing::kOver;
  if (!fresh) {
    return "a second intent of the operation " + to_string(facts.operation_id) +
           "; the first is at " + at_index(found->second.intent_index);
  }
  return wrong;
}

// What is wrong for sure; a doubt is kept.
std::string LogGrammar::doubt(std::uint64_t since, std::uint64_t index, std::string what) {
  if (has_read_all_since(since)) return what;
  doubts_.push_back({.since = since, .index = index, .what = std::move(what)});
  return {};
}

std::string LogGrammar::add_outcome(std::uint64_t index, const EntryFacts& facts,
                                    std::uint32_t writer) {
  const auto found = calls_.find(facts.operation_id);
  if (found == calls_.end()) {
    return doubt(0, index,
                 "an outcome of the operation " + to_string(facts.operation_id) +
                     ", which has no intent before it");
  }
  Call& call = found->second;
  if (call.ended) {
    return "a second outcome of the operation " + to_string(facts.operation_id) +
           ", whose intent is at " + at_index(call.intent_index);
  }
  call.ended = true;
  release(facts);
  if (facts.role == WriterRole::kProxy && call.writer != writer) {
    return "an outcome by another process than the one whose intent is at " +
           at_index(call.intent_index);
  }
  if (facts.role == WriterRole::kAudit && facts.result != CallResult::kUnknown) {
    return "an outcome by the audit service that claims to know what came of the intent at " +
           at_index(call.intent_index);
  }
  return {};
}

// However late it comes, what it lacks may have been lost before: retention keeps an operation only
// until it has its outcome.
std::string LogGrammar::add_reconciliation(const EntryFacts& facts) const {
  const auto found = calls_.find(facts.operation_id);
  if (found == calls_.end()) {
    if (!has_read_all_since(0)) return {};
    return "a reconciliation of the operation " + to_string(facts.operation_id) +
           ", which has no intent before it";
  }
  if (found->second.ended || !has_read_all_since(found->second.intent_index)) return {};
  return "a reconciliation of the operation " + to_string(facts.operation_id) +
         ", which has no outcome before it";
}

std::string LogGrammar::claim(std::uint64_t index, const EntryFacts& facts) {
  Approval& approval = approvals_[facts.approval];
  const Approval before = approval;
  approval = {.standing = before.standing == Standing::kOver ? Standing::kOver : Standing::kUsed,
              .used_at = index,
              .operation_id = facts.operation_id};
  claims_[facts.operation_id] = facts.approval;
  const std::string which = "the approval " + to_string(facts.approval);
  std::string not_approved = "uses " + which + ", which was not approved before it";
  switch (before.standing) {
    case Standing::kUsable:
      return {};
    case Standing::kUnseen:
      return doubt(0, index, not_approved);
    case Standing::kOver:
      return not_approved;
    case Standing::kUsed:
      break;
  }
  const std::uint64_t used_at = before.used_at.value_or(0);
  std::string again =
      "uses " + which + " again, which the intent at " + at_index(used_at) + " used";
  // Of a use whose outcome is there, nothing else can have given it back.
  const auto call = calls_.find(before.operation_id);
  if (call != calls_.end() && call->second.ended) return again;
  return doubt(used_at, index, again);
}

void LogGrammar::release(const EntryFacts& outcome) {
  const auto claimed = claims_.find(outcome.operation_id);
  if (claimed == claims_.end()) return;
  Approval& approval = approvals_[claimed->second];
  if (approval.operation_id == outcome.operation_id && gives_back(outcome)) {
    if (approval.standing == Standing::kUsed) approval.standing = Standing::kUsable;
  }
  claims_.erase(claimed);
}

void LogGrammar::note_approval(const EntryFacts& facts) {
  using enum ApprovalState;
  if (facts.approval == Uuid{} || !facts.approval_state) return;
  switch (*facts.approval_state) {
    case kApproved:
      // A refusal may mention where an approval stands; only an approver's record approves.
      if (facts.kind != Kind::kApproval) return;
      // Once only, so that the last approver's record cannot make a used one new.
      if (Approval& approval = approvals_[facts.approval]; approval.standing == Standing::kUnseen) {
        approval.standing = Standing::kUsable;
      }
      return;
    case kRejected:
    case kCancelled:
    case kExpired:
    case kInvalidated:
    case kRevoked:
      approvals_[facts.approval].standing = Standing::kOver;
      return;
    default:
      return;
  }
}

std::vector<LogGrammar::Open> LogGrammar::open() const {
  std::vector<Open> open;
  for (const auto& [operation_id, call] : calls_) {
    if (!call.ended)
      open.push_back({.operation_id = operation_id, .intent_index = call.intent_index});
  }
  std::ranges::sort(open, {}, &Open::intent_index);
  return open;
}

}  // namespace holdfast::audit
