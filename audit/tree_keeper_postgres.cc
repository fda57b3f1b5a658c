#include "audit/tree_keeper_postgres.h"

#include <algorithm>

#include "audit/queries_session_postgres.h"
#include "audit/tree_scrub_postgres.h"
#include "audit/tree_store_postgres.h"
#include "audit/wal_flush_postgres.h"
#include "base/log.h"

namespace holdfast::audit {
namespace {

Error frozen(std::string why) {
  return {ErrorCode::kRefused, std::move(why)};
}

std::string milliseconds_text(std::chrono::milliseconds time) {
  return std::to_string(time.count());
}

// Says so; whether the signature holds is another question.
bool is_signed_by(const Note& note, const VerifierKey& key) {
  return std::ranges::any_of(note.signatures, [&](const NoteSignature& signature) {
    return signature.name == key.name && signature.key_id == key.key_id();
  });
}

// A leader that is stopped, or whose machine is gone, must lose its lock soon.
void prepare(pqxx::connection& connection, const TreeKeeperOptions& options) {
  pqxx::nontransaction setup(connection);
  const std::string silence = milliseconds_text(options.silence_timeout);
  setup.exec("SET application_name = " + setup.quote(options.name));
  setup.exec("SET synchronous_commit = on");
  setup.exec("SET idle_session_timeout = " + silence);
  setup.exec("SET idle_in_transaction_session_timeout = " + silence);
  setup.exec("SET tcp_user_timeout = " + silence);
  setup.exec("SET tcp_keepalives_idle = 5");
  setup.exec("SET tcp_keepalives_interval = 2");
  setup.exec("SET tcp_keepalives_count = 3");
}

// How many records no crash of the database takes away; `known` of them are known to be so.
std::uint64_t durable_log_size(pqxx::connection& connection, std::uint64_t known) {
  pqxx::nontransaction transaction(connection);
  const std::uint64_t size = log_size(transaction);
  if (size > known) transaction.exec(kFlushWal);
  return size;
}

}  // namespace

Result<std::unique_ptr<TreeKeeper>> TreeKeeper::open(TreeKeeperOptions options,
                                                     const Clock& clock) {
  Result<std::unique_ptr<CheckpointFile>> file = CheckpointFile::open(options.checkpoint_file);
  if (!file.ok()) return file.error();
  const std::optional<Checkpoint>& seen = (*file)->checkpoint();
  if (seen && seen->origin != options.origin) {
    return Error{ErrorCode::kInvalid, options.checkpoint_file + ": is of the log " + seen->origin +
                                          ", not " + options.origin};
  }
  return std::unique_ptr<TreeKeeper>(new TreeKeeper(std::move(options), *std::move(file), clock));
}

TreeKeeper::TreeKeeper(TreeKeeperOptions options, std::unique_ptr<CheckpointFile> file,
                       const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      file_(std::move(file)),
      session_(std::make_unique<DatabaseSession>(
          DatabaseAccess{.database = options_.database, .statement_timeout = options_.step_timeout},
          DatabaseSession::WhenBroken::kReport)) {
  report("");
}

TreeKeeper::~TreeKeeper() = default;

std::vector<VerifierKey> TreeKeeper::keys() const {
  std::vector<VerifierKey> keys;
  keys.reserve(options_.signers.size());
  for (const NoteSigner& signer : options_.signers) keys.push_back(signer.verifier());
  return keys;
}

void TreeKeeper::interrupt() {
  session_->interrupt();
}

TreeStatus TreeKeeper::status() const {
  MutexLock lock(mutex_);
  return status_;
}

Result<bool> TreeKeeper::step() {
  if (clock_.steady_now() < retry_at_) return last_error_;
  Result<bool> more = false;
  const Status ran = session_->run([&](pqxx::connection& connection) {
    const SocketWatchdog::Guard guard = watchdog_.watch(connection.sock(), options_.step_timeout);
    if (!prepared_) prepare(connection, options_);
    prepared_ = true;
    durable_size_ = durable_log_size(connection, durable_size_);
    pqxx::work transaction(connection);
    more = work(transaction);
    if (more.ok()) transaction.commit();
  });
  if (!ran.ok()) more = ran.error();
  if (!more.ok()) {
    abandon(more.error());
    return more;
  }
  if (signed_note_) {
    MutexLock lock(mutex_);
    ++status_.checkpoints_signed;
  }
  if (signed_note_) {
    const SignedCheckpoint checkpoint{
        .note = *signed_note_, .head = file_->checkpoint()->head, .signed_at = {}};
    note_published(checkpoint, *parse_note(*signed_note_));
    note_shown(checkpoint);
    signed_note_.reset();
  }
  report("");
  return more;
}

// Whatever was the matter, the next step begins from nothing: another connection, another look at
// the database, and the lock if nobody else has it by then.
void TreeKeeper::abandon(const Error& error) {
  if (builder_) log_warning("no longer keeping the log's tree", {{"why", error.message}});
  session_->close();
  prepared_ = false;
  durable_size_ = 0;
  checked_ = false;
  outside_checked_ = false;
  builder_.reset();
  published_.reset();
  signed_note_.reset();
  last_error_ = error;
  retry_at_ = clock_.steady_now() + options_.retry_interval;
  report(error.code == ErrorCode::kRefused ? error.message : "");
}

Result<bool> TreeKeeper::work(Transaction& transaction) {
  if (!builder_) return take_part(transaction);
  log_size_ = log_size(transaction);
  return lead(transaction);
}

Result<bool> TreeKeeper::take_part(Transaction& transaction) {
  if (Status checked = check_newest(transaction); !checked.ok()) return checked.error();
  if (!try_tree_lock(transaction)) return false;
  // Who led before may have published something since; from here on nobody else does.
  if (Status checked = check_newest(transaction); !checked.ok()) return checked.error();
  Result<TreeBuilder> builder = load_builder(transaction);
  if (!builder.ok()) return frozen("the tree's tiles: " + builder.error().message);
  builder_ = *std::move(builder);
  scrub_at_ = {};  // A new leader looks before it signs.
  ++leadership_;
  log_info("keeping the log's tree", {{"leaves", builder_->size()}, {"log_size", log_size_}});
  return lead(transaction);
}

Result<bool> TreeKeeper::lead(Transaction& transaction) {
  const std::uint64_t known = std::max(builder_->size(), seen_size());
  if (log_size_ < known) {
    return frozen("the log has gone back: it holds " + std::to_string(log_size_) +
                  " records and held " + std::to_string(known));
  }
  // Writers show what they append before it is durable, and a checkpoint is on this machine's disk
  // before the transaction that it is made in ends: one over records that a crash of the database
  // can still take away would freeze the log.
  const std::uint64_t durable = std::min(log_size_, durable_size_);
  const std::uint64_t until = std::min(durable, builder_->size() + options_.leaves_max);
  if (until > builder_->size()) {
    if (Status added = add_leaves(transaction, until); !added.ok()) return added.error();
  }
  add_tiles(transaction, builder_->take_tiles());
  if (!checked_ && builder_->size() >= seen_size()) {
    if (file_->checkpoint()) {
      Status same = check_head(transaction, file_->checkpoint()->head);
      if (!same.ok()) return same.error();
    }
    checked_ = true;
  }
  if (Status same = check_held_outside(transaction); !same.ok()) return same.error();
  if (Status same = scrub_if_due(transaction); !same.ok()) return same.error();
  if (checked_ && outside_checked_) {
    if (Status done = sign_if_due(transaction); !done.ok()) return done.error();
  }
  return builder_->size() < durable;
}

// Holds the newest checkpoint in the database, and what the file has seen, against the database.
Status TreeKeeper::check_newest(Transaction& transaction) {
  const std::optional<SignedCheckpoint> newest = newest_checkpoint(transaction);
  log_size_ = log_size(transaction);
  if (log_size_ < seen_size()) {
    return frozen("the log has gone back: it holds " + std::to_string(log_size_) +
                  " records and a checkpoint over " + std::to_string(seen_size()) +
                  " has been seen");
  }
  published_.reset();
  if (!newest) return {};
  const Result<Note> note = parse_note(newest->note);
  const Result<Checkpoint> checkpoint = read_checkpoint(newest->note);
  if (!note.ok() || !checkpoint.ok() || checkpoint->head != newest->head) {
    return frozen("the newest checkpoint in the database is none");
  }
  if (checkpoint->origin != options_.origin) {
    return frozen("the database holds the log " + checkpoint->origin + ", not " + options_.origin);
  }
  if (Status same = check_signatures(newest->note, *note); !same.ok()) return same;
  if (newest->head.size > log_size_) {
    return frozen("the log holds " + std::to_string(log_size_) +
                  " records, its newest checkpoint is over " + std::to_string(newest->head.size));
  }
  const std::optional<TreeHead> seen =
      file_->checkpoint() ? std::optional(file_->checkpoint()->head) : std::nullopt;
  note_published(*newest, *note);
  // What the file has and the database does not: signed here, and lost before it was published, or
  // the database has gone back. Who leads finds out.
  if (seen && newest->head.size < seen->size) return {};
  if (checked_ && seen == newest->head) {
    note_shown(*newest);
    return {};
  }
  Status same = check_head(transaction, newest->head);
  if (same.ok() && seen) same = check_head(transaction, *seen);
  if (!same.ok()) return same;
  if (seen != newest->head) {
    if (Status saved = file_->save(*checkpoint, newest->note); !saved.ok()) return saved;
  }
  note_shown(*newest);
  checked_ = true;
  return {};
}

// Of the newest checkpoint in the database. One that only others have signed is theirs to answer
// for, as long as it is the one that was seen.
Status TreeKeeper::check_signatures(const std::string& text, const Note& note) const {
  const std::vector<VerifierKey> own = keys();
  const bool by_own =
      std::ranges::any_of(own, [&](const VerifierKey& key) { return is_signed_by(note, key); });
  const Status verified = verify_note(note, own);
  if (by_own && !verified.ok()) {
    return frozen("the newest checkpoint in the database: " + verified.error().message);
  }
  const Result<Checkpoint> checkpoint = read_checkpoint(text);
  const bool was_seen = shown_ && checkpoint.ok() && checkpoint->head == shown_->head;
  if (!by_own && was_seen && text != shown_->note) {
    return frozen("the newest checkpoint in the database is not as it was signed");
  }
  return {};
}

Status TreeKeeper::check_head(Transaction& transaction, const TreeHead& head) {
  TiledTree tree(head.size, tile_reader(transaction));
  const Result<Sha256> root = tree.root();
  if (!root.ok()) {
    return frozen("the tree at " + std::to_string(head.size) +
                  " cannot be read: " + root.error().message);
  }
  if (*root == head.root) return {};
  return frozen("the log's first " + std::to_string(head.size) +
                " records are not those that a checkpoint was signed over");
}

// Once in each session, as soon as the tree is as large as what others hold.
Status TreeKeeper::check_held_outside(Transaction& transaction) {
  for (const TreeHead& held : options_.held_outside) {
    if (outside_checked_) return {};
    if (log_size_ < held.size) {
      return frozen("the log has gone back: it holds " + std::to_string(log_size_) +
                    " records and the anchor file has a checkpoint over " +
                    std::to_string(held.size));
    }
    if (builder_->size() < held.size) return {};
    if (Status same = check_head(transaction, held); !same.ok()) return same;
  }
  outside_checked_ = true;
  return {};
}

Status TreeKeeper::add_leaves(Transaction& transaction, std::uint64_t until) {
  const std::vector<Sha256> tail = builder_->tail();
  const std::uint64_t begin = builder_->size() - tail.size();
  const std::vector<Sha256> leaves = leaf_hashes(transaction, begin, until);
  if (leaves.size() != until - begin) {
    return frozen("the log lacks records between " + std::to_string(begin) + " and " +
                  std::to_string(until));
  }
  if (!std::ranges::equal(tail, std::span(leaves).first(tail.size()))) {
    return frozen("a record between " + std::to_string(begin) + " and " +
                  std::to_string(builder_->size()) + " is not the one that was there");
  }
  for (const Sha256& leaf : std::span(leaves).subspan(tail.size())) builder_->append(leaf);
  return {};
}

Status TreeKeeper::scrub_if_due(Transaction& transaction) {
  if (!scrub_failed_ && clock_.steady_now() < scrub_at_) return {};
  Status same = scrub(transaction);
  scrub_failed_ = !same.ok();
  if (same.ok()) scrub_at_ = clock_.steady_now() + options_.scrub_interval;
  return same;
}

Status TreeKeeper::scrub(Transaction& transaction) {
  if (Status same = check_published(transaction); !same.ok()) return same;
  const std::uint64_t tiles = builder_->size() / kTileWidth;
  Status same = scrub_open_tile(transaction, tiles, builder_->tail());
  if (!same.ok() || tiles == 0) return same;
  if (scrub_next_ >= tiles) scrub_next_ = 0;
  const std::uint64_t end = std::min(tiles, scrub_next_ + options_.scrub_tiles);
  same = scrub_tiles(transaction, scrub_next_, end, options_.partition_records);
  if (same.ok()) scrub_next_ = end;
  return same;
}

// Whoever leads is the only one that adds checkpoints, and nobody takes any away.
Status TreeKeeper::check_published(Transaction& transaction) {
  const std::optional<SignedCheckpoint> newest = newest_checkpoint(transaction);
  const auto head_of = [](const std::optional<SignedCheckpoint>& checkpoint) {
    return checkpoint ? std::optional(checkpoint->head) : std::nullopt;
  };
  const std::optional<TreeHead> head = head_of(newest);
  const std::optional<TreeHead> shown = head_of(shown_);
  if (head != head_of(published_) || (shown && (!head || head->size < shown->size))) {
    const std::optional<TreeHead> last = shown ? shown : head_of(published_);
    return frozen("the newest checkpoint in the database is not " +
                  (last ? "the one over " + std::to_string(last->size) + " records that was there"
                        : std::string("one that was signed here")) +
                  ", but " +
                  (head ? "another, over " + std::to_string(head->size) + " records" : "none"));
  }
  if (!newest) return {};
  const Result<Note> note = parse_note(newest->note);
  const Result<Checkpoint> checkpoint = read_checkpoint(newest->note);
  if (!note.ok() || !checkpoint.ok() || checkpoint->head != newest->head) {
    return frozen("the newest checkpoint in the database is none");
  }
  if (Status same = check_signatures(newest->note, *note); !same.ok()) return same;
  if (newest->note == published_->note) return {};
  return frozen("the newest checkpoint in the database is not as it was signed");
}

Status TreeKeeper::sign_if_due(Transaction& transaction) {
  const bool current = published_ && published_->head.size == builder_->size();
  Status opinion = options_.opinion ? options_.opinion(leadership_) : Status{};
  if (!opinion.ok() && opinion.error().code == ErrorCode::kRefused) return opinion;
  if (!opinion.ok()) {
    // A witness can only be asked with a checkpoint.
    if (published_ || seen_size() > 0) return {};
    return sign(transaction, {.size = 0, .root = tree_hash({})});
  }
  if ((current && published_by_all_keys_) || clock_.steady_now() < sign_at_) return {};
  return sign(transaction, {.size = builder_->size(), .root = builder_->root()});
}

Status TreeKeeper::sign(Transaction& transaction, const TreeHead& head) {
  const Checkpoint checkpoint{.origin = options_.origin, .head = head, .extensions = {}};
  std::string note = sign_checkpoint(checkpoint, options_.signers);
  // On this machine's disk before anybody can see it: whatever becomes of the database, this
  // process never signs anything that contradicts it.
  if (Status saved = file_->save(checkpoint, note); !saved.ok()) return saved;
  add_checkpoint(transaction, checkpoint.head, note);
  signed_note_ = std::move(note);
  sign_at_ = clock_.steady_now() + options_.sign_interval;
  return {};
}

std::uint64_t TreeKeeper::seen_size() const {
  return file_->checkpoint() ? file_->checkpoint()->head.size : 0;
}

void TreeKeeper::note_published(const SignedCheckpoint& checkpoint, const Note& note) {
  published_ = checkpoint;
  published_by_all_keys_ = std::ranges::all_of(options_.signers, [&](const NoteSigner& signer) {
    return is_signed_by(note, signer.verifier());
  });
}

void TreeKeeper::note_shown(const SignedCheckpoint& checkpoint) {
  if (!shown_ || shown_->head.size <= checkpoint.head.size) shown_ = checkpoint;
}

void TreeKeeper::report(const std::string& frozen_why) {
  if (!frozen_why.empty() && frozen_why != frozen_) {
    log_error("the log's tree is frozen: nothing is signed", {{"why", frozen_why}});
  }
  if (frozen_why.empty() && !frozen_.empty()) log_warning("the log's tree is no longer frozen");
  frozen_ = frozen_why;
  MutexLock lock(mutex_);
  status_.leading = builder_.has_value();
  status_.leadership = leadership_;
  status_.frozen = frozen_why;
  status_.seen.reset();
  if (file_->checkpoint()) status_.seen = file_->checkpoint()->head;
  status_.leaves = builder_ ? builder_->size() : 0;
  status_.log_size = log_size_;
}

}  // namespace holdfast::audit
