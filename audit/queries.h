// Asking the log: what a question is, how it is read from a URL's query, and the port that answers.
//
//   ParsedQuery parsed = parse_record_query(parameters);
//   if (const auto* bad = std::get_if<BadParameter>(&parsed)) ...  // 400, naming bad->name
//   Result<RecordPage> page = co_await source.search(std::get<RecordQuery>(parsed));
//
// Parsing is pure. An answer is complete up to `complete_to`: it covers every record with a lower
// index, derived into the search table or not.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "audit/retention.h"
#include "audit/sealing.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "base/uuid.h"

namespace holdfast::audit {

constexpr int kRecordsPerPage = 50;
constexpr int kRecordsPerPageMax = 1000;

enum class Order { kAscending, kDescending };  // By index, which is the order of the log.

// Where the next page begins. It also fixes how far the log reached when the first page was read,
// so that paging ends although records arrive meanwhile, those of the reading itself included.
struct Cursor {
  std::int64_t after = 0;        // The last index given out.
  std::int64_t complete_to = 0;  // Of the first page.
  bool operator==(const Cursor&) const = default;
};

// Every member that is set must match. Names (actor, mailbox, rule, q) compare without regard to
// case; the rest exactly.
struct RecordQuery {
  std::optional<WallTime> from;        // Inclusive.
  std::optional<WallTime> to;          // Exclusive.
  std::optional<std::string> actor;    // Object id, app id or name; of an access record, who read.
  std::optional<std::string> mailbox;  // The key in the path, or any name that it resolved to.
  std::optional<std::string> action;
  std::optional<std::string> resource;
  std::optional<std::string> item;
  std::optional<std::string> effect;
  std::optional<std::string> result;
  std::optional<std::string> rule;  // One of the rules that decided.
  std::optional<std::string> kind;
  std::optional<Uuid> operation_id;
  std::optional<std::string> client_request_id;
  std::optional<std::string> graph_request_id;
  std::optional<std::string> ip;  // An address, or a network such as 10.0.0.0/8.
  std::optional<std::string> q;   // A part of the record's text.
  Order order = Order::kDescending;
  int limit = kRecordsPerPage;
  std::optional<Cursor> cursor;
};

struct Parameter {
  std::string name;
  std::string value;
};

struct BadParameter {
  std::string name;
  std::string why;
};

using ParsedQuery = std::variant<RecordQuery, BadParameter>;

// The names that parse_record_query() takes, in the order of the documentation.
const std::vector<std::string_view>& record_query_parameters();

// What one of them does, in a sentence; empty for other names.
std::string_view record_query_help(std::string_view name);

// Refuses by name: unknown and repeated parameters, empty values, values that are not of their
// kind, and a cursor that was made for other filters.
ParsedQuery parse_record_query(const std::vector<Parameter>& parameters);

// The filters as name and value, without limit and cursor: what is asked. Round-trips.
std::vector<Parameter> filters_of(const RecordQuery& query);

// The cursor's text for a URL: opaque, bound to the query's filters and order.
std::string encode_cursor(const Cursor& cursor, const RecordQuery& query);

struct FoundRecord {
  std::int64_t index = 0;
  std::string entry;                       // The bytes of the log.
  bool malformed = false;                  // The entry is no record; do not take it for JSON.
  std::vector<FoundDocument> documents{};  // As the entry's member `sealed` names them.
};

struct RecordPage {
  std::vector<FoundRecord> records;  // At most `limit`, and fewer where they are large.
  std::optional<Cursor> next;        // Set when there are more.
  std::int64_t complete_to = 0;      // Every index below it was considered.
  std::int64_t log_size = 0;
  std::vector<IndexRange> dropped{};  // What retention has dropped, by index.
};

// Records that retention has dropped.
struct DroppedRange {
  IndexRange range;
  std::int64_t record = 0;  // The index of the record that says so.
  std::string at;           // RFC 3339
};

// How the log and its search table stand.
struct LogState {
  std::int64_t log_size = 0;
  std::int64_t derived = 0;     // The search table holds every index below it.
  std::int64_t partitions = 0;  // The log can take every index below it.
  std::int64_t indexed = 0;     // Search looks through what is derived and not below it.
  // Operations whose outcome is unknown and not reconciled, as far as search is derived, and since
  // when the oldest of them is.
  std::int64_t unsettled = 0;
  std::optional<WallTime> unsettled_since{};
  std::vector<DroppedRange> dropped{};  // By index.
  // Since when the oldest intent has had no terminal record, by its writer's clock.
  std::optional<WallTime> open_since{};
};

// The range that the index is in; null: none.
const DroppedRange* dropped_range_of(const LogState& state, std::uint64_t index);

// Who answers. Safe from any thread; a coroutine resumes on the executor it awaited on. Errors:
// kUnavailable (the database is away), kTimeout (the question takes too long: narrow it), kLimit
// (too many questions at once).
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  virtual Task<Result<RecordPage>> search(RecordQuery query) = 0;
  // kNotFound besides.
  virtual Task<Result<FoundRecord>> get(std::variant<std::int64_t, Uuid> which) = 0;
  virtual Task<Result<LogState>> state() = 0;
};

}  // namespace holdfast::audit
