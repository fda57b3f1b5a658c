// The newest checkpoint that this process has seen, on its own disk: what the database is held
// against, because a database that was rolled back or rewritten takes its own checkpoints with it.
//
// One file, replaced as a whole and synced before save() returns; a crash leaves the old one or the
// new one. `<path>.lock` is flocked while the process lives. For one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "audit/checkpoint.h"
#include "base/result.h"

namespace holdfast::audit {

class CheckpointFile {
 public:
  // The directory must exist, the file need not. kRefused: another process has it. kInvalid: it
  // cannot be used, or what it holds is no checkpoint: look before you remove it.
  static Result<std::unique_ptr<CheckpointFile>> open(const std::string& path);
  ~CheckpointFile();
  CheckpointFile(const CheckpointFile&) = delete;
  CheckpointFile& operator=(const CheckpointFile&) = delete;

  // What was found at open() or saved since.
  const std::optional<Checkpoint>& checkpoint() const { return checkpoint_; }

  // `note` holds the checkpoint. On failure the file is as it was.
  Status save(const Checkpoint& checkpoint, const std::string& note);

 private:
  explicit CheckpointFile(std::string path) : path_(std::move(path)) {}
  Status load();

  const std::string path_;
  int lock_file_ = -1;
  std::optional<Checkpoint> checkpoint_;
};

}  // namespace holdfast::audit
