#include "approval/list_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/encoding.h"

namespace holdfast::approval {
namespace {

constexpr std::array<std::string_view, 12> kColumnTitles = {
    "mailbox", "mailboxes", "mail",  "email",   "upn", "userprincipalname",
    "address", "user",      "value", "network", "ip",  "id"};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error os_error(int number) {
  return {number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInvalid, std::strerror(number)};
}

std::string_view trimmed_cell(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The first column; nullopt when its quote is not closed on the line.
std::optional<std::string> first_column(std::string_view line) {
  if (!line.starts_with('"'))
    return std::string(trimmed_cell(line.substr(0, line.find_first_of(",;\t"))));
  std::string value;
  for (std::size_t i = 1; i < line.size(); ++i) {
    if (line[i] != '"') {
      value += line[i];
    } else if (i + 1 < line.size() && line[i + 1] == '"') {
      value += line[i++];
    } else {
      return std::string(trimmed_cell(value));
    }
  }
  return std::nullopt;
}

Error wrong(int line, std::string_view why) {
  return {ErrorCode::kInvalid, std::to_string(line) + ": " + std::string(why)};
}

}  // namespace

Result<FileBytes> read_file(const std::string& path, std::size_t bytes_max) {
  // Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return os_error(errno);
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return os_error(errno);
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::kInvalid, "not a regular file"};

  using std::chrono::microseconds;
  FileBytes result;
  result.modified = WallTime(std::chrono::seconds(status.st_mtim.tv_sec) +
                             microseconds(status.st_mtim.tv_nsec / 1000));
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t count = read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return os_error(errno);
    if (count == 0) return result;
    result.bytes.append(buffer.data(), static_cast<std::size_t>(count));
    if (result.bytes.size() > bytes_max) {
      return Error{ErrorCode::kInvalid, "larger than " + std::to_string(bytes_max) + " bytes"};
    }
  }
}

Result<std::vector<ListEntry>> parse_list(std::string_view text) {
  if (text.empty()) {
    return wrong(1, "the list file has no bytes; a list of nobody needs at least a # comment");
  }
  if (!is_utf8(text) || text.find('\0') != std::string_view::npos) {
    return wrong(1, "the list file is not UTF-8 text");
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<ListEntry> entries;
  bool first = true;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (end != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
    // Before comments are skipped: what ends a line for whoever wrote the file, and not here, would
    // make one comment or title of all that follows.
    if (line.find('\r') != std::string_view::npos) {
      return wrong(number, "line ends must be LF or CRLF");
    }
    if (has_control_characters(line)) return wrong(number, "control characters are not allowed");
    const std::string_view content = trimmed_cell(line);
    if (content.empty() || content.starts_with('#')) continue;
    // A tab at the beginning stays: it ends an empty column.
    const std::optional<std::string> value = first_column(line.substr(line.find_first_not_of(' ')));
    if (!value) return wrong(number, "a quote is not closed");
    if (value->empty() && line.find_first_not_of(",;\t \"") != std::string_view::npos) {
      return wrong(number, "the first column is empty");
    }
    const bool title = first && std::find(kColumnTitles.begin(), kColumnTitles.end(),
                                          ascii_lower(*value)) != kColumnTitles.end();
    first = false;
    if (!title && !value->empty()) entries.push_back({*value, number});
  }
  return entries;
}

bool has_control_characters(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7F) return true;
    const std::string_view next = text.substr(i + 1, 2);
    if (byte == 0xC2 && !next.empty() && static_cast<unsigned char>(next[0]) < 0xA0) return true;
    if (byte == 0xE2 && (next == "\x80\xA8" || next == "\x80\xA9")) return true;
  }
  return false;
}

std::string list_line(std::string_view value) {
  const bool is_plain =
      !value.starts_with('#') && value.find_first_of(",;\t\"") == std::string_view::npos;
  if (is_plain) return std::string(value) + "\n";
  std::string line = "\"";
  for (const char c : value) line += c == '"' ? std::string("\"\"") : std::string(1, c);
  return line + "\"\n";
}

}  // namespace holdfast::approval
