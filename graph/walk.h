// Walks the segments of one reading of a path along Graph's navigation and says what it ends in.
//
// Knows nothing of methods, queries or bodies: classify.cc adds those. Pure, linear.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/operation.h"
#include "graph/vocabulary.h"

namespace holdfast::graph {

enum class Ending {
  kOrdinary,
  kAction,      // POSTed, permanentDelete or recall: operation.action says which.
  kBatch,       // POSTed, a batch envelope.
  kRemediate,   // POSTed, what the body says decides.
  kPurgeData,   // Likewise.
  kSuspicious,  // POSTed, one of these under some other plausible reading; reason says which.
};

struct Walk {
  Ending ending = Ending::kOrdinary;
  std::string_view reason;        // Of a suspicious ending: a constant.
  Operation operation;            // As far as the path tells. Empty resource: not derivable.
  bool exchange_mailbox = false;  // Within /admin/exchange/mailboxes/{id}: DELETE may be hard.
  // Segments [first, last) are file names between colons, where any character is ordinary.
  std::size_t file_path_first = 0;
  std::size_t file_path_last = 0;
};

// `segments` as effective_segments() yields them.
Walk walk(const std::vector<std::string>& segments);

}  // namespace holdfast::graph
