// The part of verifying that can be done for one tile of entries by itself, on any thread: reading
// it, its leaf hashes, whether they are those of the tile, and what the entries say.
#pragma once

#include <vector>

#include "audit/entry_facts.h"
#include "audit/log_source.h"
#include "audit/retention.h"
#include "audit/verify.h"

namespace holdfast::audit {

struct TileSpan {
  std::uint64_t index = 0;    // Of the tile, at level 0.
  std::uint64_t entries = 0;  // How many entries of it the log holds, 1 to 256.
  std::uint64_t in_tree = 0;  // How many of those the tree has whose tiles are read.
};

// Records that the source does not hold although the tree has their hashes: a fault, unless a
// record of retention says later that they are gone.
struct AbsentRecords {
  IndexRange range;
  std::string what;   // The fault.
  bool each = false;  // One for each record; else one at the first.
};

struct CheckedTile {
  TileSpan span;
  // What the tree is built from: the hashes of the source's tile, each of which is its entry's or a
  // fault; beyond the tree, or where there is no such tile, the hashes of the entries themselves.
  std::vector<Sha256> leaves;
  Sha256 root{};                                 // Where the tile is full.
  std::uint64_t found = 0;                       // Behind the last that has a hash or an entry.
  std::vector<std::optional<EntryFacts>> facts;  // Of each entry; nullopt: it cannot be read.
  std::vector<AbsentRecords> absent;
  Faults faults;
};

// An error: the source cannot be read at all.
Result<CheckedTile> check_tile(LogSource& source, const TileSpan& span);

}  // namespace holdfast::audit
