// Looks again at what the tree was built from: whether the database still holds the entries that
// tiles stand for, and full tiles that fit together.
#pragma once

#include <pqxx/pqxx>
#include <span>

#include "audit/tree.h"
#include "base/result.h"

namespace holdfast::audit {

// Checks the tiles [begin, end) of level 0 against the bytes of their entries, and every tile above
// that ends with one of them against those below it. Entries before the oldest one that the log
// holds count as dropped, and only their hashes are looked at. kRefused: what is not as it was.
Status scrub_tiles(pqxx::transaction_base& transaction, std::uint64_t begin, std::uint64_t end);

// Checks the bytes of the entries from the tile `index` of level 0 on, which is not full, against
// the leaves that the tree was built from. kRefused as above.
Status scrub_open_tile(pqxx::transaction_base& transaction, std::uint64_t index,
                       std::span<const Sha256> leaves);

}  // namespace holdfast::audit
