#include "audit/spool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include "audit/entry.h"
#include "base/crypto.h"
#include "base/files.h"
#include "base/log.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kSpoolLengthBytes = 4;
constexpr std::size_t kSpoolHeaderBytes = kSpoolLengthBytes + sizeof(Sha256);
constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

Error system_error(const std::string& path, const char* action, int code = errno) {
  return {ErrorCode::kInvalid, path + ": cannot " + action + ": " + std::strerror(code)};
}

int open_file(const std::string& path, int flags) {
  return ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
}

Status write_all(int file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path, "write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::string> read_all(int file, const std::string& path) {
  std::string bytes;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t got = ::read(file, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, "read");
    if (got == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::string header_of(std::string_view entry) {
  std::string header;
  for (std::size_t i = 0; i < kSpoolLengthBytes; ++i) {
    header += static_cast<char>((entry.size() >> (8 * i)) & 0xFF);
  }
  const Sha256 digest = sha256(entry);
  header.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return header;
}

std::size_t length_in(std::string_view header) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < kSpoolLengthBytes; ++i) {
    length |= static_cast<std::size_t>(static_cast<unsigned char>(header[i])) << (8 * i);
  }
  return length;
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::open(const std::string& directory) {
  std::error_code code;
  if (std::filesystem::create_directories(directory, code); code) {
    return Error{ErrorCode::kInvalid, directory + ": cannot make: " + code.message()};
  }
  ::chmod(directory.c_str(), kDirectoryMode);
  std::unique_ptr<Spool> spool(new Spool);
  spool->directory_ = directory;
  spool->lock_file_ = open_file(directory + "/lock", O_RDWR | O_CREAT);
  if (spool->lock_file_ < 0) return system_error(directory + "/lock", "open");
  if (::flock(spool->lock_file_, LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorCode::kRefused, directory + ": another process uses this spool"};
  }
  if (Status loaded = spool->load_writer(); !loaded.ok()) return loaded.error();
  if (Status loaded = spool->load_entries(); !loaded.ok()) return loaded.error();
  if (Status synced = sync_directory_of(directory + "/lock"); !synced.ok()) return synced.error();
  return spool;
}

Spool::~Spool() {
  if (entries_file_ >= 0) ::close(entries_file_);
  if (lock_file_ >= 0) ::close(lock_file_);
}

Status Spool::load_writer() {
  const std::string path = directory_ + "/writer";
  const int existing = open_file(path, O_RDONLY);
  if (existing >= 0) {
    const Result<std::string> text = read_all(existing, path);
    ::close(existing);
    if (!text.ok()) return text.error();
    const std::optional<Uuid> id = parse_uuid(text->substr(0, text->find('\n')));
    if (!id) return Error{ErrorCode::kInvalid, path + ": does not hold a UUID"};
    writer_ = *id;
    return {};
  }
  if (errno != ENOENT) return system_error(path, "open");
  writer_ = make_uuid_v4();
  const std::string draft = path + ".new";
  const int file = open_file(draft, O_WRONLY | O_CREAT | O_TRUNC);
  if (file < 0) return system_error(draft, "open");
  Status written = write_all(file, to_string(writer_) + "\n", draft);
  if (written.ok() && ::fsync(file) != 0) written = system_error(draft, "sync");
  ::close(file);
  if (!written.ok()) return written;
  if (::rename(draft.c_str(), path.c_str()) != 0) return system_error(path, "rename");
  return {};
}

Status Spool::load_entries() {
  const std::string path = directory_ + "/outcomes";
  entries_file_ = open_file(path, O_RDWR | O_CREAT | O_APPEND);
  if (entries_file_ < 0) return system_error(path, "open");
  const Result<std::string> bytes = read_all(entries_file_, path);
  if (!bytes.ok()) return bytes.error();
  std::string_view rest = *bytes;
  while (rest.size() >= kSpoolHeaderBytes) {
    const std::size_t length = length_in(rest);
    if (length > kSpooledBytesMax || rest.size() - kSpoolHeaderBytes < length) break;
    const std::string_view entry = rest.substr(kSpoolHeaderBytes, length);
    if (header_of(entry) != rest.substr(0, kSpoolHeaderBytes)) break;
    found_.emplace_back(entry);
    rest.remove_prefix(kSpoolHeaderBytes + length);
  }
  size_ = bytes->size() - rest.size();
  if (rest.empty()) return {};
  // Only the last entry can have been cut short; more than one entry's worth is damage, and what
  // it hides may be an outcome that a client was told of.
  const std::size_t claimed = rest.size() >= kSpoolHeaderBytes ? length_in(rest) : 0;
  if (rest.size() >= kSpoolHeaderBytes &&
      (claimed > kSpooledBytesMax || rest.size() - kSpoolHeaderBytes > claimed)) {
    return Error{ErrorCode::kInvalid, path + ": damaged at byte " + std::to_string(size_)};
  }
  log_warning("spool entry cut short", {{"file", path}, {"at", size_}, {"bytes", rest.size()}});
  if (::ftruncate(entries_file_, static_cast<off_t>(size_)) != 0 || ::fsync(entries_file_) != 0) {
    return system_error(path, "truncate");
  }
  return {};
}

Status Spool::append(std::string_view entry) {
  const std::string path = directory_ + "/outcomes";
  Status written = write_all(entries_file_, header_of(entry) + std::string(entry), path);
  if (written.ok() && ::fsync(entries_file_) != 0) written = system_error(path, "sync");
  if (written.ok()) {
    size_ += kSpoolHeaderBytes + entry.size();
    return {};
  }
  if (::ftruncate(entries_file_, static_cast<off_t>(size_)) != 0) {
    log_error("spool cannot be restored after a failed write", {{"file", path}});
  }
  return written;
}

Status Spool::clear() {
  const std::string path = directory_ + "/outcomes";
  if (::ftruncate(entries_file_, 0) != 0 || ::fsync(entries_file_) != 0) {
    return system_error(path, "truncate");
  }
  size_ = 0;
  return {};
}

}  // namespace holdfast::audit
