#include "audit/verify_tile.h"

#include <algorithm>

namespace holdfast::audit {
namespace {

std::string tile_name(std::uint64_t index) {
  return "0/" + tile_index_path(index);
}

// The source's hashes of the tile; empty where it has none such, which is a fault.
Result<std::vector<Sha256>> read_hashes(LogSource& source, const TileSpan& span, Faults& faults) {
  if (span.in_tree == 0) return std::vector<Sha256>();
  const std::uint64_t first = span.index * kTileWidth;
  Result<std::string> tile = source.tile({.level = 0, .index = span.index, .width = span.in_tree});
  if (!tile.ok()) {
    if (!is_finding(tile.error())) return tile.error();
    faults.add_range(first, first + span.in_tree - 1,
                     "the tile " + tile_name(span.index) + ": " + tile.error().message);
    return std::vector<Sha256>();
  }
  if (tile->size() != span.in_tree * sizeof(Sha256)) {
    faults.add_range(first, first + span.in_tree - 1,
                     "the tile " + tile_name(span.index) + " has " + std::to_string(tile->size()) +
                         " bytes, not " + std::to_string(span.in_tree * sizeof(Sha256)));
    return std::vector<Sha256>();
  }
  return split_hashes(*tile);
}

// nullopt: the source has none of them; `why` says it.
Result<std::optional<EntryBatch>> read_entries(LogSource& source, const TileSpan& span,
                                               std::string& why) {
  Result<EntryBatch> batch = source.entries({.index = span.index, .width = span.entries});
  if (batch.ok() && batch->size() == span.entries) return std::optional(*std::move(batch));
  if (!batch.ok() && !is_finding(batch.error())) return batch.error();
  why = "the entries from here on: " +
        (batch.ok() ? std::string("others than were asked for") : batch.error().message);
  return std::optional<EntryBatch>();
}

void check_columns(std::uint64_t index, const Sha256& leaf, const EntryFacts& facts,
                   const EntryColumns& columns, Faults& faults) {
  if (columns.leaf_hash != leaf) {
    faults.add(index, "the entry is not the one that its leaf_hash was computed of");
  }
  if (columns.kind != to_string(facts.kind) || columns.role != to_string(facts.role)) {
    faults.add(index, "kind and role beside the entry, " + columns.kind + " and " + columns.role +
                          ", are not those in it");
  }
  if (!columns.search_agrees) {
    faults.add(index, "the search table does not say what the entry says");
  }
  if (!columns.documents_fault.empty()) faults.add(index, columns.documents_fault);
  if (!columns.step_taken) {
    faults.add(index, "the approval or review " + to_string(facts.step_of) +
                          " lacks the step that this record takes");
  }
}

// One entry, whose hash in the source's tile is known where the tile is. What was changed says
// nothing that later records could be held to.
std::optional<EntryFacts> check_entry(std::uint64_t index, std::string_view entry,
                                      const std::optional<EntryColumns>& columns, std::size_t place,
                                      CheckedTile& tile) {
  const Sha256 leaf = leaf_hash(entry);
  if (place >= tile.leaves.size()) tile.leaves.push_back(leaf);
  if (tile.leaves[place] != leaf) {
    tile.faults.add(index, "the entry is not the one that the tree holds");
    return std::nullopt;
  }
  const Result<EntryFacts> facts = read_facts(entry);
  if (!facts.ok()) {
    tile.faults.add(index, "the entry " + facts.error().message);
    return std::nullopt;
  }
  if (columns) check_columns(index, leaf, *facts, *columns, tile.faults);
  return *facts;
}

// None of the tile's entries could be read.
void add_unread(std::string why, CheckedTile& tile) {
  const std::uint64_t first = tile.span.index * kTileWidth;
  if (tile.leaves.size() < tile.span.entries) {
    tile.faults.add(first, std::move(why));
    return;
  }
  tile.absent.push_back(
      {.range = {.first = first, .until = first + tile.span.entries}, .what = std::move(why)});
}

// One entry is not there.
void add_missing(std::uint64_t index, bool has_hash, CheckedTile& tile) {
  const char* what = "the log does not hold this record";
  if (!has_hash) {
    tile.faults.add(index, what);
  } else if (!tile.absent.empty() && tile.absent.back().range.until == index) {
    ++tile.absent.back().range.until;
  } else {
    tile.absent.push_back(
        {.range = {.first = index, .until = index + 1}, .what = what, .each = true});
  }
}

}  // namespace

Result<CheckedTile> check_tile(LogSource& source, const TileSpan& span) {
  CheckedTile tile{.span = span, .leaves = {}, .facts = {}, .absent = {}, .faults = {}};
  Result<std::vector<Sha256>> hashes = read_hashes(source, span, tile.faults);
  if (!hashes.ok()) return hashes.error();
  tile.leaves = *std::move(hashes);
  const std::size_t hashes_known = tile.leaves.size();
  tile.found = hashes_known;
  std::string why;
  const Result<std::optional<EntryBatch>> batch = read_entries(source, span, why);
  if (!batch.ok()) return batch.error();
  if (!*batch) add_unread(std::move(why), tile);
  tile.facts.reserve(span.entries);
  for (std::size_t place = 0; place < span.entries; ++place) {
    const std::uint64_t index = span.index * kTileWidth + place;
    const auto entry = *batch ? (*batch)->entry(place) : std::nullopt;
    if (entry) {
      tile.found = std::max<std::uint64_t>(tile.found, place + 1);
      tile.facts.push_back(check_entry(index, *entry, (*batch)->columns(place), place, tile));
      continue;
    }
    if (*batch) {
      add_missing(index, place < hashes_known, tile);
      const auto& columns = (*batch)->columns(place);
      if (columns && !columns->search_agrees) {
        tile.faults.add(index,
                        "the search table has a row for a record that the log does not hold");
      }
    }
    tile.facts.emplace_back();
    if (place >= tile.leaves.size()) tile.leaves.push_back(Sha256{});
  }
  if (tile.leaves.size() == kTileWidth) tile.root = tree_hash(tile.leaves);
  return tile;
}

}  // namespace holdfast::audit
