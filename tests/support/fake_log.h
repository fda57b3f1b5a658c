// A log in memory, as Holdfast writes one, to be verified by tests: whole, or with one thing wrong.
//
//   FakeLog log;
//   log.add_calls(300);                       // An intent and its outcome each.
//   log.change_entry(7, …);                   // Behind the back of the tree.
//   audit::verify_log(log.plan());
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/entry.h"
#include "audit/log_source.h"
#include "audit/verify.h"
#include "base/canonical_object.h"

namespace holdfast::testing {

inline constexpr std::string_view kFakeOrigin = "fake.example/log";

// What one record is made of where it is not what any record is.
struct FakeRecord {
  audit::Kind kind = audit::Kind::kSystem;
  Uuid operation_id{};
  audit::WriterRole role = audit::WriterRole::kProxy;
  Uuid writer{.bytes = {1}};
  std::int64_t second = -1;  // Of its time; -1: one after the last.
  std::string approval;      // Its member, as JSON; empty: none.
  std::string outcome;       // The same.
  std::string system;        // The same.
  std::size_t padding = 0;   // More bytes.
};

class FakeLog {
 public:
  FakeLog()
      : signer_(std::make_shared<audit::NoteSigner>(std::string(kFakeOrigin),
                                                    SigningKey::generate())) {}

  std::uint64_t size() const { return entries_.size(); }
  const std::string& entry(std::uint64_t index) const { return entries_[index]; }
  const audit::VerifierKey& key() const { return signer_->verifier(); }

  // Returns its index.
  std::uint64_t add(const FakeRecord& record) {
    if (record.second >= 0) second_ = record.second;
    audit::Record made{.kind = record.kind, .operation_id = record.operation_id};
    if (!record.approval.empty()) made.written.push_back({"approval", record.approval});
    if (!record.outcome.empty()) made.written.push_back({"outcome", record.outcome});
    if (!record.system.empty()) made.written.push_back({"system", record.system});
    if (record.padding > 0) {
      CanonicalObject request;
      request.text("target", std::string(record.padding, 'x'));
      made.written.push_back({"request", std::move(request).take()});
    }
    auto entry = audit::make_entry(std::move(made), make_uuid_v7(WallTime(std::chrono::seconds(9))),
                                   {.id = record.writer, .role = record.role});
    EXPECT_TRUE(entry.ok()) << entry.error().message;
    entry->set_time(WallTime(std::chrono::seconds(1'800'000'000 + second_++)));
    return add_bytes(entry->bytes);
  }
  std::uint64_t add_bytes(std::string bytes) {
    leaves_.push_back(leaf_hash(bytes));
    builder_.append(leaves_.back());
    for (const audit::Tile& tile : builder_.take_tiles()) {
      full_[{.level = tile.level, .index = tile.index}] = tile.hashes;
      roots_[{tile.level, tile.index}] = tile.root;
    }
    entries_.push_back(std::move(bytes));
    return entries_.size() - 1;
  }

  Uuid add_intent(const std::string& approval = "") {
    const Uuid operation = make_uuid_v7(WallTime(std::chrono::seconds(9)));
    add({.kind = audit::Kind::kIntent, .operation_id = operation, .approval = approval});
    return operation;
  }
  void add_outcome(const Uuid& operation, const std::string& outcome = R"({"result":"executed"})") {
    add({.kind = audit::Kind::kOutcome, .operation_id = operation, .outcome = outcome});
  }
  void add_calls(int count, std::size_t padding = 0) {
    for (int i = 0; i < count; ++i) {
      const Uuid operation = make_uuid_v7(WallTime(std::chrono::seconds(9)));
      add({.kind = audit::Kind::kIntent, .operation_id = operation, .padding = padding});
      add({.kind = audit::Kind::kOutcome,
           .operation_id = operation,
           .outcome = R"({"result":"executed","status":204})",
           .padding = padding});
    }
  }

  audit::TreeHead head() const { return {.size = builder_.size(), .root = builder_.root()}; }
  std::string note() const { return note_of(head()); }
  std::string note_of(const audit::TreeHead& head) const {
    return audit::sign_checkpoint(
        {.origin = std::string(kFakeOrigin), .head = head, .extensions = {}},
        std::span(signer_.get(), 1));
  }

  // Behind the back of the tree.
  void change_entry(std::uint64_t index, const std::string& bytes) { entries_[index] = bytes; }
  void lose_entry(std::uint64_t index) { entries_[index].clear(); }
  void lose_entries_of(std::uint64_t tile) { lost_.insert(tile); }
  // nullopt: it is lost.
  void change_tile(const audit::TileId& id, std::optional<std::string> bytes) {
    changed_tiles_[id] = std::move(bytes);
  }
  void fail_with(Error error) { failure_ = std::move(error); }
  // What the database says beside each entry; without, nothing is said.
  std::function<audit::EntryColumns(std::uint64_t)> columns;

  audit::VerifyPlan plan() const {
    audit::VerifyPlan plan;
    plan.entries = plan.tree_size = size();
    plan.roots = {{.head = head(), .from = "the checkpoint"}};
    plan.open = [this]() -> Result<std::unique_ptr<audit::LogSource>> {
      return std::unique_ptr<audit::LogSource>(std::make_unique<Source>(*this));
    };
    plan.threads = 2;
    plan.retention.partition_records = audit::kTileWidth;
    return plan;
  }

 private:
  class Source final : public audit::LogSource {
   public:
    explicit Source(const FakeLog& log) : log_(log) {}
    Result<std::string> tile(const audit::TileId& id) override {
      if (log_.failure_) return *log_.failure_;
      const auto changed = log_.changed_tiles_.find(id);
      if (changed == log_.changed_tiles_.end()) {
        const std::uint64_t hashes = audit::hashes_at(id.level, log_.size());
        if (id.index * audit::kTileWidth + id.width <= hashes) return log_.true_tile(id);
        return Error{ErrorCode::kNotFound, "no such file"};
      }
      if (changed->second) return *changed->second;
      return Error{ErrorCode::kNotFound, "no such file"};
    }
    Result<audit::EntryBatch> entries(const audit::TilePosition& position) override {
      if (log_.lost_.contains(position.index)) return Error{ErrorCode::kNotFound, "no such file"};
      audit::EntryBatch batch;
      for (std::uint64_t i = 0; i < position.width; ++i) {
        const std::uint64_t index = position.index * audit::kTileWidth + i;
        if (index >= log_.size() || log_.entries_[index].empty()) {
          batch.add_missing();
        } else if (log_.columns) {
          batch.add(log_.entries_[index], log_.columns(index));
        } else {
          batch.add(log_.entries_[index]);
        }
      }
      return batch;
    }

   private:
    const FakeLog& log_;
  };

  Result<std::string> true_tile(const audit::TileId& id) const {
    const auto full = full_.find({.level = id.level, .index = id.index});
    if (full != full_.end()) return full->second.substr(0, id.width * sizeof(Sha256));
    std::string hashes;
    for (std::uint64_t i = 0; i < id.width; ++i) {
      const std::uint64_t index = id.index * audit::kTileWidth + i;
      hashes += bytes_of(id.level == 0 ? leaves_[index] : roots_.at({id.level - 1, index}));
    }
    return hashes;
  }

  std::shared_ptr<const audit::NoteSigner> signer_;  // Copies of a log have one key.
  std::int64_t second_ = 0;
  std::vector<std::string> entries_;
  std::vector<Sha256> leaves_;  // As the entries were added.
  audit::TreeBuilder builder_;
  std::map<audit::TileId, std::string> full_;
  std::map<std::pair<int, std::uint64_t>, Sha256> roots_;
  std::map<audit::TileId, std::optional<std::string>> changed_tiles_;
  std::set<std::uint64_t> lost_;
  std::optional<Error> failure_;
};

}  // namespace holdfast::testing
