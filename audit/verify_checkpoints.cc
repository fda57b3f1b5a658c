#include "audit/verify_checkpoints.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

namespace holdfast::audit {

CheckedNotes check_notes(std::span<const FoundNote> notes, std::span<const VerifierKey> keys,
                         unsigned threads) {
  std::vector<std::optional<Result<Checkpoint>>> opened(notes.size());
  const std::size_t share = notes.size() / std::max(threads, 1U) + 1;
  std::vector<std::thread> workers;
  for (std::size_t begin = 0; begin < notes.size(); begin += share) {
    workers.emplace_back([&, begin] {
      const std::size_t end = std::min(begin + share, notes.size());
      for (std::size_t i = begin; i < end; ++i) {
        opened[i] =
            keys.empty() ? read_checkpoint(notes[i].note) : open_checkpoint(notes[i].note, keys);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();

  CheckedNotes checked;
  for (std::size_t i = 0; i < notes.size(); ++i) {
    const Result<Checkpoint>& checkpoint = *opened[i];
    const FoundNote& note = notes[i];
    if (checkpoint.ok()) {
      checked.roots.push_back(
          {.head = checkpoint->head, .from = note.from, .ordinal = note.ordinal});
    } else {
      checked.faults.add_general(checkpoint_name(note.from, note.ordinal) + ": " +
                                 checkpoint.error().message);
    }
  }
  return checked;
}

Faults check_signed(std::uint64_t records, std::span<const SignedRoot> roots) {
  Faults faults;
  const auto is_over_records = [](const SignedRoot& root) { return root.head.size > 0; };
  if (records == 0 || std::ranges::any_of(roots, is_over_records)) return faults;
  faults.add_general(
      "no checkpoint of the log is left; its " + std::to_string(records) +
      " records are signed by nothing: find out who took the checkpoints away, and give one that "
      "was kept with --checkpoint; if the log is new, run holdfast audit until it has signed");
  return faults;
}

std::vector<SignedRoot> roots_lacking(std::span<const SignedRoot> kept,
                                      std::span<const SignedRoot> stored) {
  std::vector<SignedRoot> lacking;
  if (kept.empty()) return lacking;
  using Tree = std::pair<std::uint64_t, Sha256>;
  std::vector<Tree> trees;
  trees.reserve(stored.size());
  for (const SignedRoot& root : stored) trees.emplace_back(root.head.size, root.head.root);
  std::ranges::sort(trees);
  std::ranges::copy_if(kept, std::back_inserter(lacking), [&](const SignedRoot& root) {
    return !std::ranges::binary_search(trees, Tree{root.head.size, root.head.root});
  });
  return lacking;
}

}  // namespace holdfast::audit
