// The anchor file: every checkpoint of the log, one on a line (audit/evidence.h), on a disk that
// whoever can change the database should not be able to change.
//
// Only ever appended to, each append synced; so is its directory when it is opened. What a crash
// leaves of a line that was not finished was never reported as anchored: it is cut off when the
// file is opened. Nothing else is changed; a file that is no anchor file is refused. `<path>.lock`
// is flocked while the process lives. For one thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "audit/evidence.h"
#include "base/result.h"

namespace holdfast::audit {

class AnchorFile {
 public:
  // The directory must exist, the file need not. kRefused: another process has it. kInvalid: it
  // cannot be used, or its last line is no checkpoint: look before you remove it.
  static Result<std::unique_ptr<AnchorFile>> open(const std::string& path);
  ~AnchorFile();
  AnchorFile(const AnchorFile&) = delete;
  AnchorFile& operator=(const AnchorFile&) = delete;

  // The last one, found at open() or appended since.
  const std::optional<AnchoredCheckpoint>& newest() const { return newest_; }

  // Synced when it returns. On failure the file may hold some of it, as after a crash; appending is
  // over until the file is opened again.
  Status append(std::span<const AnchoredCheckpoint> checkpoints);

 private:
  explicit AnchorFile(std::string path) : path_(std::move(path)) {}
  Status lock();
  Status load();
  Error error(const char* step) const;

  const std::string path_;
  int lock_file_ = -1;
  int file_ = -1;
  bool broken_ = false;
  std::optional<AnchoredCheckpoint> newest_;
};

}  // namespace holdfast::audit
