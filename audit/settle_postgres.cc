#include "audit/settle_postgres.h"

#include <algorithm>
#include <pqxx/pqxx>
#include <utility>

#include "base/log.h"

namespace holdfast::audit {
namespace {

constexpr std::string_view kReason = "the lease of the process that sent it ran out";

AppendConnection::Options as_settler(AppendConnection::Options options) {
  options.writer = {.id = make_uuid_v4(), .role = WriterRole::kAudit};
  return options;
}

Result<std::vector<Entry>> unknown_outcomes(const pqxx::result& rows, const Writer& writer,
                                            WallTime now) {
  std::vector<Entry> entries;
  for (const pqxx::row& row : rows) {
    const Entry intent{.operation_id = parse_uuid(row[0].c_str()).value_or(Uuid{}),
                       .bytes = pqxx::binarystring(row[1]).str()};
    Result<Entry> entry =
        make_settled(intent, CallResult::kUnknown, kReason, make_uuid_v7(now), writer);
    if (!entry.ok()) return entry.error();
    entry->set_time(now);
    entries.push_back(*std::move(entry));
  }
  return entries;
}

}  // namespace

struct Settler::Reader {
  explicit Reader(const std::string& conninfo) : connection(conninfo) {}
  pqxx::connection connection;
};

Settler::Settler(AppendConnection::Options options, const Clock& clock)
    : options_(as_settler(std::move(options))), times_(clock) {}

Settler::~Settler() = default;

Status Settler::connect() {
  if (reader_ == nullptr) reader_ = std::make_unique<Reader>(conninfo(options_.database));
  if (connection_ != nullptr) {
    if (connection_->renew_lease(times_.next()).ok()) return {};
    connection_.reset();
  }
  Result<std::unique_ptr<AppendConnection>> opened = AppendConnection::open(options_, watchdog_);
  if (!opened.ok()) return opened.error();
  connection_ = *std::move(opened);
  return {};
}

Result<std::size_t> Settler::settle_expired() {
  Result<std::size_t> settled = std::size_t{0};
  try {
    if (Status connected = connect(); !connected.ok()) return connected.error();
    settled = append_unknown();
  } catch (const std::exception& failure) {
    settled = Error{ErrorCode::kUnavailable, safe_message(failure.what(), options_.database)};
  }
  if (!settled.ok()) {
    connection_.reset();
    reader_.reset();
  }
  return settled;
}

Result<std::size_t> Settler::append_unknown() {
  pqxx::result rows;
  {
    const SocketWatchdog::Guard guard =
        watchdog_.watch(reader_->connection.sock(), options_.deadline);
    pqxx::nontransaction transaction(reader_->connection);
    rows = transaction.exec_params(
        "SELECT operation_id, intent FROM holdfast.expired_operations($1)", kBatchMax);
  }
  if (rows.empty()) return std::size_t{0};
  const Result<std::vector<Entry>> entries = unknown_outcomes(rows, options_.writer, times_.next());
  if (!entries.ok()) return entries.error();
  std::vector<const Entry*> batch;
  for (const Entry& entry : *entries) batch.push_back(&entry);
  const Result<std::vector<Placed>> placed = connection_->append(batch);
  if (!placed.ok()) return placed.error();
  const auto settled = static_cast<std::size_t>(
      std::ranges::count(*placed, Placement::kAppended, &Placed::placement));
  log_warning("operations settled as unknown", {{"count", settled}});
  return settled;
}

Status Settler::ensure_partitions() {
  try {
    if (Status connected = connect(); !connected.ok()) return connected;
    const SocketWatchdog::Guard guard =
        watchdog_.watch(reader_->connection.sock(), options_.deadline);
    pqxx::nontransaction(reader_->connection).exec("SELECT holdfast.ensure_partitions()");
    return {};
  } catch (const std::exception& failure) {
    reader_.reset();
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), options_.database)};
  }
}

}  // namespace holdfast::audit
