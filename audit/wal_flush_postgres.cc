#include "audit/wal_flush_postgres.h"

#include <utility>

namespace holdfast::audit {
namespace {

constexpr const char* kFlush = "flush";

}  // namespace

WalFlush::WalFlush(Database database, std::chrono::milliseconds deadline)
    : database_(std::move(database)), deadline_(deadline), session_(database_) {}

Result<std::unique_ptr<WalFlush>> WalFlush::open(const Database& database,
                                                 std::chrono::milliseconds deadline,
                                                 const Backend& writer) {
  try {
    std::unique_ptr<WalFlush> flush(new WalFlush(database, deadline));
    const SocketWatchdog::Guard guard =
        flush->watchdog_.watch(flush->session_.connection().sock(), deadline);
    flush->session_.prepare();
    flush->session_.connection().prepare(kFlush, kFlushWal);
    if (!flush->session_.is_beside(writer)) {
      return Error{
          ErrorCode::kUnavailable,
          "the database's address leads to more than one server; it must name the primary"};
    }
    return flush;
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), database)};
  }
}

Status WalFlush::flush() {
  const auto in_doubt = [this](std::string_view why) {
    return Error{ErrorCode::kInDoubt, safe_message(why, database_)};
  };
  const SocketWatchdog::Guard guard = watchdog_.watch(session_.connection().sock(), deadline_);
  try {
    session_.forget_warnings();
    pqxx::nontransaction transaction(session_.connection());
    transaction.exec_prepared(kFlush);
    const std::string warning = session_.warning();
    if (!warning.empty()) return in_doubt(warning);
    return {};
  } catch (const std::exception& failure) {
    return in_doubt(guard.expired() ? "the database did not answer in time" : failure.what());
  }
}

}  // namespace holdfast::audit
