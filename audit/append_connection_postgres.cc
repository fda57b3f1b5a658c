#include "audit/append_connection_postgres.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <utility>

#include "audit/binary_array.h"
#include "audit/bytea_postgres.h"
#include "audit/statement_pipeline_postgres.h"
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
std::vector<Placed> placements(const StatementAnswer& answer, std::size_t count) {
  const std::optional<std::string>& first = answer.row.at(0);
  const std::optional<std::string>& refused = answer.row.at(1);
  std::int64_t index = -1;
  if (first) pqxx::from_string(*first, index);
  std::vector<Placed> placed;
  placed.reserve(count);
  if (!refused) {
    for (std::size_t i = 0; i < count; ++i) placed.push_back({.index = index++});
    return placed;
  }
  using Juncture = pqxx::array_parser::juncture;
  pqxx::array_parser refusals(refused->c_str());
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
  // A batch without an answer yet.
  struct Sent {
    std::int64_t number;
    std::size_t entries;
    std::chrono::steady_clock::time_point begun;
  };

  explicit Session(const Database& database) : log(database), pipeline(log.handle()) {}
  LogSession log;
  StatementPipeline pipeline;
  std::deque<Sent> sent;
  std::int64_t numbers = 0;    // Of the batches so far.
  std::int64_t committed = 0;  // The last one's that is known to have been.
  bool timed_out = false;
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
    pqxx::connection_base& connection = session.log.connection();
    const SocketWatchdog::Guard guard = watchdog.watch(connection.sock(), options.deadline);
    session.log.prepare();
    session.backend = session.log.backend();
    const bool proxy = options.writer.role == WriterRole::kProxy;
    // The pipeline sends what is prepared, and does not prepare.
    const auto prepare = [&connection](const char* name, const std::string& statement) {
      connection.prepare(name, statement);
      connection.prepare_now(name);
    };
    // One setting is of the statement's transaction only. The other one is the session's, and as it
    // was before where that transaction fails: then what was sent behind it finds another number
    // there.
    const std::string append =
        std::string("SELECT first, refusals, set_config('synchronous_commit', $1, true), ") +
        "set_config('holdfast.batch', $2, false) FROM holdfast." +
        (proxy ? "append_proxy" : "append_audit") + "($4, $5, $6, $7, $8, $9";
    const std::string after = ") WHERE current_setting('holdfast.batch') = $3";
    prepare(kAppend, append + after);
    prepare(kAppendSteps, append + ", $10" + after);
    // Only a proxy writes intents and takes limits.
    if (proxy) {
      prepare(kAppendGenerations, append + ", generations => $10" + after);
      prepare(kAppendStepsGenerations, append + ", $10, generations => $11" + after);
      prepare(kAppendLimits, append + ", $10, $11, $12" + after);
    }
    prepare(kAppendSealed, append + (proxy ? ", $10, $11, $12, $13" : ", $10, $11") + after);
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
    pqxx::nontransaction transaction(connection);
    transaction.exec_params1("SELECT set_config('holdfast.batch', $1, false)", session.committed);
    session.epoch = transaction
                        .exec_params1("SELECT holdfast.raise_epoch($1, $2)",
                                      to_string(options.writer.id), interval(options.lease))[0]
                        .as<std::int64_t>();
    return opened;
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kUnavailable, safe_message(failure.what(), options.database)};
  }
}

void AppendConnection::send(std::span<const Entry* const> entries, Commit commit) {
  const bool proxy = options_.writer.role == WriterRole::kProxy;
  const BatchParameters batch(entries, proxy);
  Session& session = *session_;
  const bool is_first = session.sent.empty();
  if (is_first) session.log.forget_warnings();  // Of other statements.
  const auto now = std::chrono::steady_clock::now();
  const std::string before =
      std::to_string(is_first ? session.committed : session.sent.back().number);
  session.sent.push_back({.number = ++session.numbers, .entries = entries.size(), .begun = now});
  const std::string number = std::to_string(session.numbers);
  const std::string waits = commit == Commit::kFlushed ? "on" : "off";
  const std::string writer = to_string(options_.writer.id);
  const std::string epoch = std::to_string(session.epoch);
  std::vector<StatementValue> values{StatementValue::text(waits),
                                     StatementValue::text(number),
                                     StatementValue::text(before),
                                     StatementValue::text(writer),
                                     StatementValue::text(epoch),
                                     StatementValue::binary(batch.bytes.bytes()),
                                     StatementValue::binary(batch.hashes.bytes()),
                                     StatementValue::binary(batch.kinds.bytes()),
                                     StatementValue::binary(batch.operations.bytes())};
  const bool sealed = !batch.sealed.empty();
  const bool limited = proxy && (sealed || batch.has_limits);
  const bool steps = sealed || limited || batch.has_steps;
  const bool generations = limited || batch.has_generations;
  if (steps) values.push_back(StatementValue::binary(batch.steps.bytes()));
  if (limited) values.push_back(StatementValue::binary(batch.limited.bytes()));
  if (generations) values.push_back(StatementValue::binary(batch.generations.bytes()));
  if (sealed) values.push_back(StatementValue::text(batch.sealed));
  const char* statement = sealed                 ? kAppendSealed
                          : limited              ? kAppendLimits
                          : steps && generations ? kAppendStepsGenerations
                          : steps                ? kAppendSteps
                          : generations          ? kAppendGenerations
                                                 : kAppend;
  const SocketWatchdog::Guard guard = watch_oldest();
  session.pipeline.send(statement, values);
  session.timed_out = session.timed_out || guard.expired();
}

// No longer than the oldest batch may take.
SocketWatchdog::Guard AppendConnection::watch_oldest() {
  const auto waited = std::chrono::steady_clock::now() - session_->sent.front().begun;
  const auto rest = std::chrono::ceil<std::chrono::milliseconds>(options_.deadline - waited);
  return watchdog_.watch(socket(), std::max(rest, std::chrono::milliseconds(0)));
}

bool AppendConnection::has_answer() {
  return session_->pipeline.has_answer();
}

Result<std::vector<Placed>> AppendConnection::receive() {
  Session& session = *session_;
  const SocketWatchdog::Guard guard = watch_oldest();
  const StatementAnswer answer = session.pipeline.receive();
  session.timed_out = session.timed_out || guard.expired();
  const Session::Sent sent = session.sent.front();
  session.sent.pop_front();
  if (!session.sent.empty()) session.sent.front().begun = std::chrono::steady_clock::now();
  const std::string warning = session.log.warning();
  session.log.forget_warnings();
  const auto in_doubt = [this](std::string_view why) {
    return Error{ErrorCode::kInDoubt, safe_message(why, options_.database)};
  };
  if (!answer.is_complete) {
    return in_doubt(session.timed_out ? "the database did not answer in time" : answer.error);
  }
  // A cancelled wait for a synchronous standby reports success, and a warning.
  if (!warning.empty()) return in_doubt(warning);
  if (!answer.error.empty()) {
    return Error{blames_the_data(answer.state) ? ErrorCode::kInvalid : ErrorCode::kUnavailable,
                 safe_message(answer.error, options_.database)};
  }
  if (answer.row.empty()) {
    return Error{ErrorCode::kRefused, "the batch before it was not appended"};
  }
  session.committed = sent.number;
  try {
    return placements(answer, sent.entries);
  } catch (const std::exception& failure) {
    return in_doubt(failure.what());
  }
}

Result<std::vector<Placed>> AppendConnection::append(std::span<const Entry* const> entries,
                                                     Commit commit) {
  send(entries, commit);
  return receive();
}

int AppendConnection::socket() const {
  return session_->log.connection().sock();
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
