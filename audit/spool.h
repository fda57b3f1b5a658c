// Where outcomes wait while the database cannot take them: a directory of one process's own, with
// one file that is only appended to and synced after every entry.
//
//   <dir>/lock      flocked for as long as the process lives
//   <dir>/writer    the id that this process writes the log as, kept over restarts
//   <dir>/outcomes  for each entry: length (4 bytes, little-endian), SHA-256, the entry
//
// For one thread at a time. After a crash, everything that append() reported as done is found again
// by the next open(); an entry whose writing was cut short is dropped.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"

namespace holdfast::audit {

class Spool {
 public:
  // Makes the directory where it is missing. kRefused: another process has it. kInvalid: it cannot
  // be used, or its file is damaged before its end; the message says what and where.
  static Result<std::unique_ptr<Spool>> open(const std::string& directory);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  const Uuid& writer() const { return writer_; }

  // What was found at open(), in order; empty from the second call on.
  std::vector<std::string> take_found() { return std::move(found_); }

  // What its entries take on the disk.
  std::size_t bytes() const { return size_; }

  // On success the entry is on the disk. On failure the file is as it was.
  Status append(std::string_view entry);

  // Forgets all entries: they are in the database now.
  Status clear();

 private:
  Spool() = default;
  Status load_writer();
  Status load_entries();

  std::string directory_;
  Uuid writer_;
  std::vector<std::string> found_;
  int lock_file_ = -1;
  int entries_file_ = -1;
  std::size_t size_ = 0;  // Bytes of whole entries.
};

}  // namespace holdfast::audit
