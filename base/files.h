// Small files that must survive a crash, or must not be read by others.
//
// All calls block and may be made from any thread; two threads must not write one path at once.
// Errors: kInvalid with path, step and the system's reason, unless said otherwise.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast {

enum class Readers {
  kAnyone,
  kOwnerOnly,  // kRefused when group or others have any right to the file.
};

// The whole file, at most `bytes_max` (kLimit). kNotFound: there is none.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max, Readers readers);

// The same in a folder that others have made, where nothing that has the name may be waited for:
// kRefused for a pipe, a device, a directory and whatever else is no regular file.
Result<std::string> read_regular_file(const std::string& path, std::size_t bytes_max);

// Replaces the file as a whole and syncs it and its directory: afterwards, and after a crash, it is
// the old or the new one. Mode 0600.
Status replace_file(const std::string& path, std::string_view bytes);

// The same for a file that others read and judge by its age: mode 0640, and last modified at
// `modified`, to the microsecond.
Status publish_file(const std::string& path, std::string_view bytes, WallTime modified);

// Replaces the file as a whole, as anyone who reads it sees it; after a crash of the machine it may
// be gone. Mode 0600. For what can be fetched again.
Status write_file(const std::string& path, std::string_view bytes);

// Makes the file, mode 0600, and syncs it and its directory. kRefused: there is one already, which
// is left alone.
Status create_private_file(const std::string& path, std::string_view bytes);

// Syncs the directory that the file is in: a file that was made there is then there after a crash
// too.
Status sync_directory_of(const std::string& path);

// Keeps other processes, and other locks of this one, from what the lock file stands for. It ends
// with its owner, however that ends; the file, mode 0600, stays.
class FileLock {
 public:
  // Makes the file where there is none. kRefused: somebody has it locked.
  static Result<FileLock> take(const std::string& path);

  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace holdfast
