// Checkpoints that `holdfast verify` finds outside of the log: files that somebody kept, and those
// that this configuration's audit service writes. The log must still agree with them.
#pragma once

#include <string>
#include <vector>

#include "audit/verify_checkpoints.h"
#include "base/result.h"
#include "config/config.h"

namespace holdfast::cli {

struct KeptNotes {
  std::vector<audit::FoundNote> notes;
  // What was not there to be compared, and need not be, for the report.
  std::vector<std::string> not_checked{};
  // audit.log.checkpoint_file, where it is compared, and which of the notes is its.
  std::string own_file{};
  std::size_t own_note = 0;
  // Configured files that are gone: the service has had them, since their lock files are there.
  std::vector<std::string> gone{};
};

// `named`: files of a checkpoint or of an anchor file's lines. kInvalid is a usage error in one
// line, such as a file that is not there or is not whole.
Result<KeptNotes> read_named_notes(const std::vector<std::string>& named);

// And those of audit.log.checkpoint_file and audit.anchors.file. One that is there and cannot be
// read is kInvalid too; one that is not there may be another machine's.
Status add_own_notes(const config::Audit& audit, KeptNotes& kept);

// Whether audit.log.checkpoint_file holds another checkpoint by now. It is written before the
// database has the checkpoint, so one that never came there is followed by another.
bool has_moved_on(const KeptNotes& kept);

}  // namespace holdfast::cli
