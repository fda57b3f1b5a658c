#include "audit/queries_sql.h"

namespace holdfast::audit {
namespace {

// Found out once for a statement: where nothing is sealed, no row is looked at for it.
constexpr const char* kAnySealed =
    "CASE WHEN (SELECT EXISTS (SELECT FROM holdfast.sealed_documents))";

// What search has of records that are there. A row that somebody made up elsewhere would be one of
// those that a page takes, and then be missing in the log, so that the page ended early. One filter
// for all that is not there: a second bound on the index would be estimated to leave next to
// nothing.
constexpr const char* kOfTheLog =
    "index < (SELECT least(derived, complete_to) FROM state) AND NOT index <@ ("
    "SELECT coalesce(range_agg(int8range(d.first, d.until)), '{}') + '{(,0)}'::int8multirange"
    " FROM holdfast.dropped_ranges d)";

class QuestionWriter {
 public:
  // A new parameter's placeholder.
  std::string value(std::string text) {
    values_.push_back(std::move(text));
    return "$" + std::to_string(values_.size());
  }
  std::vector<std::string> take_values() { return std::move(values_); }

 private:
  std::vector<std::string> values_;
};

// A LIKE pattern for "contains".
std::string contains_pattern(const std::string& part) {
  std::string pattern = "%";
  for (const char c : part) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + "%";
}

// The filters as SQL over the columns of record_search, each beginning with AND.
std::string conditions(const RecordQuery& query, QuestionWriter& writer) {
  std::string sql;
  const auto equals = [&](const char* column, const std::optional<std::string>& wanted) {
    if (wanted) sql += std::string(" AND ") + column + " = " + writer.value(*wanted);
  };
  const auto among = [&](const char* column, const std::optional<std::string>& wanted) {
    if (!wanted) return;
    sql += std::string(" AND ") + column + " @> ARRAY[holdfast.search_name(" +
           writer.value(*wanted) + ")]";
  };
  if (query.from) sql += " AND time >= " + writer.value(to_rfc3339(*query.from)) + "::timestamptz";
  if (query.to) sql += " AND time < " + writer.value(to_rfc3339(*query.to)) + "::timestamptz";
  among("actors", query.actor);
  among("mailboxes", query.mailbox);
  among("rules", query.rule);
  equals("action", query.action);
  equals("resource", query.resource);
  equals("item", query.item);
  equals("effect", query.effect);
  equals("result", query.result);
  equals("kind", query.kind);
  equals("client_request_id", query.client_request_id);
  equals("graph_request_id", query.graph_request_id);
  if (query.operation_id) {
    sql += " AND operation_id = " + writer.value(to_string(*query.operation_id)) + "::uuid";
  }
  if (query.ip) sql += " AND ip <<= " + writer.value(*query.ip) + "::inet";
  if (query.q) sql += " AND words LIKE lower(" + writer.value(contains_pattern(*query.q)) + ")";
  return sql;
}

// How far search goes at this moment. A statement has one snapshot, so that what it sees of the log
// and of the search table fit together.
std::string state_sql(const std::string& pinned) {
  return "WITH state AS (SELECT s.derived, h.next_index, least(h.next_index, s.derived + " +
         std::to_string(kTailMax) + pinned +
         ") AS complete_to FROM holdfast.search_state s, holdfast.log_head h)";
}

// The columns of record_search for what is not derived yet.
std::string tail_sql(const std::string& keyset) {
  return "(SELECT (x.r).* FROM (SELECT holdfast.search_row(l.index, " + opened_entry_sql("l") +
         ") AS r"
         " FROM holdfast.log l, state WHERE l.index >= state.derived"
         " AND l.index < state.complete_to" +
         keyset + " OFFSET 0) x)";
}

}  // namespace

std::string opened_entry_sql(const std::string& row) {
  return std::string(kAnySealed) + " THEN holdfast.opened_entry(" + row + ".index, " + row +
         ".entry) ELSE " + row + ".entry END";
}

std::string documents_sql(const std::string& row) {
  return std::string(kAnySealed) + " THEN holdfast.open_documents(" + row +
         ".index)::text END AS documents";
}

SqlQuestion search_question(const RecordQuery& query) {
  QuestionWriter writer;
  const bool ascending = query.order == Order::kAscending;
  std::string pinned;
  std::string keyset;
  if (query.cursor) {
    pinned = ", " + writer.value(std::to_string(query.cursor->complete_to)) + "::bigint";
    keyset = std::string(" AND index ") + (ascending ? "> " : "< ") +
             writer.value(std::to_string(query.cursor->after)) + "::bigint";
  }
  const std::string filters = conditions(query, writer);
  const std::string limit = writer.value(std::to_string(query.limit)) + "::bigint";
  const std::string order = std::string(" ORDER BY index ") + (ascending ? "ASC" : "DESC");
  // One more than wanted, to know whether there is more.
  const std::string ordered = order + " LIMIT " + limit + " + 1";
  const std::string sql =
      state_sql(pinned) +
      ", found AS ((SELECT index, malformed FROM holdfast.record_search WHERE " +
      std::string(kOfTheLog) + keyset + filters + ordered +
      ") UNION ALL (SELECT index, malformed FROM " + tail_sql(keyset) + " tail WHERE true" +
      filters + ordered +
      ")), page AS (SELECT f.index, f.malformed, l.entry, row_number() OVER up_to AS place,"
      " sum(octet_length(l.entry)) OVER up_to - octet_length(l.entry) AS bytes_before"
      " FROM (SELECT index, malformed FROM found" +
      ordered + ") f JOIN holdfast.log l ON l.index = f.index WINDOW up_to AS (ORDER BY f.index " +
      (ascending ? "ASC" : "DESC") + ")), cut AS (SELECT * FROM page WHERE place <= " + limit +
      " AND bytes_before < " + std::to_string(kPageBytesMax) +
      ") SELECT state.next_index, state.complete_to, (SELECT coalesce(json_agg(json_build_array("
      "d.first, d.until) ORDER BY d.first), '[]')::text FROM holdfast.dropped_ranges d) AS dropped,"
      " (SELECT count(*) FROM page) > (SELECT count(*) FROM cut) AS more,"
      " cut.index, cut.malformed, cut.entry, " +
      documents_sql("cut") + " FROM state LEFT JOIN cut ON true" + order;
  return {.text = sql, .values = writer.take_values()};
}

SqlQuestion index_question(std::int64_t index) {
  return {.text = "SELECT l.index, (holdfast.search_row(l.index, l.entry)).malformed, l.entry, " +
                  documents_sql("l") + " FROM holdfast.log l WHERE l.index = $1::bigint",
          .values = {std::to_string(index)}};
}

SqlQuestion id_question(const Uuid& id) {
  return {.text = state_sql("") +
                  ", found AS (SELECT index, malformed FROM holdfast.record_search"
                  " WHERE id = $1::uuid UNION ALL SELECT index, malformed FROM " +
                  tail_sql("") +
                  " tail WHERE id = $1::uuid)"
                  " SELECT l.index, found.malformed, l.entry, " +
                  documents_sql("l") +
                  " FROM found"
                  " JOIN holdfast.log l ON l.index = found.index ORDER BY l.index LIMIT 1",
          .values = {to_string(id)}};
}

SqlQuestion state_question() {
  return {.text =
              "SELECT h.next_index, s.derived, h.partitions_end, i.indexed, u.count, u.oldest,"
              " (SELECT coalesce(json_agg(json_build_array(d.first, d.until, d.record_index,"
              " holdfast.record_time(d.dropped_at)) ORDER BY d.first), '[]')"
              " FROM holdfast.dropped_ranges d),"
              " (extract(epoch FROM holdfast.oldest_open_operation()) * 1000000)::bigint"
              " FROM holdfast.search_state s, holdfast.search_index_state i, holdfast.log_head h,"
              " (SELECT count(*), (extract(epoch FROM min(since)) * 1000000)::bigint AS oldest"
              " FROM holdfast.unsettled) u",
          .values = {}};
}

}  // namespace holdfast::audit
