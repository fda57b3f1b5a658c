// The audit log as the data plane sees it: the port that makes "no guarded call without a durable
// intent" a matter of types.
//
//   Result<Receipt> receipt = co_await log.append_intent(record, std::move(request));
//   if (!receipt.ok()) return audit_unavailable();          // nothing may be sent
//   const Uuid operation = receipt->operation_id();
//   Outcome outcome = co_await upstream.forward(std::move(*receipt));
//   Result<RecordRef> ended = co_await log.append_outcome(outcome_record);
//
// Implementations are safe to call from any thread; a coroutine resumes on the executor it awaited
// on. No call blocks the caller's thread.
#pragma once

#include <string>

#include "audit/record.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "http/message.h"

namespace holdfast::audit {

// A guarded request exactly as it will be sent.
struct OutboundRequest {
  http::RequestHead head;
  std::string body;
};

// Proof that the intent of one request is committed. Only an AuditLog can make one; it holds the
// request itself, so what is sent is what was recorded; and forwarding consumes it, so it is sent
// at most once. A Receipt that is dropped unsent still needs its outcome (not_sent) appended.
// From `send_before` on others may have ended the operation as unknown: then it must not be sent.
class Receipt {
 public:
  Receipt(Receipt&&) = default;
  Receipt& operator=(Receipt&&) = default;
  Receipt(const Receipt&) = delete;
  Receipt& operator=(const Receipt&) = delete;

  const Uuid& operation_id() const { return operation_id_; }
  const RecordRef& intent() const { return intent_; }
  SteadyTime send_before() const { return send_before_; }

  // Gives up the request, once; the Receipt is spent.
  OutboundRequest take_request() && { return std::move(request_); }

 private:
  friend class AuditLog;
  Receipt(Uuid operation_id, RecordRef intent, OutboundRequest request, SteadyTime send_before)
      : operation_id_(operation_id),
        intent_(intent),
        request_(std::move(request)),
        send_before_(send_before) {}

  Uuid operation_id_;
  RecordRef intent_;
  OutboundRequest request_;
  SteadyTime send_before_;
};

struct LogHealth {
  bool ready = false;       // A guarded call arriving now can be recorded.
  std::string reason;       // Why not, for readyz and an operator; empty when ready.
  std::size_t spooled = 0;  // Outcomes in the spool that the database does not have yet.
  std::size_t spool_bytes = 0;
};

class AuditLog {
 public:
  virtual ~AuditLog() = default;

  // Commits an intent. Any error means: do not send. kUnavailable: the database cannot take it, or
  // the spool has not drained. kInDoubt: it may have been committed; the log itself appends its
  // not_sent outcome once it knows. kRefused: the approval that it claims cannot be claimed, and
  // nothing is recorded. kLimit: a limit it takes is spent, and nothing is recorded; the message is
  // the id of the limit's rule. kNotFound: its generation of rules is not in force (any more), and
  // nothing is recorded: decide again.
  virtual Task<Result<Receipt>> append_intent(Record intent, OutboundRequest request) = 0;

  // Commits the terminal record of an intent that this process appended, in the database or, where
  // that cannot be, in the fsynced spool. kRefused: the operation was settled as unknown meanwhile;
  // the log has appended this result as a reconciliation instead. Any other error: durable nowhere,
  // so the caller must not report a result as certain.
  virtual Task<Result<RecordRef>> append_outcome(Record outcome) = 0;

  // Commits any other record. Errors as for append_intent; kRefused: its approval step cannot be
  // taken, or the rules that it would change are not as it says. kNotFound: the API token that the
  // change was asked for with is over.
  virtual Task<Result<RecordRef>> append(Record record) = 0;

  virtual LogHealth health() const = 0;

 protected:
  static Receipt issue_receipt(Uuid operation_id, RecordRef intent, OutboundRequest request,
                               SteadyTime send_before) {
    return Receipt(operation_id, intent, std::move(request), send_before);
  }
};

}  // namespace holdfast::audit
