// What receivers outside are told of approvals, in PostgreSQL: the notices in the order in which
// things happened, and how far a webhook has been told of them.
//
// One process at a time has a webhook's turn: a session's advisory lock, which ends with the
// session. It is lost when the database is, or when the process does not ask for `silence`; another
// may then deliver once more what this one was just delivering.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "audit/queries_postgres.h"
#include "base/clock.h"
#include "base/result.h"

namespace holdfast::audit {
class DatabaseSession;
}

namespace holdfast::approval {

// One thing that happened to an approval, or to the review of a call that went past it.
struct Notice {
  std::int64_t position = 0;
  // pending, approved, rejected, revoked, cancelled, invalidated, expired, expiring; break_glass,
  // review_overdue, reviewed.
  std::string event;
  WallTime at;
  std::string code;
  std::string state;       // Since then.
  std::string until;       // RFC 3339: when it runs out; empty: it is over.
  nlohmann::json content;  // What the step's record says of it; empty of a warning.
  nlohmann::json filing;   // What was asked for, as the database keeps it.
};

// For one thread but for interrupt().
class NoticeStream {
 public:
  struct Options {
    audit::DatabaseAccess database;
    std::string webhook;                  // Its name.
    std::chrono::milliseconds warn{0};    // So long before an approval runs out.
    std::chrono::milliseconds silence{};  // Longer than from one next() to another.
  };
  explicit NoticeStream(Options options);
  ~NoticeStream();

  // The first one that is not settled; nothing: there is none, or it is another process's turn.
  // Errors: kUnavailable, kTimeout, kInternal.
  Result<std::optional<Notice>> next();

  // That notice, the one next() gave, needs no telling any more. Errors: as next(), and kRefused:
  // another process has settled it.
  Status settle(const Notice& notice);

  // From any thread: breaks off what runs and fails what comes, for good.
  void interrupt();

 private:
  template <class Work>
  Status run(Work work);

  const Options options_;
  const std::unique_ptr<audit::DatabaseSession> session_;
  bool has_turn_ = false;  // On the session that is open.
  std::int64_t position_ = 0;
};

}  // namespace holdfast::approval
