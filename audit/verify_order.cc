#include "audit/verify_order.h"

#include <algorithm>
#include <span>

namespace holdfast::audit {
namespace {

std::uint64_t power_of_width(int exponent) {
  return std::uint64_t{1} << (kTileHeight * exponent);
}

std::string records(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " record" : " records");
}

}  // namespace

OrderedCheck::OrderedCheck(VerifyPlan& plan, LogSource& source)
    : entries_(plan.entries),
      tree_size_(plan.tree_size),
      source_(source),
      roots_(std::move(plan.roots)),
      open_operations_(plan.open_operations),
      retention_(plan.retention) {
  report_.log_size = entries_;
  report_.tree_size = tree_size_;
  report_.roots = roots_.size();
  std::ranges::sort(roots_, {}, [](const SignedRoot& root) { return root.head.size; });
  while (next_root_ < roots_.size() && roots_[next_root_].head.size == 0) {
    check_root(roots_[next_root_++], sha256(""));
  }
  if (tree_size_ == 0) report_.root = sha256("");
}

Status OrderedCheck::add(CheckedTile tile) {
  report_.faults.add(std::move(tile.faults));
  check_roots(tile);
  check_grammar(tile);
  if (Status checked = check_named(); !checked.ok()) return checked;
  note_absent(std::move(tile.absent));
  const std::uint64_t before = tile.span.index * kTileWidth;
  const bool tree_ends_here = tree_size_ > before && tree_size_ < before + kTileWidth;
  if (tree_ends_here) {
    if (Status checked = check_upper_edges(); !checked.ok()) return checked;
  }
  if (tile.span.entries < kTileWidth) return {};
  upper_.append(tile.root);
  if (Status checked = check_upper_tiles(); !checked.ok()) return checked;
  if (tree_size_ == before + kTileWidth) return check_upper_edges();
  return {};
}

void OrderedCheck::end_at(std::uint64_t end) {
  report_.faults.add(end, "from here on there are neither records nor hashes: of the " +
                              records(entries_) +
                              " that the log is said to hold, no more was read");
  entries_ = end;
}

// The tiles that became full with the last tile below.
Status OrderedCheck::check_upper_tiles() {
  for (const Tile& tile : upper_.take_tiles()) {
    const TileId id{.level = tile.level + 1, .index = tile.index};
    if ((id.index + 1) * power_of_width(id.level + 1) > tree_size_) continue;
    if (Status checked = check_upper(id, split_hashes(tile.hashes)); !checked.ok()) return checked;
  }
  return {};
}

// What the last tile of each level holds where it is not full, when all of the tree is here.
Status OrderedCheck::check_upper_edges() {
  for (int level = 1; level < kTileLevels; ++level) {
    const std::uint64_t hashes = hashes_at(level, tree_size_);
    if (hashes % kTileWidth == 0) continue;
    const TileId id{.level = level, .index = hashes / kTileWidth, .width = hashes % kTileWidth};
    if (Status checked = check_upper(id, upper_.edge(level - 1)); !checked.ok()) return checked;
  }
  return {};
}

Status OrderedCheck::check_upper(const TileId& id, std::span<const Sha256> expected) {
  const std::uint64_t span = power_of_width(id.level);  // Of records, for one hash.
  const std::uint64_t first = id.index * kTileWidth * span;
  const std::uint64_t last = first + id.width * span - 1;
  const std::string name = "the tile " + std::to_string(id.level) + "/" + tile_index_path(id.index);
  const Result<std::string> tile = source_.tile(id);
  if (!tile.ok()) {
    if (!is_finding(tile.error())) return tile.error();
    report_.faults.add_range(first, last, name + ": " + tile.error().message);
    return {};
  }
  const std::vector<Sha256> found = split_hashes(*tile);
  if (found.size() != expected.size() || tile->size() != expected.size() * sizeof(Sha256)) {
    report_.faults.add_range(first, last,
                             name + " has " + std::to_string(tile->size()) + " bytes, not " +
                                 std::to_string(expected.size() * sizeof(Sha256)));
    return {};
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] == expected[i]) continue;
    const std::uint64_t at = first + i * span;
    report_.faults.add_range(at, at + span - 1,
                             name + " holds another hash than the records lead to");
    return {};
  }
  return {};
}

// Those over trees that end in this tile.
void OrderedCheck::check_roots(const CheckedTile& tile) {
  const std::uint64_t before = tile.span.index * kTileWidth;
  std::optional<std::vector<Sha256>> peaks;  // Hashed when first needed.
  const auto root_at = [&](std::uint64_t size) {
    if (!peaks) peaks = upper_.peaks();
    const auto leaves = std::span(tile.leaves).first(size - before);
    const Sha256 rest = leaves.size() == kTileWidth ? tile.root : tree_hash(leaves);
    return join_peaks(*peaks, rest);
  };
  while (next_root_ < roots_.size() && roots_[next_root_].head.size <= before + tile.span.entries) {
    const std::uint64_t size = roots_[next_root_].head.size;
    const Sha256 computed = root_at(size);
    while (next_root_ < roots_.size() && roots_[next_root_].head.size == size) {
      check_root(roots_[next_root_++], computed);
    }
  }
  const bool has_end = tree_size_ > before && tree_size_ <= before + tile.span.entries;
  if (has_end) report_.root = root_at(tree_size_);
}

void OrderedCheck::check_root(const SignedRoot& signed_root, const Sha256& computed) {
  const std::uint64_t size = signed_root.head.size;
  if (signed_root.head.root == computed) {
    ++report_.roots_agreed;
    agreed_size_ = size;
    return;
  }
  // What is wrong once is wrong in every later root, so only the first one says where.
  if (disagreeing_++ > 0) {
    last_disagreeing_ = signed_root.name();
    return;
  }
  report_.faults.add_range(agreed_size_, std::max<std::uint64_t>(size, 1) - 1,
                           "one of these records is not as it was when " + signed_root.name() +
                               " was signed over the first " + std::to_string(size));
}

void OrderedCheck::check_grammar(const CheckedTile& tile) {
  std::uint64_t index = tile.span.index * kTileWidth;
  for (const std::optional<EntryFacts>& facts : tile.facts) {
    if (facts) {
      ++report_.entries;
      if (index < tree_size_) {
        report_.newest = std::max(report_.newest.value_or(facts->time), facts->time);
      }
      std::string wrong = grammar_.add(index, *facts);
      if (!wrong.empty()) report_.faults.add(index, std::move(wrong));
      check_retention(index, *facts);
    } else {
      grammar_.add_unreadable(index);
      retention_.add_unreadable(index);
      note_unread(index);
    }
    ++index;
  }
}

void OrderedCheck::note_unread(std::uint64_t index) {
  if (!unread_.empty() && unread_.back().until == index) {
    ++unread_.back().until;
  } else {
    unread_.push_back({.first = index, .until = index + 1});
  }
}

void OrderedCheck::check_retention(std::uint64_t index, const EntryFacts& facts) {
  RetentionCheck::Finding finding = retention_.add(index, facts);
  for (std::string& wrong : finding.wrong) report_.faults.add(index, std::move(wrong));
  for (const IndexRange& gone : finding.gone) {
    dropped_.push_back(gone);
    dropped_by_.push_back(index);
  }
  if (finding.checkpoint) named_.emplace_back(index, *finding.checkpoint);
}

// What a record takes for the root over the first so many records must be that.
Status OrderedCheck::check_named() {
  for (const auto& [index, head] : std::exchange(named_, {})) {
    const std::string which =
        "the checkpoint that it names, over " + std::to_string(head.size) + " records, ";
    if (head.size > tree_size_) {
      report_.faults.add(index, which + "is over more than any that was signed");
      continue;
    }
    TiledTree tree(head.size, [this](const TileId& id) { return read_prefix(id); });
    const Result<Sha256> root = tree.root();
    // A tile that is not there is a fault of its own.
    if (!root.ok() && !is_finding(root.error())) return root.error();
    if (root.ok() && *root != head.root) {
      report_.faults.add(index, which + "is another than they lead to");
    }
  }
  return {};
}

// Of a tile as the tree has it now: a copy need not have what it was when it had fewer hashes.
Result<std::string> OrderedCheck::read_prefix(const TileId& id) {
  TileId whole = id;
  whole.width = std::min(kTileWidth, hashes_at(id.level, tree_size_) - id.index * kTileWidth);
  Result<std::string> hashes = source_.tile(whole);
  if (hashes.ok()) hashes->resize(std::min(hashes->size(), id.width * sizeof(Sha256)));
  return hashes;
}

void OrderedCheck::note_absent(std::vector<AbsentRecords> absent) {
  for (AbsentRecords& records : absent) {
    AbsentRecords* last = absent_.empty() ? nullptr : &absent_.back();
    if (last != nullptr && last->each && records.each && last->range.until == records.range.first) {
      last->range.until = records.range.until;
    } else {
      absent_.push_back(std::move(records));
    }
  }
}

// What is gone without a record that says so was taken away.
void OrderedCheck::check_absent() {
  for (const AbsentRecords& absent : absent_) {
    std::uint64_t unexplained = 0;
    for (const IndexRange& range : outside_of(absent.range, dropped_)) {
      report_.unexplained.push_back(range);
      unexplained += range.until - range.first;
      const std::uint64_t end = absent.each ? range.until : range.first + 1;
      for (std::uint64_t index = range.first; index < end; ++index) {
        report_.faults.add(index, absent.what);
      }
    }
    report_.dropped += absent.range.until - absent.range.first - unexplained;
  }
}

// Retention drops no intent without its outcome and no record of an approval that can still be
// used, so that what was gone by a record's time was not what it lacks.
bool OrderedCheck::is_excused(const LogGrammar::Doubt& doubt) const {
  std::vector<IndexRange> gone;
  for (std::size_t i = 0; i < dropped_.size(); ++i) {
    if (dropped_by_[i] < doubt.index) gone.push_back(dropped_[i]);
  }
  for (auto range = unread_.rbegin(); range != unread_.rend() && range->until > doubt.since;
       ++range) {
    const IndexRange part{.first = std::max(range->first, doubt.since),
                          .until = std::min(range->until, doubt.index)};
    if (part.first < part.until && !outside_of(part, gone).empty()) return true;
  }
  return false;
}

void OrderedCheck::check_doubts() {
  for (const LogGrammar::Doubt& doubt : grammar_.doubts()) {
    if (!is_excused(doubt)) report_.faults.add(doubt.index, doubt.what);
  }
}

// An outcome that is missing may be a record that was dropped, or cannot be read.
void OrderedCheck::check_open() {
  if (!open_operations_) return;
  const auto by_index = [](const LogGrammar::Open& open) {
    return std::pair(open.intent_index, open.operation_id);
  };
  std::vector<LogGrammar::Open> told = *open_operations_;
  std::ranges::sort(told, {}, by_index);
  const auto add = [&](std::span<const LogGrammar::Open> these,
                       std::span<const LogGrammar::Open> others, const char* what, auto excused) {
    for (const LogGrammar::Open& open : these) {
      if (std::ranges::binary_search(others, by_index(open), {}, by_index) || excused(open))
        continue;
      report_.faults.add(open.intent_index, "the operation " + to_string(open.operation_id) + what);
    }
  };
  const std::uint64_t unread_until = unread_.empty() ? 0 : unread_.back().until;
  add(report_.open, told, " has no outcome, but the database does not have it open",
      [&](const LogGrammar::Open& open) { return open.intent_index < unread_until; });
  add(told, report_.open, " is open in the database, but not in the log",
      [](const LogGrammar::Open&) { return false; });
}

LogReport OrderedCheck::finish() && {
  check_absent();
  check_doubts();
  if (disagreeing_ > 1) {
    report_.faults.add_general(std::to_string(disagreeing_ - 1) +
                               " more checkpoints do not agree either, the last is " +
                               last_disagreeing_);
  }
  if (next_root_ < roots_.size()) {
    const SignedRoot& root = roots_.back();
    report_.faults.add(entries_, "the log ends here, with " + records(entries_) + ", but " +
                                     root.name() + " was signed over " + records(root.head.size));
  }
  report_.intents = grammar_.count(Kind::kIntent);
  report_.outcomes = grammar_.count(Kind::kOutcome);
  report_.open = grammar_.open();
  check_open();
  return std::move(report_);
}

}  // namespace holdfast::audit
