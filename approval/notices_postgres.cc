#include "approval/notices_postgres.h"

#include <pqxx/pqxx>
#include <utility>

#include "audit/queries_session_postgres.h"
#include "audit/wal_flush_postgres.h"
#include "base/json.h"

namespace holdfast::approval {
namespace {

using nlohmann::json;

Result<Notice> read_notice(const std::string& text) {
  const Result<json> document = parse_json(text);
  if (!document.ok()) return document.error();
  try {
    const Result<WallTime> at = parse_rfc3339(document->at("at").get<std::string>());
    if (!at.ok()) return at.error();
    Notice notice{.position = document->at("position").get<std::int64_t>(),
                  .event = document->at("event").get<std::string>(),
                  .at = *at,
                  .code = document->at("code").get<std::string>(),
                  .state = document->at("state").get<std::string>(),
                  .until = {},
                  .content = document->at("content"),
                  .filing = document->at("filing")};
    if (document->at("until").is_string()) notice.until = document->at("until").get<std::string>();
    return notice;
  } catch (const json::exception& problem) {
    return Error{ErrorCode::kInternal, std::string("not a notice: ") + problem.what()};
  }
}

// A process that is stopped, or whose machine is gone, must lose its turn soon.
bool take_turn(pqxx::connection& connection, const NoticeStream::Options& options) {
  pqxx::nontransaction setup(connection);
  const std::string silence = std::to_string(options.silence.count());
  setup.exec("SET synchronous_commit = on; SET idle_session_timeout = " + silence +
             "; SET tcp_user_timeout = " + silence +
             "; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; "
             "SET tcp_keepalives_count = 3");
  return setup
      .exec_params("SELECT pg_try_advisory_lock(hashtextextended('holdfast.webhook ' || $1, 0))",
                   options.webhook)[0][0]
      .as<bool>();
}

}  // namespace

NoticeStream::NoticeStream(Options options)
    : options_(std::move(options)),
      session_(std::make_unique<audit::DatabaseSession>(
          options_.database, audit::DatabaseSession::WhenBroken::kReport)) {}

NoticeStream::~NoticeStream() = default;

// Whatever was the matter, what follows begins with another session, and without the turn.
template <class Work>
Status NoticeStream::run(Work work) {
  Status ran = session_->run(work);
  if (!ran.ok()) {
    session_->close();
    has_turn_ = false;
  }
  return ran;
}

Result<std::optional<Notice>> NoticeStream::next() {
  std::string found;
  const Status ran = run([&](pqxx::connection& connection) {
    if (!has_turn_) has_turn_ = take_turn(connection, options_);
    if (!has_turn_) return;
    pqxx::nontransaction transaction(connection);
    position_ =
        transaction.exec_params("SELECT holdfast.webhook_position($1)", options_.webhook)[0][0]
            .as<std::int64_t>();
    transaction.exec_params("SELECT holdfast.warn_of_approvals(make_interval(secs => $1))",
                            std::chrono::duration<double>(options_.warn).count());
    const pqxx::result rows =
        transaction.exec_params("SELECT * FROM holdfast.approval_notices($1, 1)", position_);
    if (rows.empty()) return;
    found = rows[0][0].c_str();
    // Told to nobody before a crash of the database can no longer undo it.
    transaction.exec(audit::kFlushWal);
  });
  if (!ran.ok()) return ran.error();
  if (found.empty()) return std::optional<Notice>();
  Result<Notice> notice = read_notice(found);
  if (!notice.ok()) return notice.error();
  return std::optional<Notice>(*std::move(notice));
}

Status NoticeStream::settle(const Notice& notice) {
  bool moved = false;
  Status ran = run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    moved = transaction
                .exec_params("SELECT holdfast.move_webhook($1, $2, $3)", options_.webhook,
                             position_, notice.position)[0][0]
                .as<bool>();
  });
  if (!ran.ok()) return ran;
  if (!moved) return Error{ErrorCode::kRefused, "another process delivers these notices"};
  return {};
}

void NoticeStream::interrupt() {
  session_->interrupt();
}

}  // namespace holdfast::approval
