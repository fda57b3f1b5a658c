#include "audit/checkpoint_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/files.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;

}  // namespace

Result<std::unique_ptr<CheckpointFile>> CheckpointFile::open(const std::string& path) {
  std::unique_ptr<CheckpointFile> file(new CheckpointFile(path));
  const std::string lock = path + ".lock";
  file->lock_file_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file->lock_file_ < 0) {
    return Error{ErrorCode::kInvalid,
                 lock + ": cannot open: " + std::generic_category().message(errno)};
  }
  if (::flock(file->lock_file_, LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorCode::kRefused, path + ": another process uses it"};
  }
  if (Status loaded = file->load(); !loaded.ok()) return loaded.error();
  return file;
}

CheckpointFile::~CheckpointFile() {
  if (lock_file_ >= 0) ::close(lock_file_);
}

Status CheckpointFile::load() {
  const Result<std::string> note = read_file(path_, kFileBytesMax, Readers::kAnyone);
  if (!note.ok()) {
    return note.error().code == ErrorCode::kNotFound ? Status{} : Status{note.error()};
  }
  Result<Checkpoint> checkpoint = read_checkpoint(*note);
  if (!checkpoint.ok()) {
    return Error{ErrorCode::kInvalid, path_ + ": " + checkpoint.error().message};
  }
  checkpoint_ = *std::move(checkpoint);
  return {};
}

Status CheckpointFile::save(const Checkpoint& checkpoint, const std::string& note) {
  if (Status saved = replace_file(path_, note); !saved.ok()) return saved;
  checkpoint_ = checkpoint;
  return {};
}

}  // namespace holdfast::audit
