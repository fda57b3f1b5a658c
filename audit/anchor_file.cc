#include "audit/anchor_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/files.h"
#include "base/log.h"

namespace holdfast::audit {
namespace {

// More than two lines: a checkpoint's note has 1 MiB at most and far less in truth.
constexpr off_t kTailBytes = 4 * 1024 * 1024;

}  // namespace

Error AnchorFile::error(const char* step) const {
  return {ErrorCode::kInvalid,
          path_ + ": cannot " + step + ": " + std::generic_category().message(errno)};
}

Result<std::unique_ptr<AnchorFile>> AnchorFile::open(const std::string& path) {
  std::unique_ptr<AnchorFile> file(new AnchorFile(path));
  if (Status locked = file->lock(); !locked.ok()) return locked.error();
  if (Status loaded = file->load(); !loaded.ok()) return loaded.error();
  return file;
}

AnchorFile::~AnchorFile() {
  if (file_ >= 0) ::close(file_);
  if (lock_file_ >= 0) ::close(lock_file_);
}

Status AnchorFile::lock() {
  lock_file_ = ::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_file_ < 0) return error("open its lock");
  if (::flock(lock_file_, LOCK_EX | LOCK_NB) == 0) return {};
  return Error{ErrorCode::kRefused, path_ + ": another process uses it"};
}

Status AnchorFile::load() {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  struct stat about{};
  if (file_ < 0 || ::fstat(file_, &about) != 0) return error("open");
  // Appending syncs the file, not its name.
  if (Status synced = sync_directory_of(path_); !synced.ok()) return synced;
  const off_t begin = std::max<off_t>(0, about.st_size - kTailBytes);
  std::string tail(static_cast<std::size_t>(about.st_size - begin), '\0');
  for (std::size_t at = 0; at < tail.size();) {
    const ssize_t got =
        ::pread(file_, tail.data() + at, tail.size() - at, begin + static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return error("read");
    at += static_cast<std::size_t>(got);
  }
  const std::size_t end = tail.rfind('\n') + 1;  // 0 where there is none.
  if (end == 0 && begin > 0) {
    return Error{ErrorCode::kInvalid, path_ + ": its last line is too long for a checkpoint"};
  }
  if (end < tail.size()) {
    log_warning("the anchor file's last line was not finished and is cut off",
                {{"file", path_}, {"bytes", tail.size() - end}});
    if (::ftruncate(file_, begin + static_cast<off_t>(end)) != 0 || ::fsync(file_) != 0) {
      return error("cut off an unfinished line");
    }
  }
  end_ = begin + static_cast<off_t>(end);
  if (end == 0) return {};
  const std::size_t before = end < 2 ? std::string::npos : tail.rfind('\n', end - 2);
  const std::size_t start = before == std::string::npos ? 0 : before + 1;
  Result<AnchoredCheckpoint> last =
      parse_anchor_line(std::string_view(tail).substr(start, end - 1 - start));
  if (!last.ok()) return Error{ErrorCode::kInvalid, path_ + ": " + last.error().message};
  newest_ = *std::move(last);
  return {};
}

// Of lines that a write did not finish.
Status AnchorFile::cut_off() {
  if (is_longer_ && ::ftruncate(file_, end_) != 0) return error("cut off an unfinished line");
  is_longer_ = false;
  return {};
}

Status AnchorFile::append(std::span<const AnchoredCheckpoint> checkpoints) {
  if (failure_) return *failure_;
  if (Status cut = cut_off(); !cut.ok()) return cut;
  std::string lines;
  for (const AnchoredCheckpoint& checkpoint : checkpoints) lines += anchor_line(checkpoint);
  is_longer_ = true;
  for (std::string_view rest = lines; !rest.empty();) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      Error why = error("write");
      // Where that fails too, the next try begins with it.
      if (const Status cut = cut_off(); !cut.ok()) why.message += "; " + cut.error().message;
      return why;
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file_) != 0) {
    failure_ = error("sync");
    failure_->message += "; nothing is appended before it is opened again";
    return *failure_;
  }
  is_longer_ = false;
  end_ += static_cast<off_t>(lines.size());
  if (!checkpoints.empty()) newest_ = checkpoints.back();
  return {};
}

}  // namespace holdfast::audit
