// The SQL that answers a RecordQuery: text with numbered parameters and their values, nothing else.
// Values never become part of the text. Pure.
#pragma once

#include <string>
#include <vector>

#include "audit/queries.h"

namespace holdfast::audit {

// How many records that are not derived yet one answer takes in.
constexpr int kTailMax = 10'000;

// A page ends early once its entries exceed this; it always holds one record at least.
constexpr std::size_t kPageBytesMax = 8 * 1024 * 1024;

// The entry of a row of the log, under that name, with the personal values that are sealed beside
// it, as far as they are there. The bytes are the log's only where nothing is.
std::string opened_entry_sql(const std::string& row);

// Its sealed documents, as found_documents() reads them; null: there are none.
std::string documents_sql(const std::string& row);

struct SqlQuestion {
  std::string text;
  std::vector<std::string> values;  // Of $1, $2, …
};

// Answers one row a record, in order: size, complete_to, more (whether records follow), index,
// malformed, entry, documents (of sealed values, as JSON). Without any record it is one row whose
// last four columns are null.
SqlQuestion search_question(const RecordQuery& query);

// Answers one row, index, malformed, entry, documents, for the record of that index or id; or none.
SqlQuestion index_question(std::int64_t index);
SqlQuestion id_question(const Uuid& id);

// Answers one row, which state() of audit/queries.h tells of: size, derived, the first index that
// no partition takes, how far search is indexed, unsettled operations and since when, dropped
// ranges as JSON, since when an operation is open.
SqlQuestion state_question();

}  // namespace holdfast::audit
