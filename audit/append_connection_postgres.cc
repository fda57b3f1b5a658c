#include "audit/append_connection_postgres.h"

#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <utility>

#include "audit/binary_array.h"
#include "audit/bytea_postgres.h"
#include "base/crypto.h"

namespace holdfast::audit {
namespace {

constexpr const char* kAppend = "append";
constexpr const char* kAppendSteps = "append_steps";
constexpr const char* kAppendGenerations = "append_generations";
constexpr const char* kAppendStepsGenerations = "append_steps_generations";
constexpr const char* kAppendLimits = "append_limits";
constexpr const char* kAppendSealed = "append_sealed";
constexpr const char* kRenew = "renew";
constexpr const char* kTimeReached = "time_reached";
constexpr const char* kOpenOperations = "open_operations";
constexpr const char* kOutcomesOf = "outcomes_of";

constexpr std::string_view kLimitRefusal = "limit ";  // Then the rule's id.
constexpr std::string_view kTrue{"\1", 1};
constexpr std::string_view kFalse{"\0", 1};

std::string_view uuid_bytes(const Uuid& uuid) {
  return {reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()};
}

std::string interval(std::chrono::milliseconds time) {
  return std::to_string(time.count()) + " milliseconds";
}

Placement parse_refusal(std::string_view text) {
  if (text == "lease_expired") return Placement::kLeaseExpired;
  if (text == "already_open") return Placement::kAlreadyOpen;
  if (text == "settled") return Placement::kSettled;
  if (text == "not_expired") return Placement::kNotExpired;
  if (text == "generation") return Placement::kOutdated;
  if (text == "approval") return Placement::kApproval;
  if (text == "token") return Placement::kToken;
  if (text.starts_with(kLimitRefusal)) return Placement::kLimit;
  return Placement::kClosed;
}

Placed placed_refusal(std::string_view text) {
  Placed placed{.placement = parse_refusal(text)};
  if (placed.placement == Placement::kLimit) placed.rule = text.substr(kLimitRefusal.size());
  return placed;
}

// What the database says of a batch, one by one. Throws when that is not of `count` entries.
std::vector<Placed> placements(const pqxx::row& appended, std::size_t count) {
  std::int64_t index = appended[0].as<std::int64_t>(-1);
  std::vector<Placed> placed;
  placed.reserve(count);
  if (appended[1].is_null()) {
    for (std::size_t i = 0; i < count; ++i) placed.push_back({.index = index++});
    return placed;
  }
  using Juncture = pqxx::array_parser::juncture;
  pqxx::array_parser refusals = appended[1].as_array();
  for (auto item = refusals.get_next(); item.first != Juncture::done; item = refusals.get_next()) {
    if (item.first == Juncture::null_value) placed.push_back({.index = index++});
    if (item.first == Juncture::string_value) placed.push_back(placed_refusal(item.second));
  }
  if (placed.size() != count) throw std::runtime_error("the database answered for other entries");
  return placed;
}

// What a batch's statement is given beside the writer and its epoch.
struct BatchParameters {
  using Element = BinaryArray::Element;

  BatchParameters(std::span<const Entry* const> entries, bool takes_limits);

  BinaryArray bytes{Element::kBytea};
  BinaryArray hashes{Element::kBytea};
  BinaryArray kinds{Element::kText};
  BinaryArray operations{Element::kUuid};
  BinaryArray steps{Element::kText};
  BinaryArray limited{Element::kBool};
  BinaryArray generations{Element::kInt8};
  std::string sealed;  // JSON; empty: no entry has documents.
  // What no entry has, the database need not look for.
  bool has_steps = false;
  bool has_limits = false;
  bool has_generations = false;

 private:
  void add(const Entry& entry);
};

std::string sealed_documents(std::span<const Entry* const> entries) {
  nlohmann::json sealed = nlohmann::json::array();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    for (const SealedDocument& document : entries[i]->documents) {
      sealed.push_back({{"document", document.bytes}, {"entry", i + 1}, {"names", document.names}});
    }
  }
  return sealed.dump();
}

BatchParameters::BatchParameters(std::span<const Entry* const> entries, bool takes_limits) {
  bool has_documents = false;
  std::size_t size = 0;
  for (const Entry* entry : entries) size += entry->bytes.size();
  bytes.reserve(entries.size(), size);
  for (const Entry* entry : entries) {
    add(*entry);
    has_steps = has_steps || entry->approval_step != ApprovalStep::kNone;
    has_limits = has_limits || (entry->is_limited && takes_limits);
    has_generations = has_generations || entry->generation != 0;
    has_documents = has_documents || !entry->documents.empty();
  }
  if (has_documents) sealed = sealed_documents(entries);
}

void BatchParameters::add(const Entry& entry) {
  bytes.add(entry.bytes);
  hashes.add(bytes_of(leaf_hash(entry.bytes)));
  kinds.add(to_string(entry.kind));
  if (entry.operation_id == Uuid{}) {
    operations.add_null();
  } else {
    operations.add(uuid_bytes(entry.operation_id));
  }
  if (entry.approval_step == ApprovalStep::kNone) {
    steps.add_null();
  } else {
    steps.add(to_string(entry.approval_step));
  }
  limited.add(entry.is_limited ? kTrue : kFalse);
  if (entry.generation == 0) {
    generations.add_null();
  } else {
    generations.add(entry.generation);
  }
}

// Classes of errors that lie in the data given: data exceptions, integrity, malformed batch.
bool blames_the_data(std::string_view state) {
  return state.starts_with("22") || state.starts_with("23") || state == "HF002";
}

}  // namespace

struct AppendConnection::Session {
  explicit Session(const Database& database) : log(database) {}
  LogSession log;
  Backend backend;
  std::int64_t epoch = 0;
};

AppendConnection::AppendConnection(Options options, SocketWatchdog& watchdog)
    : options_(std::move(options)), watchdog_(watchdog) {}

AppendConnection::~AppendConnection() = default;

Result<std::unique_ptr<AppendConnection>> AppendConnection::open(const Options& options,
                                                                 SocketWatchdog& watchdog) {
  std::unique_ptr<AppendConnection> opened(new AppendConnection(options, watchdog));
  try {
    opened->session_ = std::make_unique<Session>(options.database);
    Session& session = *opened->session_;
    pqxx::connection& connection = session.log.connection();
    const SocketWatchdog::Guard guard = watchdog.watch(connection.sock(), options.deadline);
    session.log.prepare();
    session.backend = session.log.backend();
    pqxx::nontransaction transaction(connection);
    const bool proxy = options.writer.role == WriterRole::kProxy;
    // The setting is of this statement's transaction only.
    const std::string append =
        std::string("SELECT first, refusals, set_config('synchronous_commit', $1, true) FROM ") +
        "holdfast." + (proxy ? "append_proxy" : "append_audit") + "($2, $3, $4, $5, $6, $7";
    connection.prepare(kAppend, append + ")");
    connection.prepare(kAppendSteps, append + ", $8)");
    // Only a proxy writes intents and takes limits.
    if (proxy) {
      connection.prepare(kAppendGenerations, append + ", generations => $8)");
      connection.prepare(kAppendStepsGenerations, append + ", $8, generations => $9)");
      connection.prepare(kAppendLimits, append + ", $8, $9, $10)");
    }
    connection.prepare(kAppendSealed, append + (proxy ? ", $8, $9, $10, $11)" : ", $8, $9)"));
    connection.prepare(kRenew, "SELECT room, spare FROM holdfast.renew_lease($1, $2, $3, $4)");
    connection.prepare(kTimeReached,
                       "SELECT (extract(epoch FROM holdfast.time_reached($1, $2, $3)) * "
                       "1000000)::bigint");
    connection.prepare(kOpenOperations,
                       "SELECT operation_id, intent FROM holdfast.own_open_operations($1, $2)");
    if (proxy) {
      connection.prepare(kOutcomesOf,
                         "SELECT operation_id, leaf_hash FROM holdfast.outcomes_of($1::uuid[])");
    }
    session.epoch = transaction
                        .exec_params1("SELECT holdfast.raise_epoch($1, $2)",
                                      to_string(options.writer.id), interval(options.lease))[0]
                        .as<std::int64_t>();
    return opened;
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), options.database)};
  }
}

Result<std::vector<Placed>> AppendConnection::append(std::span<const Entry* const> entries,
                                                     Commit commit) {
  const bool proxy = options_.writer.role == WriterRole::kProxy;
  const BatchParameters batch(entries, proxy);
  LogSession& session = session_->log;
  session.forget_warnings();
  const auto in_doubt = [this](std::string_view why) {
    return Error{ErrorCode::kInDoubt, safe_message(why, options_.database)};
  };
  const SocketWatchdog::Guard guard =
      watchdog_.watch(session.connection().sock(), options_.deadline);
  try {
    pqxx::nontransaction transaction(session.connection());
    const char* waits = commit == Commit::kFlushed ? "on" : "off";
    const auto execute = [&](const char* statement, const auto&... more) {
      return transaction.exec_prepared(statement, waits, to_string(options_.writer.id),
                                       session_->epoch, binary(batch.bytes.bytes()),
                                       binary(batch.hashes.bytes()), binary(batch.kinds.bytes()),
                                       binary(batch.operations.bytes()), more...);
    };
    const auto steps = [&batch] { return binary(batch.steps.bytes()); };
    const auto limited = [&batch] { return binary(batch.limited.bytes()); };
    const auto generations = [&batch] { return binary(batch.generations.bytes()); };
    const bool sealed = !batch.sealed.empty();
    const pqxx::result rows =
        sealed && proxy    ? execute(kAppendSealed, steps(), limited(), generations(), batch.sealed)
        : sealed           ? execute(kAppendSealed, steps(), batch.sealed)
        : batch.has_limits ? execute(kAppendLimits, steps(), limited(), generations())
        : batch.has_steps && batch.has_generations
            ? execute(kAppendStepsGenerations, steps(), generations())
        : batch.has_steps       ? execute(kAppendSteps, steps())
        : batch.has_generations ? execute(kAppendGenerations, generations())
                                : execute(kAppend);
    // A cancelled wait for a synchronous standby reports success, and a warning.
    if (std::string warning = session.warning(); !warning.empty()) return in_doubt(warning);
    return placements(rows.at(0), entries.size());
  } catch (const pqxx::sql_error& failure) {
    // With the connection gone, the error may have come after the commit.
    if (!session.connection().is_open() || !session.warning().empty()) {
      return in_doubt(failure.what());
    }
    return Error{
        blames_the_data(failure.sqlstate()) ? ErrorCode::kInvalid : ErrorCode::kUnavailable,
        safe_message(failure.what(), options_.database)};
  } catch (const std::exception& failure) {
    if (guard.expired()) return in_doubt("the database did not answer in time");
    if (!session.connection().is_open()) return in_doubt("the connection to the database broke");
    return in_doubt(failure.what());
  }
}

Result<AppendConnection::Room> AppendConnection::renew_lease(WallTime given) {
  const SocketWatchdog::Guard guard =
      watchdog_.watch(session_->log.connection().sock(), options_.deadline);
  try {
    pqxx::nontransaction transaction(session_->log.connection());
    const pqxx::row row =
        transaction.exec_prepared1(kRenew, to_string(options_.writer.id), session_->epoch,
                                   interval(options_.lease), to_rfc3339(given));
    return Room{.entries = row[0].as<std::int64_t>(), .spare = row[1].as<bool>()};
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), options_.database)};
  }
}

Result<std::optional<WallTime>> AppendConnection::time_reached() {
  const SocketWatchdog::Guard guard =
      watchdog_.watch(session_->log.connection().sock(), options_.deadline);
  try {
    pqxx::nontransaction transaction(session_->log.connection());
    const pqxx::row row = transaction.exec_prepared1(kTimeReached, to_string(options_.writer.id),
                                                     session_->epoch, interval(options_.lease));
    if (row[0].is_null()) return std::optional<WallTime>();
    return std::optional(WallTime(std::chrono::microseconds(row[0].as<std::int64_t>())));
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), options_.database)};
  }
}

const Backend& AppendConnection::backend() const {
  return session_->backend;
}

bool AppendConnection::is_lost() const {
  return session_->log.is_lost();
}

Result<std::vector<LoggedOutcome>> AppendConnection::outcomes_of(
    std::span<const Entry* const> entries) {
  std::string operations;
  for (const Entry* entry : entries) {
    operations += (operations.empty() ? "" : ",") + to_string(entry->operation_id);
  }
  const SocketWatchdog::Guard guard =
      watchdog_.watch(session_->log.connection().sock(), options_.deadline);
  try {
    pqxx::nontransaction transaction(session_->log.connection());
    std::vector<LoggedOutcome> outcomes;
    for (const pqxx::row& row : transaction.exec_prepared(kOutcomesOf, "{" + operations + "}")) {
      outcomes.push_back({.operation_id = parse_uuid(row[0].c_str()).value_or(Uuid{}),
                          .leaf_hash = bytes_in(row[1])});
    }
    return outcomes;
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), options_.database)};
  }
}

Result<std::vector<OpenOperation>> AppendConnection::open_operations() {
  const SocketWatchdog::Guard guard =
      watchdog_.watch(session_->log.connection().sock(), options_.deadline);
  try {
    pqxx::nontransaction transaction(session_->log.connection());
    std::vector<OpenOperation> operations;
    for (const pqxx::row& row : transaction.exec_prepared(
             kOpenOperations, to_string(options_.writer.id), session_->epoch)) {
      operations.push_back({.operation_id = parse_uuid(row[0].c_str()).value_or(Uuid{}),
                            .intent = pqxx::binarystring(row[1]).str()});
    }
    return operations;
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), options_.database)};
  }
}

}  // namespace holdfast::audit
