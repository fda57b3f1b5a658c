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

struct SqlQuestion {
  std::string text;
  std::vector<std::string> values;  // Of $1, $2, …
};

// Answers one row a record, in order: size, complete_to, more (whether records follow), index,
// malformed, entry. Without any record it is one row whose last three columns are null.
SqlQuestion search_question(const RecordQuery& query);

// Answers one row, index, malformed, entry, for the record of that index or id; or none.
SqlQuestion index_question(std::int64_t index);
SqlQuestion id_question(const Uuid& id);

// Answers one row: size, derived, the first index that no partition takes.
SqlQuestion state_question();

}  // namespace holdfast::audit
