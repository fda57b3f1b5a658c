// List files: one value a line, in the first column of a CSV file.
//
//   # on hold since 2026-09-01
//   mailbox,case
//   held@contoso.com,CASE-17
//
// Lines end with LF or CRLF, columns at a comma, semicolon or tab. Lines beginning with #, empty
// lines and lines of empty columns are skipped, as is a first line that is a column title (mailbox,
// mail, upn, …). Values may be in double quotes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::approval {

struct FileBytes {
  std::string bytes;
  WallTime modified;
};

// Reads a regular file of at most `bytes_max`. The time of modification is that of the very file
// that was read. kNotFound: missing. kInvalid: unreadable, not a regular file, or too large. The
// message does not name the path.
Result<FileBytes> read_file(const std::string& path, std::size_t bytes_max);

// One of the files that rules are made from.
struct SourceFile {
  std::string name;  // Of a list, as the rule file names it; of the rule file: kRuleFileName.
  std::string bytes;
  WallTime modified;
};

inline constexpr const char* kRuleFileName = "rules";

// The rule file, then list files in the order of the lists' names.
using SourceFiles = std::vector<SourceFile>;

struct ListEntry {
  std::string text;
  int line = 0;
};

// kInvalid, beginning with the line ("3: "), for text that is not UTF-8, other line ends, control
// characters, an unclosed quote, a first column that is empty beside one that is not, or a file of
// no bytes at all: a list that is half written or read wrongly must not pass for a shorter one.
Result<std::vector<ListEntry>> parse_list(std::string_view text);

// Those of ASCII but for the tab, those beyond (U+0080 to U+009F), and Unicode's ends of lines and
// paragraphs. `text` is UTF-8.
bool has_control_characters(std::string_view text);

// The line, with its end, that parse_list() reads as `value`: text without line ends, neither empty
// nor with space around it.
std::string list_line(std::string_view value);

}  // namespace holdfast::approval
