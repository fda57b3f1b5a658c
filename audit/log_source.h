// Where a log is read from to be verified: a port, because a log lies in a directory of tiles
// (audit/log_directory.h), behind an audit service (cli/log_service.h) or in the database
// (audit/log_reader_postgres.h), and none of them is believed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/tree.h"
#include "base/result.h"

namespace holdfast::audit {

// What the database says of an entry beside it.
struct EntryColumns {
  Sha256 leaf_hash{};
  std::string kind;
  std::string role;
  bool search_agrees = true;    // The search table says what the entry says, or nothing yet.
  std::string documents_fault;  // What is wrong with its sealed documents; empty: nothing.
  bool step_taken = true;  // The step of an approval or a review that it takes, if any, is there.
};

// Entries that follow each other, of one tile.
class EntryBatch {
 public:
  void add(std::string_view entry, std::optional<EntryColumns> columns = std::nullopt);
  // In the place of an entry that is not there; `columns`: what the database says of it all the
  // same.
  void add_missing(std::optional<EntryColumns> columns = std::nullopt);

  std::size_t size() const { return pieces_.size(); }
  // nullopt: missing.
  std::optional<std::string_view> entry(std::size_t i) const;
  const std::optional<EntryColumns>& columns(std::size_t i) const { return pieces_[i].columns; }

  // As a tlog-tiles entry bundle. Only where none is missing, and each is within kEntryBytesMax.
  std::string bundle() const;

 private:
  struct Piece {
    std::size_t begin = 0;
    std::size_t length = 0;
    bool missing = false;
    std::optional<EntryColumns> columns;
  };
  std::string bytes_;
  std::vector<Piece> pieces_;
};

// The entries of a tlog-tiles bundle, `width` of them; those that it does not hold are missing.
// kInvalid: it holds more.
Result<EntryBatch> parse_bundle(std::string_view bundle, std::uint64_t width);

// Used by one thread. Errors: kNotFound, kInvalid, kRefused or kLimit, where what is there is not
// what was asked for: a finding; every other: the source cannot be read at all.
class LogSource {
 public:
  virtual ~LogSource() = default;
  // The hashes of a tile.
  virtual Result<std::string> tile(const TileId& id) = 0;
  // position.width entries from position.index * 256 on.
  virtual Result<EntryBatch> entries(const TilePosition& position) = 0;
};

// The bytes of evidence/<N> (audit/evidence.h). kNotFound: there is no such file, and none after
// it. Used by one thread.
using EvidenceReader = std::function<Result<std::string>(std::uint64_t number)>;

// Whether an error of a source is something wrong with the log.
bool is_finding(const Error& error);

}  // namespace holdfast::audit
