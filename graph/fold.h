// What text could become in the hands of a server that is laxer than OData: decoded again and
// again, overlong and full-width characters taken for the ASCII they look like, invisible ones
// dropped.
//
// Used only to find what somebody may have hidden; nothing is ever forwarded or recorded in this
// form. Pure functions; the work is bounded by a fixed number of rounds over the text.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::graph {

// Lower case. NUL stays, since it may cut a name short elsewhere. Backslashes become '/'.
std::string fold(std::string_view text);

// Whether folding could change more than letter case.
bool needs_folding(std::string_view text);

// Whether a segment is `word` (lower case) but for something a lax server could drop: a qualifier,
// arguments, parameters after ';', white space, dots, quotes. Also true for the plain word.
bool resembles(std::string_view segment, std::string_view word);

// Likewise for "$batch".
bool resembles_batch(std::string_view segment);

}  // namespace holdfast::graph
