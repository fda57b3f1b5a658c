// Anchors: who holds the log's checkpoints outside the database, so that a database that was rolled
// back or rewritten contradicts somebody. Each has a thread of its own that calls step(), so a slow
// one holds up nobody, least of all signing; no transaction is open while it waits for another
// machine. What fails is tried again, after a second at first and a minute at last.
//
//   FileAnchor       appends every checkpoint to a file; in every process, leading or not.
//   SinkAnchor       POSTs every checkpoint, as lines of the same form, at least once each.
//   WitnessAnchor    has the newest one cosigned (C2SP tlog-witness).
//   TimestampAnchor  has the newest one time-stamped (RFC 3161).
// The last three work while this process leads, and note in the database what they were given.
//
// After a crash each goes on from what the file or the database says. A checkpoint may then be sent
// to a sink twice, or be appended to the file twice when it was signed twice.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "audit/anchor_file.h"
#include "audit/cosignature.h"
#include "audit/evidence.h"
#include "audit/poster.h"
#include "audit/queries_postgres.h"
#include "audit/tree_source.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/timestamp.h"

namespace holdfast::audit {

class DatabaseSession;
struct AnchorPosition;

struct AnchorStatus {
  std::string kind;  // "file", "sink", "witness", "timestamp".
  std::string name;
  std::optional<TreeHead> head;       // The newest checkpoint that it has.
  std::optional<WallTime> signed_at;  // When that was signed.
  std::string problem;                // Why the last try failed; empty: it did not.
};

// What all anchors are made with.
struct AnchorOptions {
  DatabaseAccess database;
  std::function<TreeStatus()> tree;  // From any thread.
  const Clock& clock = system_clock();
  std::chrono::milliseconds retry_min{1'000};
  std::chrono::milliseconds retry_max{60'000};
};

class Anchor {
 public:
  virtual ~Anchor();
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

  // Does what is to be done now; true: more is left. Blocks while others answer. Not called again
  // until retry time after an error: it then gives that error again at once. One thread.
  Result<bool> step();

  // From any thread.
  virtual void interrupt();  // For good.
  AnchorStatus status() const;

 protected:
  Anchor(AnchorOptions options, std::string kind, std::string name);

  virtual Result<bool> work() = 0;
  virtual bool is_urgent() const { return false; }  // Whether work() must not wait for a retry.

  // What `read` gives in one transaction on a session of this anchor's own.
  template <class T, class Read>
  Result<T> read(Read read);
  Status keep(const Evidence& evidence);
  void set_position(const TreeHead& head, WallTime signed_at);
  std::optional<TreeHead> position() const;
  // Where the database says that it has got to, once.
  Status recall(EvidenceKind kind);
  const AnchorOptions& options() const { return options_; }
  const std::string& name() const { return name_; }

 private:
  const AnchorOptions options_;
  const std::string kind_;
  const std::string name_;
  std::unique_ptr<DatabaseSession> session_;
  bool recalled_ = false;
  Backoff backoff_;
  mutable Mutex mutex_;
  AnchorStatus status_ HOLDFAST_GUARDED_BY(mutex_);
};

class FileAnchor final : public Anchor {
 public:
  FileAnchor(AnchorOptions options, std::string path, std::unique_ptr<AnchorFile> file);

 private:
  Result<bool> work() override;

  std::unique_ptr<AnchorFile> file_;
};

class SinkAnchor final : public Anchor {
 public:
  // `bearer` is sent with each request unless it is empty.
  SinkAnchor(AnchorOptions options, std::unique_ptr<Poster> poster, std::string bearer);
  void interrupt() override;

 private:
  Result<bool> work() override;

  const std::unique_ptr<Poster> poster_;
  const std::string bearer_;
};

class WitnessAnchor final : public Anchor {
 public:
  WitnessAnchor(AnchorOptions options, std::unique_ptr<Poster> poster, WitnessKey key,
                std::chrono::milliseconds interval);
  void interrupt() override;

  // Whether the process that has led since `leadership` may sign, as far as this witness is
  // concerned. kUnavailable: not known yet; it is being asked. kRefused: the witness has seen a
  // tree that contradicts the database's. A witness that does not answer is no reason not to sign.
  Status opinion(std::uint64_t leadership) const;

 private:
  struct Question;

  Result<bool> work() override;
  bool is_urgent() const override;
  Result<std::optional<Question>> question();
  Result<bool> ask(const Question& question);
  Result<bool> hear_size(const Question& question, std::uint64_t size);
  Result<bool> hear_cosignature(const Question& question, const Posted& answer);
  Error object_to_tree(std::uint64_t size);
  Error object(std::string why);

  const std::unique_ptr<Poster> poster_;
  const WitnessKey key_;
  const std::chrono::milliseconds interval_;
  std::uint64_t known_size_ = 0;         // What the witness cosigned last, as far as known.
  bool told_size_ = false;               // It has just said so itself.
  SteadyTime next_{};                    // Not before.
  std::atomic<std::uint64_t> asked_{0};  // Under this leadership.
  mutable Mutex mutex_;
  std::string objection_ HOLDFAST_GUARDED_BY(mutex_);
};

class TimestampAnchor final : public Anchor {
 public:
  TimestampAnchor(AnchorOptions options, std::string url, std::unique_ptr<Poster> poster,
                  TimestampTrust trust, std::chrono::milliseconds interval);
  void interrupt() override;

 private:
  Result<bool> work() override;

  const std::unique_ptr<Poster> poster_;
  const TimestampTrust trust_;
  const std::chrono::milliseconds interval_;
  SteadyTime next_{};
};

}  // namespace holdfast::audit
