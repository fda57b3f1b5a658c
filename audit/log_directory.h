// A log as files, under the names that C2SP tlog-tiles gives its resources: DIR/checkpoint,
// DIR/tile/<L>/<N>[.p/<W>] and DIR/tile/entries/<N>[.p/<W>]; beside them DIR/evidence/<N>. What was
// downloaded from any such log can be read; what is written can be served as one.
#pragma once

#include <memory>
#include <string>

#include "audit/log_source.h"

namespace holdfast::audit {

// Whether anything of a log is there: a copy that lacks some of it is not in order, but a directory
// without any of it is none.
bool holds_log(const std::string& directory);

// DIR/checkpoint. kNotFound, kInvalid.
Result<std::string> read_checkpoint_note(const std::string& directory);

// DIR/evidence/<N>; see EvidenceReader.
Result<std::string> read_evidence_file(const std::string& directory, std::uint64_t number);
// kUnavailable.
Status save_evidence_file(const std::string& directory, std::uint64_t number,
                          std::string_view bytes);

// Where a partial tile is missing, the full one of the same index is read instead, as the
// specification allows.
class DirectorySource final : public LogSource {
 public:
  explicit DirectorySource(std::string directory) : directory_(std::move(directory)) {}

  Result<std::string> tile(const TileId& id) override;
  Result<EntryBatch> entries(const TilePosition& position) override;

 private:
  Result<std::string> read(const std::string& path, std::uint64_t width, std::size_t bytes_max,
                           bool& whole) const;
  const std::string directory_;
};

// Writes what passes through into a directory: all of a tree of `tree_size`, if all of it is read.
// What cannot be written is kUnavailable.
class SavingSource final : public LogSource {
 public:
  SavingSource(std::unique_ptr<LogSource> source, std::string directory, std::uint64_t tree_size)
      : source_(std::move(source)), directory_(std::move(directory)), tree_size_(tree_size) {}

  Result<std::string> tile(const TileId& id) override;
  Result<EntryBatch> entries(const TilePosition& position) override;

 private:
  const std::unique_ptr<LogSource> source_;
  const std::string directory_;
  const std::uint64_t tree_size_;
};

// Last, when everything else is there.
Status save_checkpoint_note(const std::string& directory, const std::string& note);

}  // namespace holdfast::audit
