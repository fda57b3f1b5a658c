// Looks again at what the tree was built from: whether the database still holds the entries that
// tiles stand for, and full tiles that fit together.
#pragma once

#include <pqxx/pqxx>
#include <span>

#include "audit/tree.h"
#include "base/result.h"

namespace holdfast::audit {

// Checks the tiles [begin, end) of level 0 against the bytes of their entries, and every tile above
// that ends with one of them against those below it. Where retention has dropped whole partitions
// of so many records, as the newest record of that in the log says, only hashes are looked at.
// kRefused: what is not as it was.
Status scrub_tiles(pqxx::transaction_base& transaction, std::uint64_t begin, std::uint64_t end,
                   std::uint64_t partition_records);

// Checks the bytes of the entries from the tile `index` of level 0 on, which is not full, against
// the leaves that the tree was built from. kRefused as above.
Status scrub_open_tile(pqxx::transaction_base& transaction, std::uint64_t index,
                       std::span<const Sha256> leaves);

}  // namespace holdfast::audit
