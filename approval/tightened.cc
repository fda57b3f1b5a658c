#include "approval/tightened.h"

#include <algorithm>
#include <set>

#include "approval/list_file.h"
#include "approval/loosening.h"
#include "approval/rule_model.h"
#include "base/encoding.h"

namespace holdfast::approval {
namespace {

// Of list files that have loaded.
std::vector<ListEntry> entries_of(const std::string& bytes) {
  Result<std::vector<ListEntry>> entries = parse_list(bytes);
  return entries.ok() ? *std::move(entries) : std::vector<ListEntry>();
}

// Every replica makes the same bytes of the same two.
std::string widened(const std::string& list, const std::string& by) {
  std::set<std::string> known;
  for (const ListEntry& entry : entries_of(list)) known.insert(entry.text);
  std::string lines;
  for (const ListEntry& entry : entries_of(by)) {
    if (known.insert(entry.text).second) lines += list_line(entry.text);
  }
  if (lines.empty()) return list;
  return list + (list.ends_with('\n') ? "" : "\n") + lines;
}

const SourceFile* list_of(const SourceFiles& files, const std::string& name) {
  const auto found = std::find_if(files.begin() + 1, files.end(),
                                  [&](const SourceFile& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

// Several lists may be made from one file.
SourceFiles with(SourceFiles files, const SourceFile& list) {
  for (auto file = files.begin() + 1; file != files.end(); ++file) {
    if (file->name == list.name) *file = list;
  }
  return files;
}

}  // namespace

RuleSet tightened(const RuleSet& active, const RuleSet& own, WallTime now) {
  RuleSet result = active;
  const auto load = [now](const SourceFiles& files) {
    return load_rules(files, "the rules in force with wider lists", now);
  };
  std::set<std::string> seen;
  for (const SourceFile& list : *active.data().sources) {
    if (&list == &active.data().sources->front() || !seen.insert(list.name).second) continue;
    const SourceFile* newer = list_of(*own.data().sources, list.name);
    if (newer == nullptr || newer->bytes == list.bytes) continue;
    const SourceFiles& files = *result.data().sources;
    const Result<RuleSet> with_newer = load(with(files, *newer));
    const Result<RuleSet> with_both =
        load(with(files, {.name = list.name,
                          .bytes = widened(list.bytes, newer->bytes),
                          .modified = std::max(list.modified, newer->modified)}));
    if (!with_newer.ok() || !with_both.ok()) continue;
    if (loosenings(result, *with_both).empty() && loosenings(*with_newer, *with_both).empty()) {
      result = *with_both;
    }
  }
  return result;
}

}  // namespace holdfast::approval
