#include "cli/verify_kept.h"

#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "audit/evidence.h"
#include "base/files.h"

namespace holdfast::cli {
namespace {

constexpr std::size_t kNoteBytesMax = 1024 * 1024;

// What becomes of an anchor file's last line that has no newline and is no checkpoint.
enum class UnfinishedLine {
  kRefused,
  kLeft,  // Its service may be writing it, or died while it did and cuts it off when it starts.
};

Status add_notes(const std::string& path, UnfinishedLine unfinished, KeptNotes& kept) {
  const std::string from = "the checkpoint in " + path;
  std::ifstream file(path);
  if (file.peek() != '{') {
    Result<std::string> note = read_file(path, kNoteBytesMax, Readers::kAnyone);
    if (!note.ok()) return invalid(note.error().message);
    kept.notes.push_back({.note = *std::move(note), .from = from});
    return {};
  }
  for (std::string line; std::getline(file, line);) {
    Result<audit::AnchoredCheckpoint> anchored = audit::parse_anchor_line(line);
    if (anchored.ok()) {
      kept.notes.push_back({.note = std::move(anchored->note), .from = from});
    } else if (!file.eof()) {
      return invalid(path + ": " + anchored.error().message);
    } else if (unfinished == UnfinishedLine::kRefused) {
      return invalid(path + ": its last line is not finished: " + anchored.error().message);
    } else {
      kept.not_checked.push_back("the last line of " + path + ", which is not finished");
    }
  }
  return {};
}

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

}  // namespace

Result<KeptNotes> read_named_notes(const std::vector<std::string>& named) {
  KeptNotes kept;
  for (const std::string& path : named) {
    Status added = add_notes(path, UnfinishedLine::kRefused, kept);
    if (!added.ok()) return invalid("--checkpoint: " + added.error().message);
  }
  return kept;
}

Status add_own_notes(const config::Audit& audit, KeptNotes& kept) {
  for (const bool is_own : {true, false}) {
    const std::string key = is_own ? "audit.log.checkpoint_file" : "audit.anchors.file";
    const std::string& path = is_own ? audit.log.checkpoint_file : audit.anchors.file;
    if (path.empty()) continue;
    if (is_there(path)) {
      const std::size_t before = kept.notes.size();
      Status added = add_notes(path, UnfinishedLine::kLeft, kept);
      if (!added.ok()) return invalid(key + ": " + added.error().message);
      if (is_own && kept.notes.size() == before + 1) {
        kept.own_file = path;
        kept.own_note = before;
      }
    } else if (is_there(path + ".lock")) {
      kept.gone.push_back(key + ": " + path);
    } else {
      kept.not_checked.push_back(key + ": there is no " + path +
                                 "; verify where holdfast audit keeps it");
    }
  }
  return {};
}

bool has_moved_on(const KeptNotes& kept) {
  if (kept.own_file.empty()) return false;
  const Result<std::string> now = read_file(kept.own_file, kNoteBytesMax, Readers::kAnyone);
  return now.ok() && *now != kept.notes.at(kept.own_note).note;
}

}  // namespace holdfast::cli
