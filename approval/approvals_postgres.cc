#include "approval/approvals_postgres.h"

#include <algorithm>
#include <pqxx/pqxx>
#include <utility>

#include "audit/entry.h"
#include "base/json.h"
#include "base/log.h"

namespace holdfast::approval {
namespace {

using Found = Result<std::vector<Approval>>;

Found read_rows(const pqxx::result& rows) {
  std::vector<Approval> approvals;
  for (const pqxx::row& row : rows) {
    const Result<nlohmann::json> document = parse_json(row[0].c_str());
    if (!document.ok()) return document.error();
    Result<Approval> approval = read_approval(*document);
    if (!approval.ok()) return approval.error();
    approvals.push_back(*std::move(approval));
  }
  return approvals;
}

// One question, asked with `run` on a worker's session.
Found ask(audit::DatabaseSession& session,
          const std::function<pqxx::result(pqxx::nontransaction&)>& run) {
  Found found = std::vector<Approval>();
  const Status asked = session.run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    found = read_rows(run(transaction));
  });
  if (!asked.ok()) return asked.error();
  return found;
}

Result<std::optional<Approval>> first_of(Found found) {
  if (!found.ok()) return found.error();
  if (found->empty()) return std::optional<Approval>();
  return std::optional<Approval>(std::move(found->front()));
}

audit::AppendConnection::Options as_expirer(audit::AppendConnection::Options options) {
  options.writer = {.id = make_uuid_v4(), .role = audit::WriterRole::kAudit};
  return options;
}

std::string states_array(const std::vector<ApprovalState>& states) {
  std::string text = "{";
  for (const ApprovalState state : states) {
    text += (text.size() > 1 ? "," : "") + std::string(to_string(state));
  }
  return text + "}";
}

}  // namespace

Task<Result<std::optional<Approval>>> PostgresApprovalSource::find(Uuid code) {
  const std::function<Found(audit::DatabaseSession&)> question =
      [code](audit::DatabaseSession& session) {
        return ask(session, [&](pqxx::nontransaction& transaction) {
          return transaction.exec_params("SELECT * FROM holdfast.find_approval($1, NULL)",
                                         to_string(code));
        });
      };
  co_return first_of(co_await workers_.answer<std::vector<Approval>>(question));
}

Task<Result<std::optional<Approval>>> PostgresApprovalSource::newest(Sha256 binding) {
  const std::function<Found(audit::DatabaseSession&)> question =
      [binding](audit::DatabaseSession& session) {
        return ask(session, [&](pqxx::nontransaction& transaction) {
          return transaction.exec_params(
              "SELECT * FROM holdfast.find_approval(NULL, decode($1, 'hex'))", to_hex(binding));
        });
      };
  co_return first_of(co_await workers_.answer<std::vector<Approval>>(question));
}

Task<Result<std::vector<Approval>>> PostgresApprovalSource::list(ApprovalFilter filter) {
  const std::function<Found(audit::DatabaseSession&)> question =
      [filter = std::move(filter)](audit::DatabaseSession& session) {
        return ask(session, [&](pqxx::nontransaction& transaction) {
          return transaction.exec_params(
              "SELECT * FROM holdfast.list_approvals(nullif($1, '{}')::text[], "
              "nullif($2, '')::bigint, $3)",
              states_array(filter.states), filter.before ? std::to_string(*filter.before) : "",
              filter.at_most);
        });
      };
  co_return co_await workers_.answer<std::vector<Approval>>(question);
}

struct ApprovalExpirer::Reader {
  explicit Reader(const std::string& conninfo) : connection(conninfo) {}
  pqxx::connection connection;
};

ApprovalExpirer::ApprovalExpirer(audit::AppendConnection::Options options, const Clock& clock)
    : options_(as_expirer(std::move(options))), clock_(clock) {}

ApprovalExpirer::~ApprovalExpirer() = default;

Status ApprovalExpirer::connect() {
  if (reader_ == nullptr) reader_ = std::make_unique<Reader>(audit::conninfo(options_.database));
  if (connection_ != nullptr) return {};
  auto opened = audit::AppendConnection::open(options_, watchdog_);
  if (!opened.ok()) return opened.error();
  connection_ = *std::move(opened);
  return {};
}

Result<std::size_t> ApprovalExpirer::expire_due() {
  Result<std::size_t> expired = std::size_t{0};
  try {
    if (Status connected = connect(); !connected.ok()) return connected.error();
    expired = append_expiries();
  } catch (const std::exception& failure) {
    expired =
        Error{ErrorCode::kUnavailable, audit::safe_message(failure.what(), options_.database)};
  }
  if (!expired.ok()) {
    connection_.reset();
    reader_.reset();
  }
  return expired;
}

Result<std::size_t> ApprovalExpirer::append_expiries() {
  pqxx::result rows;
  {
    const audit::SocketWatchdog::Guard guard =
        watchdog_.watch(reader_->connection.sock(), options_.deadline);
    pqxx::nontransaction transaction(reader_->connection);
    rows = transaction.exec_params("SELECT code FROM holdfast.expired_approvals($1)",
                                   audit::kBatchMax);
  }
  if (rows.empty()) return std::size_t{0};
  std::vector<audit::Entry> entries;
  for (const pqxx::row& row : rows) {
    audit::Record record{.kind = audit::Kind::kApproval,
                         .approval_step = audit::ApprovalStep::kExpire};
    record.content["approval"] = expiry(parse_uuid(row[0].c_str()).value_or(Uuid{}));
    Result<audit::Entry> entry =
        audit::make_entry(std::move(record), make_uuid_v7(clock_.now()), options_.writer);
    if (!entry.ok()) return entry.error();
    entry->set_time(clock_.now());
    entries.push_back(*std::move(entry));
  }
  std::vector<const audit::Entry*> batch;
  batch.reserve(entries.size());
  for (const audit::Entry& entry : entries) batch.push_back(&entry);
  const Result<std::vector<audit::Placed>> placed = connection_->append(batch);
  if (!placed.ok()) return placed.error();
  return static_cast<std::size_t>(
      std::ranges::count(*placed, audit::Placement::kAppended, &audit::Placed::placement));
}

}  // namespace holdfast::approval
