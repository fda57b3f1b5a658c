#include "audit/anchors_postgres.h"

#include <algorithm>
#include <array>

#include "audit/checkpoint.h"
#include "audit/evidence_store_postgres.h"
#include "audit/queries_session_postgres.h"
#include "audit/tree_store_postgres.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "base/log.h"

namespace holdfast::audit {
namespace {

constexpr std::uint64_t kBatch = 256;
constexpr const char* kLines = "application/x-ndjson";
constexpr const char* kQuery = "application/timestamp-query";
constexpr const char* kSizeType = "text/x.tlog.size";
constexpr const char* kSink = "sink";

Error unavailable(std::string what) {
  return {ErrorCode::kUnavailable, std::move(what)};
}

Error answered(const std::string& who, const Posted& answer) {
  return unavailable(who + " answered " + std::to_string(answer.status) + " " +
                     holdfast::to_text(answer.body, 200));
}

AnchoredCheckpoint anchored(const SignedCheckpoint& checkpoint) {
  return {.head = checkpoint.head, .note = checkpoint.note, .signed_at = checkpoint.signed_at};
}

// The media type may have parameters.
bool is_tree_size(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return ascii_iequals(type, kSizeType);
}

// Whether the database's tree at `to` only adds to the one at `from`, as far as its hashes say.
bool only_adds(pqxx::transaction_base& transaction, const TreeHead& from, const TreeHead& to) {
  if (from.size > to.size) return false;
  TiledTree tree(to.size, tile_reader(transaction));
  const Result<Proof> proof = tree.consistency(from.size);
  return proof.ok() && verify_consistency(from, to, *proof);
}

}  // namespace

Anchor::Anchor(AnchorOptions options, std::string kind, std::string name)
    : options_(std::move(options)),
      kind_(std::move(kind)),
      name_(std::move(name)),
      session_(std::make_unique<DatabaseSession>(options_.database)),
      backoff_(options_.retry_min, options_.retry_max, options_.clock),
      status_{.kind = kind_, .name = name_} {}

Anchor::~Anchor() = default;

void Anchor::interrupt() {
  session_->interrupt();
}

AnchorStatus Anchor::status() const {
  MutexLock lock(mutex_);
  return status_;
}

Result<bool> Anchor::step() {
  if (const std::optional<Error> pause = backoff_.pause(); pause && !is_urgent()) return *pause;
  Result<bool> more = work();
  if (more.ok()) {
    backoff_.succeeded();
  } else {
    backoff_.failed(more.error());
  }
  MutexLock lock(mutex_);
  status_.problem = more.ok() ? "" : more.error().message;
  return more;
}

template <class T, class Read>
Result<T> Anchor::read(Read read) {
  Result<T> found = Error{ErrorCode::kInternal, "not read"};
  const Status ran = session_->run([&](pqxx::connection& connection) {
    pqxx::transaction<pqxx::repeatable_read, pqxx::read_only> transaction(connection);
    found = read(transaction);
  });
  if (!ran.ok()) return ran.error();
  return found;
}

Status Anchor::keep(const Evidence& evidence) {
  return session_->run([&](pqxx::connection& connection) {
    pqxx::work transaction(connection);
    add_evidence(transaction, evidence);
    transaction.commit();
  });
}

void Anchor::set_position(const TreeHead& head, WallTime signed_at) {
  MutexLock lock(mutex_);
  status_.head = head;
  status_.signed_at = signed_at;
}

std::optional<TreeHead> Anchor::position() const {
  MutexLock lock(mutex_);
  return status_.head;
}

Status Anchor::recall(EvidenceKind kind) {
  if (recalled_) return {};
  using Found = std::optional<AnchorPosition>;
  const Result<Found> found = read<Found>([&](pqxx::transaction_base& transaction) {
    return Result<Found>(anchor_position(transaction, kind, name_));
  });
  if (!found.ok()) return found.error();
  if (*found) set_position((*found)->head, (*found)->signed_at);
  recalled_ = true;
  return {};
}

FileAnchor::FileAnchor(AnchorOptions options, std::string path, std::unique_ptr<AnchorFile> file)
    : Anchor(std::move(options), "file", std::move(path)), file_(std::move(file)) {
  if (file_->newest()) set_position(file_->newest()->head, file_->newest()->signed_at);
}

Result<bool> FileAnchor::work() {
  if (!options().tree().frozen.empty()) return false;
  using Batch = std::vector<AnchoredCheckpoint>;
  const std::optional<AnchoredCheckpoint>& last = file_->newest();
  const Result<Batch> batch =
      read<Batch>([&](pqxx::transaction_base& transaction) -> Result<Batch> {
        std::optional<std::uint64_t> size;
        if (last) size = last->head.size;
        Batch found;
        for (const SignedCheckpoint& next : checkpoints_after(transaction, size, kBatch)) {
          // Of that size there may be several, of which the file has those up to its last line.
          const bool is_last = last && next.note == last->note;
          if (is_last) {
            found.clear();
          } else {
            found.push_back(anchored(next));
          }
        }
        const std::optional<SignedCheckpoint> newest = newest_checkpoint(transaction);
        if (last && (!newest || newest->head.size < last->head.size)) {
          return refused("the file has a checkpoint over " + std::to_string(last->head.size) +
                         " records, the database none over so many");
        }
        if (last && !found.empty() && !only_adds(transaction, last->head, found.back().head)) {
          return refused("the database's tree contradicts the file's checkpoint over " +
                         std::to_string(last->head.size) + " records");
        }
        return found;
      });
  if (!batch.ok()) return batch.error();
  if (batch->empty()) return false;
  if (Status appended = file_->append(*batch); !appended.ok()) return appended.error();
  set_position(batch->back().head, batch->back().signed_at);
  return batch->size() + 1 >= kBatch;
}

SinkAnchor::SinkAnchor(AnchorOptions options, std::unique_ptr<Poster> poster, std::string bearer)
    : Anchor(std::move(options), "sink", kSink),
      poster_(std::move(poster)),
      bearer_(std::move(bearer)) {}

void SinkAnchor::interrupt() {
  poster_->interrupt();
  Anchor::interrupt();
}

Result<bool> SinkAnchor::work() {
  if (Status recalled = recall(EvidenceKind::kReceipt); !recalled.ok()) return recalled.error();
  if (!options().tree().leading) return false;
  const std::optional<TreeHead> last = position();
  using Batch = std::vector<SignedCheckpoint>;
  const Result<Batch> batch = read<Batch>([&](pqxx::transaction_base& transaction) {
    std::optional<std::uint64_t> size;
    if (last) size = last->size;
    return Result<Batch>(checkpoints_after(transaction, size, kBatch));
  });
  if (!batch.ok()) return batch.error();
  if (batch->empty() || (last && batch->back().head == *last)) return false;
  std::string lines;
  for (const SignedCheckpoint& checkpoint : *batch) lines += anchor_line(anchored(checkpoint));
  const Result<Posted> answer = poster_->post(
      {.path = {}, .content_type = kLines, .body = std::move(lines), .bearer = bearer_});
  if (!answer.ok()) return answer.error();
  if (answer->status < 200 || answer->status > 299) return answered("the sink", *answer);
  const SignedCheckpoint& newest = batch->back();
  const Status kept = keep({.kind = EvidenceKind::kReceipt, .anchor = name(), .head = newest.head});
  if (!kept.ok()) return kept.error();
  set_position(newest.head, newest.signed_at);
  return batch->size() >= kBatch;
}

struct WitnessAnchor::Question {
  SignedCheckpoint checkpoint;
  std::uint64_t leadership = 0;
  std::uint64_t old_size = 0;
  Proof proof;
};

WitnessAnchor::WitnessAnchor(AnchorOptions options, std::unique_ptr<Poster> poster, WitnessKey key,
                             std::chrono::milliseconds interval)
    : Anchor(std::move(options), "witness", key.name),
      poster_(std::move(poster)),
      key_(std::move(key)),
      interval_(interval) {}

void WitnessAnchor::interrupt() {
  poster_->interrupt();
  Anchor::interrupt();
}

Status WitnessAnchor::opinion(std::uint64_t leadership) const {
  MutexLock lock(mutex_);
  if (!objection_.empty()) return refused(objection_);
  if (asked_ < leadership) return unavailable("the witness " + key_.name + " is being asked");
  return {};
}

// A new leader waits for the first answer, whatever went wrong before.
bool WitnessAnchor::is_urgent() const {
  const TreeStatus tree = options().tree();
  MutexLock lock(mutex_);
  return objection_.empty() && tree.leading && asked_ < tree.leadership;
}

Result<bool> WitnessAnchor::work() {
  if (Status recalled = recall(EvidenceKind::kCosignature); !recalled.ok()) {
    return recalled.error();
  }
  const Result<std::optional<Question>> question = this->question();
  if (!question.ok()) return question.error();
  if (!*question) return false;
  Result<bool> more = ask(**question);
  // Asked, whatever the answer: one that does not come keeps nobody from signing.
  if (!more.ok() || !*more) {
    asked_ = std::max(asked_.load(), (*question)->leadership);
    if (!more.ok() && more.error().code != ErrorCode::kRefused) {
      log_warning("a witness gives no cosignature",
                  {{"witness", key_.name}, {"why", more.error().message}});
    }
  }
  return more;
}

// What to ask now, if anything.
Result<std::optional<WitnessAnchor::Question>> WitnessAnchor::question() {
  using Found = std::optional<Question>;
  const TreeStatus tree = options().tree();
  bool objecting = false;
  {
    MutexLock lock(mutex_);
    objecting = !objection_.empty();
  }
  if (!tree.leading && !objecting) return Found();
  const bool due =
      objecting || told_size_ || asked_ < tree.leadership || options().clock.steady_now() >= next_;
  if (!due) return Found();
  const std::optional<TreeHead> last = position();
  if (last) known_size_ = told_size_ ? known_size_ : std::max(known_size_, last->size);
  return read<Found>([&](pqxx::transaction_base& transaction) -> Result<Found> {
    const std::optional<SignedCheckpoint> newest = newest_checkpoint(transaction);
    if (!newest) return Found();
    const bool said = last == newest->head && asked_ >= tree.leadership;
    if (said && !objecting && !told_size_) return Found();
    Question question{.checkpoint = *newest, .leadership = tree.leadership};
    question.old_size = std::min(known_size_, newest->head.size);
    TiledTree whole(newest->head.size, tile_reader(transaction));
    TiledTree old(question.old_size, tile_reader(transaction));
    Result<Proof> proof = whole.consistency(question.old_size);
    const Result<Sha256> root = old.root();
    if (!proof.ok() || !root.ok() ||
        !verify_consistency({.size = question.old_size, .root = *root}, newest->head, *proof)) {
      return unavailable("the database's hashes do not lead to its newest checkpoint");
    }
    question.proof = *std::move(proof);
    return Found(std::move(question));
  });
}

Result<bool> WitnessAnchor::ask(const Question& question) {
  const std::string body = format_add_checkpoint(
      {.old_size = question.old_size, .proof = question.proof, .note = question.checkpoint.note});
  const bool told = told_size_;
  told_size_ = false;
  next_ = options().clock.steady_now() + interval_;
  const Result<Posted> answer = poster_->post(
      {.path = "/add-checkpoint", .content_type = "text/plain; charset=utf-8", .body = body});
  if (!answer.ok()) return answer.error();
  if (answer->status == 200) return hear_cosignature(question, *answer);
  if (answer->status == 422) return object_to_tree(question.old_size);
  if (answer->status != 409) return answered("the witness " + key_.name, *answer);
  std::optional<std::uint64_t> size;
  if (is_tree_size(answer->content_type)) {
    if (const auto said = parse_tree_size(answer->body); said.ok()) size = *said;
  }
  // A 409 is about sizes, or about the root where the old size is the checkpoint's own.
  const std::uint64_t asked = question.checkpoint.head.size;
  if (question.old_size == asked && size.value_or(asked) == asked) return object_to_tree(asked);
  if (!size || told) return answered("the witness " + key_.name, *answer);
  return hear_size(question, *size);
}

// It has cosigned another size last than was thought; true: ask again with that.
Result<bool> WitnessAnchor::hear_size(const Question& question, std::uint64_t size) {
  known_size_ = size;
  if (size <= question.checkpoint.head.size) {
    told_size_ = true;
    return true;
  }
  // Another process that led may have been faster.
  using Found = std::optional<SignedCheckpoint>;
  const Result<Found> newest = read<Found>([](pqxx::transaction_base& transaction) {
    return Result<Found>(newest_checkpoint(transaction));
  });
  if (!newest.ok()) return newest.error();
  if (*newest && (*newest)->head.size >= size) {
    told_size_ = true;
    return true;
  }
  return object("the log has gone back: the witness " + key_.name + " has cosigned a tree of " +
                std::to_string(size) + " records, the database's newest checkpoint is over " +
                std::to_string(question.checkpoint.head.size));
}

Result<bool> WitnessAnchor::hear_cosignature(const Question& question, const Posted& answer) {
  const Result<std::vector<NoteSignature>> lines = parse_signature_lines(answer.body);
  const Result<Note> note = parse_note(question.checkpoint.note);
  if (!lines.ok() || !note.ok()) {
    return unavailable("the witness " + key_.name + " answered no signature lines");
  }
  const auto mine = std::ranges::find_if(*lines, [&](const NoteSignature& line) {
    return verify_cosignature(line, note->text, key_).ok();
  });
  if (mine == lines->end()) {
    return unavailable("the witness " + key_.name + " answered no cosignature of its key");
  }
  std::string line = signature_line(*mine);
  line.pop_back();
  const Status kept = keep({.kind = EvidenceKind::kCosignature,
                            .anchor = name(),
                            .head = question.checkpoint.head,
                            .content = std::move(line)});
  if (!kept.ok()) return kept.error();
  known_size_ = question.checkpoint.head.size;
  set_position(question.checkpoint.head, question.checkpoint.signed_at);
  MutexLock lock(mutex_);
  objection_.clear();
  return false;
}

Error WitnessAnchor::object_to_tree(std::uint64_t size) {
  return object("the witness " + key_.name + " has seen another tree of " + std::to_string(size) +
                " records than the database holds");
}

Error WitnessAnchor::object(std::string why) {
  MutexLock lock(mutex_);
  objection_ = why;
  return refused(std::move(why));
}

TimestampAnchor::TimestampAnchor(AnchorOptions options, std::string url,
                                 std::unique_ptr<Poster> poster, TimestampTrust trust,
                                 std::chrono::milliseconds interval)
    : Anchor(std::move(options), "timestamp", std::move(url)),
      poster_(std::move(poster)),
      trust_(std::move(trust)),
      interval_(interval) {}

void TimestampAnchor::interrupt() {
  poster_->interrupt();
  Anchor::interrupt();
}

Result<bool> TimestampAnchor::work() {
  if (Status recalled = recall(EvidenceKind::kTimestamp); !recalled.ok()) return recalled.error();
  if (!options().tree().leading || options().clock.steady_now() < next_) return false;
  using Found = std::optional<SignedCheckpoint>;
  const Result<Found> newest = read<Found>([](pqxx::transaction_base& transaction) {
    return Result<Found>(newest_checkpoint(transaction));
  });
  if (!newest.ok()) return newest.error();
  if (!*newest || position() == (*newest)->head) return false;
  const SignedCheckpoint& checkpoint = **newest;
  const Result<Note> note = parse_note(checkpoint.note);
  if (!note.ok()) return note.error();
  TimestampQuestion question{.digest = sha256(note->text)};
  std::array<std::uint8_t, sizeof(question.nonce)> random{};
  random_bytes(random);
  std::ranges::copy(random, reinterpret_cast<std::uint8_t*>(&question.nonce));
  const Result<Posted> answer =
      poster_->post({.path = {}, .content_type = kQuery, .body = timestamp_query(question)});
  if (!answer.ok()) return answer.error();
  if (answer->status != 200) return answered("the time-stamp authority", *answer);
  const Result<std::string> token = open_timestamp_response(answer->body, question);
  if (!token.ok()) return unavailable("the time-stamp authority: " + token.error().message);
  const Result<Timestamp> stamped = verify_timestamp(*token, question.digest, trust_);
  if (!stamped.ok()) return unavailable("the time-stamp authority: " + stamped.error().message);
  const Status kept = keep({.kind = EvidenceKind::kTimestamp,
                            .anchor = name(),
                            .head = checkpoint.head,
                            .content = *token});
  if (!kept.ok()) return kept.error();
  set_position(checkpoint.head, checkpoint.signed_at);
  next_ = options().clock.steady_now() + interval_;
  return false;
}

}  // namespace holdfast::audit
