#include "approval/approvals_postgres.h"

#include <algorithm>
#include <pqxx/pqxx>
#include <utility>

#include "audit/bytea_postgres.h"
#include "audit/documents_postgres.h"
#include "audit/entry.h"
#include "base/json.h"

namespace holdfast::approval {
namespace {

// Steps of approvals that are read in one statement.
constexpr int kFollowedAtOnce = 500;

// A row of holdfast.approved_calls.
Result<ApprovedCall> approved_in(const pqxx::row& row) {
  const auto code = parse_uuid(row[1].c_str());
  const std::string binding = audit::bytes_in(row[2]);
  const Result<nlohmann::json> stages = parse_json({row[4].c_str(), row[4].size()});
  ApprovedCall approved;
  if (!code || binding.size() != approved.binding.size() || !stages.ok()) {
    return Error{ErrorCode::kInternal, "not an approval"};
  }
  try {
    approved.stages = stages_from(*stages);
  } catch (const nlohmann::json::exception& problem) {
    return Error{ErrorCode::kInternal, std::string("not an approval: ") + problem.what()};
  }
  approved.code = *code;
  std::ranges::copy(binding, approved.binding.begin());
  approved.approved_at = WallTime(std::chrono::microseconds(row[3].as<std::int64_t>()));
  approved.use_within = std::chrono::seconds(row[5].as<std::int64_t>());
  if (!row[6].is_null()) approved.justification = row[6].c_str();
  if (!row[7].is_null()) approved.ticket = row[7].c_str();
  return approved;
}

audit::AppendConnection::Options as_expirer(audit::AppendConnection::Options options) {
  options.writer = {.id = make_uuid_v4(), .role = audit::WriterRole::kAudit};
  return options;
}

}  // namespace

Task<Result<std::optional<Approval>>> PostgresApprovalSource::find(Uuid code) {
  return audit::answer_first<Approval>(workers_, "SELECT * FROM holdfast.find_approval($1, NULL)",
                                       {to_string(code)}, read_approval);
}

Task<Result<std::optional<Approval>>> PostgresApprovalSource::newest(Sha256 binding) {
  return audit::answer_first<Approval>(
      workers_, "SELECT * FROM holdfast.find_approval(NULL, decode($1, 'hex'))", {to_hex(binding)},
      read_approval);
}

Task<Result<std::optional<Approval>>> PostgresApprovalSource::rejection(std::string operation,
                                                                        std::string requester) {
  return audit::answer_first<Approval>(workers_,
                                       "SELECT * FROM holdfast.standing_rejection($1, $2)",
                                       {std::move(operation), std::move(requester)}, read_approval);
}

std::optional<ApprovedCall> PostgresApprovalSource::at_hand(const Sha256& binding) {
  return approved_ == nullptr ? std::nullopt : approved_->take(binding);
}

Task<Result<std::vector<Approval>>> PostgresApprovalSource::list(ApprovalFilter filter) {
  return audit::answer_all<Approval>(
      workers_,
      "SELECT * FROM holdfast.list_approvals(nullif($1, '{}')::text[], nullif($2, '')::bigint, $3)",
      {audit::name_array(filter.states), filter.before ? std::to_string(*filter.before) : "",
       std::to_string(filter.at_most)},
      read_approval);
}

Task<Result<nlohmann::json>> PostgresApprovalSource::context(Uuid code) {
  // Named: g++ 12 destroys temporaries in co_await twice.
  const auto as_it_is = [](const nlohmann::json& row) -> Result<nlohmann::json> { return row; };
  audit::SqlParameters parameters = {to_string(code)};
  std::string question =
      "SELECT c || jsonb_build_object('earlier', holdfast.earlier_approvals($1)) "
      "FROM holdfast.approval_context($1) c WHERE c IS NOT NULL";
  Result<std::optional<nlohmann::json>> found = co_await audit::answer_first<nlohmann::json>(
      workers_, std::move(question), std::move(parameters), as_it_is);
  if (!found.ok()) co_return found.error();
  co_return found->value_or(nlohmann::json::object());
}

ApprovalFollower::ApprovalFollower(audit::DatabaseAccess access, ApprovedCalls& approved)
    : approved_(approved), session_(std::make_unique<audit::DatabaseSession>(std::move(access))) {}

ApprovalFollower::~ApprovalFollower() = default;

Result<bool> ApprovalFollower::step() {
  if (!approved_.make_room(kFollowedAtOnce)) return false;
  pqxx::result rows;
  const Status ran = session_->run([&](pqxx::connection& connection) {
    pqxx::nontransaction transaction(connection);
    rows = transaction.exec_prepared(
        session_->prepared("SELECT * FROM holdfast.approved_calls($1, $2)"), position_,
        kFollowedAtOnce);
  });
  if (!ran.ok()) return ran.error();
  for (const pqxx::row& row : rows) {
    position_ = row[0].as<std::int64_t>();
    if (row[1].is_null()) continue;
    Result<ApprovedCall> approved = approved_in(row);
    if (!approved.ok()) return approved.error();
    approved_.add(*std::move(approved));
  }
  return rows.size() == kFollowedAtOnce;
}

void ApprovalFollower::interrupt() {
  session_->interrupt();
}

struct ApprovalExpirer::Reader {
  explicit Reader(const std::string& conninfo) : connection(conninfo) {}
  pqxx::connection connection;
};

ApprovalExpirer::ApprovalExpirer(audit::AppendConnection::Options options, const Clock& clock)
    : options_(as_expirer(std::move(options))), clock_(clock), times_(clock) {}

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
    entry->set_time(times_.next());
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
