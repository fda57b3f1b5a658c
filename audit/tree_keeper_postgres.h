// Keeps the tree: adds the log's new leaves to it, and signs a checkpoint soon after. Each
// `holdfast audit` with a signing key runs one; the one whose database session holds an advisory
// lock leads and works, the others watch.
//
// What is never signed: a tree that contradicts a checkpoint seen before. Every process keeps the
// newest one it has seen in a file of its own, synced before a checkpoint of its own becomes
// visible. Where the database holds fewer records than that, or others, the process is frozen: it
// signs nothing and says why, until the database agrees with the file again. So it is with what
// others hold and say, an anchor file and witnesses, which a new leader asks before it signs. A
// lost connection is lost leadership: the next one begins with checking everything again.
//
// The leader also looks again at what it has built on, each second and whether the log grows or
// not: at the records of some full tiles, until all had their turn, at those of the open tile, and
// at the newest checkpoint, which nobody else may add, change or take away. It freezes when one is
// not as it was, and so does every process where a signature of its own key over the newest one is
// wrong. A checkpoint that this process has seen in the database must stay there; only one that is
// in the file alone may have been lost before it was published.
//
// After a crash at any point the next leader goes on from the full tiles in the database.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/checkpoint_file.h"
#include "audit/conninfo.h"
#include "audit/log_key.h"
#include "audit/queries.h"
#include "audit/retention.h"
#include "audit/socket_watchdog.h"
#include "audit/tree_source.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace pqxx {
class transaction_base;
}  // namespace pqxx

namespace holdfast::audit {

class DatabaseSession;

struct TreeKeeperOptions {
  Database database;
  std::string origin;
  std::vector<NoteSigner> signers;  // One at least. All of them sign.
  std::string checkpoint_file;
  std::string name = "holdfast audit";  // As leader, to others.
  // What others hold that the database must hold too, such as the newest line of an anchor file.
  std::vector<TreeHead> held_outside;
  // What those say who have to be asked, such as witnesses, of the leadership of that number. Must
  // not wait. kRefused: freezes. Other errors: not known yet; nothing is signed before it is but
  // the empty tree, which contradicts nothing. Empty: nobody has to be asked.
  std::function<Status(std::uint64_t leadership)> opinion;
  std::chrono::milliseconds sign_interval{500};
  // How long one step may take before the database counts as hung, and how long a silent session
  // keeps its lock: a process that is stopped loses it.
  std::chrono::milliseconds step_timeout{30'000};
  std::chrono::milliseconds silence_timeout{10'000};
  std::chrono::milliseconds retry_interval{1'000};  // After a step that failed.
  std::uint64_t leaves_max = 65'536;                // In one step.
  // The leader looks again at what it has built on so often, at so many full tiles at once.
  std::chrono::milliseconds scrub_interval{1'000};
  std::uint64_t scrub_tiles = 16;
  std::uint64_t partition_records = kPartitionRecords;  // Of which retention drops whole ones.
};

class TreeKeeper {
 public:
  // Reads the checkpoint file; does not wait for the database. Errors: see CheckpointFile::open.
  static Result<std::unique_ptr<TreeKeeper>> open(TreeKeeperOptions options,
                                                  const Clock& clock = system_clock());
  ~TreeKeeper();

  // Does what is to be done now; true: more is left. To be called several times a second, from one
  // thread. kRefused: frozen. Other errors: not now; leadership, if any, is lost.
  Result<bool> step();

  // From any thread.
  void interrupt();  // Breaks off what runs and fails what comes, for good.
  TreeStatus status() const;
  const std::string& origin() const { return options_.origin; }
  std::vector<VerifierKey> keys() const;

 private:
  using Transaction = pqxx::transaction_base;
  TreeKeeper(TreeKeeperOptions options, std::unique_ptr<CheckpointFile> file, const Clock& clock);

  // Each within the step's one transaction. kRefused: frozen.
  Result<bool> work(Transaction& transaction);
  Result<bool> take_part(Transaction& transaction);
  Result<bool> lead(Transaction& transaction);
  Status check_newest(Transaction& transaction);
  Status check_signatures(const std::string& text, const Note& note) const;
  Status check_head(Transaction& transaction, const TreeHead& head);
  Status check_held_outside(Transaction& transaction);
  Status add_leaves(Transaction& transaction, std::uint64_t until);
  Status scrub_if_due(Transaction& transaction);
  Status scrub(Transaction& transaction);
  Status check_published(Transaction& transaction);
  Status sign_if_due(Transaction& transaction);
  Status sign(Transaction& transaction, const TreeHead& head);

  std::uint64_t seen_size() const;
  void note_published(const SignedCheckpoint& checkpoint, const Note& note);
  void note_shown(const SignedCheckpoint& checkpoint);
  void abandon(const Error& error);
  void report(const std::string& frozen);

  const TreeKeeperOptions options_;
  const Clock& clock_;

  // The stepping thread's own.
  std::unique_ptr<CheckpointFile> file_;
  std::unique_ptr<DatabaseSession> session_;
  SocketWatchdog watchdog_;
  bool prepared_ = false;         // The session has its settings.
  bool checked_ = false;          // The file agrees with this session's database.
  bool outside_checked_ = false;  // So does what others hold.
  std::uint64_t leadership_ = 0;
  std::optional<TreeBuilder> builder_;         // While leading.
  std::optional<SignedCheckpoint> published_;  // The newest in the database.
  bool published_by_all_keys_ = false;
  std::optional<SignedCheckpoint> shown_;   // The newest that was ever in it, and in order.
  std::optional<std::string> signed_note_;  // In this step.
  std::uint64_t log_size_ = 0;
  std::uint64_t durable_size_ = 0;  // What no crash of the database takes away.
  std::string frozen_;
  SteadyTime sign_at_{};          // Not before.
  std::uint64_t scrub_next_ = 0;  // The tile to look at next.
  bool scrub_failed_ = false;     // Nothing is signed before all that it looks at is right again.
  SteadyTime scrub_at_{};
  SteadyTime retry_at_{};
  Error last_error_;

  mutable Mutex mutex_;
  TreeStatus status_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast::audit
