#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace holdfast {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr mode_t kPrivate = 0600;
constexpr mode_t kOthers = 0077;
constexpr mode_t kGroupReads = 0640;

Error system_error(const std::string& path, const char* step, int code = errno) {
  return {ErrorCode::kInvalid,
          path + ": cannot " + step + ": " + std::generic_category().message(code)};
}

// Closes when it goes out of scope; errors of writing have been found by sync before.
class File {
 public:
  File(const std::string& path, int flags)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, kPrivate)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  bool ok() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

// kNotFound: there is no such file.
Error open_error(const std::string& path) {
  const int code = errno;
  Error error = system_error(path, "open", code);
  if (code == ENOENT) error.code = ErrorCode::kNotFound;
  return error;
}

Result<std::string> read_all(const File& file, const struct stat& about, const std::string& path,
                             std::size_t bytes_max) {
  std::string bytes;
  bytes.reserve(std::min(static_cast<std::size_t>(about.st_size), bytes_max));
  std::array<char, kReadBytes> buffer;
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, "read");
    if (got == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
    if (bytes.size() > bytes_max) {
      return Error{ErrorCode::kLimit, path + ": over " + std::to_string(bytes_max) + " bytes"};
    }
  }
}

Status write_all(const File& file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path, "write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status write_and_sync(const File& file, std::string_view bytes, const std::string& path) {
  if (Status written = write_all(file, bytes, path); !written.ok()) return written;
  if (::fsync(file.get()) != 0) return system_error(path, "sync");
  return {};
}

}  // namespace

Status sync_directory_of(const std::string& path) {
  std::string directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  const File file(directory, O_RDONLY | O_DIRECTORY);
  if (!file.ok()) return system_error(directory, "open");
  if (::fsync(file.get()) != 0) return system_error(directory, "sync");
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max, Readers readers) {
  const File file(path, O_RDONLY);
  if (!file.ok()) return open_error(path);
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) return system_error(path, "look at");
  if (readers == Readers::kOwnerOnly && (about.st_mode & kOthers) != 0) {
    return Error{ErrorCode::kRefused,
                 path + ": others than its owner have rights to it; chmod 600 it"};
  }
  return read_all(file, about, path, bytes_max);
}

Result<std::string> read_regular_file(const std::string& path, std::size_t bytes_max) {
  // Opening a pipe would wait for somebody who writes into it.
  const File file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file.ok()) return open_error(path);
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) return system_error(path, "look at");
  if (!S_ISREG(about.st_mode)) return Error{ErrorCode::kRefused, path + ": not a regular file"};
  return read_all(file, about, path, bytes_max);
}

Status replace_file(const std::string& path, std::string_view bytes) {
  const std::string draft = path + ".new";
  {
    const File file(draft, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.ok()) return system_error(draft, "open");
    if (Status written = write_and_sync(file, bytes, draft); !written.ok()) return written;
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return system_error(path, "replace");
  return sync_directory_of(path);
}

Status publish_file(const std::string& path, std::string_view bytes, WallTime modified) {
  using std::chrono::nanoseconds;
  const auto since_epoch = modified.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const timespec time = {.tv_sec = seconds.count(),
                         .tv_nsec = nanoseconds(since_epoch - seconds).count()};
  const std::array<timespec, 2> times = {time, time};
  const std::string draft = path + ".new";
  {
    const File file(draft, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.ok()) return system_error(draft, "open");
    if (Status written = write_all(file, bytes, draft); !written.ok()) return written;
    if (::fchmod(file.get(), kGroupReads) != 0) return system_error(draft, "set the mode of");
    if (::futimens(file.get(), times.data()) != 0) return system_error(draft, "set the time of");
    if (::fsync(file.get()) != 0) return system_error(draft, "sync");
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return system_error(path, "replace");
  return sync_directory_of(path);
}

Status write_file(const std::string& path, std::string_view bytes) {
  const std::string draft = path + ".new";
  {
    const File file(draft, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.ok()) return system_error(draft, "open");
    if (Status written = write_all(file, bytes, draft); !written.ok()) return written;
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return system_error(path, "replace");
  return {};
}

Status create_private_file(const std::string& path, std::string_view bytes) {
  {
    const File file(path, O_WRONLY | O_CREAT | O_EXCL);
    if (!file.ok()) {
      if (errno == EEXIST) return Error{ErrorCode::kRefused, path + ": exists already"};
      return system_error(path, "make");
    }
    if (Status written = write_and_sync(file, bytes, path); !written.ok()) {
      ::unlink(path.c_str());
      return written;
    }
  }
  return sync_directory_of(path);
}

Result<FileLock> FileLock::take(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kPrivate);
  if (descriptor < 0) return system_error(path, "open");
  FileLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return system_error(path, "lock");
  return Error{ErrorCode::kRefused, path + ": another process has it locked"};
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace holdfast
