// The tree as it is served: the port behind /log/… and proofs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "audit/evidence.h"
#include "audit/tree.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "base/uuid.h"

namespace holdfast::audit {

struct SignedCheckpoint {
  std::string note;  // As it is served.
  TreeHead head;
  WallTime signed_at;  // On the database's clock.
};

// How the process stands that keeps the tree, or would (audit/tree_keeper_postgres.h).
struct TreeStatus {
  bool leading = false;
  std::uint64_t leadership = 0;  // Counts the times that this process began to lead.
  std::string frozen;            // Why nothing is signed; empty: it is not frozen.
  std::optional<TreeHead> seen;  // The newest checkpoint seen.
  std::uint64_t leaves = 0;      // In the tree, while leading.
  std::uint64_t log_size = 0;
  std::uint64_t checkpoints_signed = 0;  // Since the process began.
};

// How the tree stands in the database.
struct TreeState {
  std::optional<SignedCheckpoint> checkpoint;  // The newest, with its cosignatures.
  std::uint64_t log_size = 0;
  std::string leader;  // How the process that signs names itself; empty: there is none.
};

// Safe from any thread; a coroutine resumes on the executor it awaited on. Errors besides those
// named: kUnavailable (the database is away), kTimeout, kLimit (too many questions at once).
class TreeSource {
 public:
  virtual ~TreeSource() = default;
  virtual Task<Result<TreeState>> state() = 0;
  // The first `width` hashes of a tile. kNotFound: the newest checkpoint's tree has no such tile.
  virtual Task<Result<std::string>> tile(TileId id) = 0;
  // Entries from position.index * 256 on, as a tlog-tiles entry bundle. kNotFound: as above, or the
  // log does not hold them any more.
  virtual Task<Result<std::string>> bundle(TilePosition position) = 0;
  // A tlog-proof of a record, against the newest checkpoint that covers it and that a witness has
  // cosigned, else the newest. kNotFound: no such record, or no checkpoint at all. kUnavailable: no
  // checkpoint covers the record yet.
  virtual Task<Result<std::string>> proof(std::variant<std::int64_t, Uuid> which) = 0;
  // What others have said of checkpoints: the pieces that the evidence file of that number holds
  // (audit/evidence.h). kNotFound: none are there yet.
  virtual Task<Result<std::vector<Evidence>>> evidence(std::uint64_t file) = 0;
};

}  // namespace holdfast::audit
