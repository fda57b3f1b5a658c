#include "audit/verify_checkpoints.h"

#include <algorithm>
#include <optional>
#include <thread>

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

}  // namespace holdfast::audit
