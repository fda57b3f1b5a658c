// The anchor file: every checkpoint of the log, one on a line (audit/evidence.h), on a disk that
// whoever can change the database should not be able to change.
//
// Only ever appended to, each append synced; so is its directory when it is opened. What a crash,
// or a write that failed, leaves of lines that were not finished was never reported as anchored: it
// is cut off when the file is opened, or before more is appended. Nothing else is changed; a file
// that is no anchor file is refused. `<path>.lock` is flocked while the process lives. For one
// thread.
#pragma once

#include <sys/types.h>

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

  // Synced when it returns. After a write that failed, as on a full disk, it may be tried again.
  // What could not be synced may be on the disk or not, whatever a later sync says: appending is
  // over until the file is opened again, and each try says why.
  Status append(std::span<const AnchoredCheckpoint> checkpoints);

 private:
  explicit AnchorFile(std::string path) : path_(std::move(path)) {}
  Status lock();
  Status load();
  Status cut_off();
  Error error(const char* step) const;

  const std::string path_;
  int lock_file_ = -1;
  int file_ = -1;
  off_t end_ = 0;                 // Behind what is synced.
  bool is_longer_ = false;        // There may be more behind it.
  std::optional<Error> failure_;  // For good.
  std::optional<AnchoredCheckpoint> newest_;
};

}  // namespace holdfast::audit
