// What the audit service asks, in memory; each remembers what it was asked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/queries.h"
#include "audit/tree_source.h"
#include "base/encoding.h"

namespace holdfast::audit {

class FakeRecordSource final : public RecordSource {
 public:
  Task<Result<RecordPage>> search(RecordQuery query) override {
    asked.push_back(std::move(query));
    if (error) co_return *error;
    co_return page;
  }
  Task<Result<FoundRecord>> get(std::variant<std::int64_t, Uuid> which) override {
    if (error) co_return *error;
    for (const FoundRecord& record : page.records) {
      if (std::holds_alternative<Uuid>(which) || std::get<0>(which) == record.index) {
        co_return record;
      }
    }
    co_return Error{ErrorCode::kNotFound, "no such record"};
  }
  Task<Result<LogState>> state() override {
    if (error) co_return *error;
    co_return log_state;
  }

  RecordPage page;
  LogState log_state{.log_size = 5, .derived = 5, .partitions = 8'388'608};
  std::optional<Error> error;
  std::vector<RecordQuery> asked;
};

// A tree of one checkpoint, whatever is asked.
// A checkpoint's note in form, over so many records and with a root of zeros.
inline std::string fake_note(std::uint64_t size) {
  return "origin\n" + std::to_string(size) + "\n" + to_base64(std::string(sizeof(Sha256), '\0')) +
         "\n\n\xE2\x80\x94 origin AAAAAAA=\n";
}

class FakeTreeSource final : public TreeSource {
 public:
  Task<Result<TreeState>> state() override {
    if (error) co_return *error;
    co_return tree;
  }
  Task<Result<std::string>> tile(TileId id) override {
    tiles_asked.push_back(id);
    if (error) co_return *error;
    co_return std::string(id.width * sizeof(Sha256), 't');
  }
  Task<Result<std::string>> bundle(TilePosition position) override {
    bundles_asked.push_back(position);
    if (error) co_return *error;
    co_return std::string("\0\1e", 3);
  }
  Task<Result<std::string>> proof(std::variant<std::int64_t, Uuid> which) override {
    proofs_asked.push_back(which);
    if (error) co_return *error;
    co_return std::string("c2sp.org/tlog-proof@v1\n");
  }
  Task<Result<std::vector<Evidence>>> evidence(std::uint64_t file) override {
    if (error) co_return *error;
    if (file >= evidence_files.size()) co_return Error{ErrorCode::kNotFound, "none yet"};
    co_return evidence_files[file];
  }

  TreeState tree{
      .checkpoint = SignedCheckpoint{.note = fake_note(5), .head = {.size = 5}, .signed_at = {}},
      .log_size = 7,
      .leader = "1@host"};
  std::optional<Error> error;
  std::vector<std::vector<Evidence>> evidence_files;
  std::vector<TileId> tiles_asked;
  std::vector<TilePosition> bundles_asked;
  std::vector<std::variant<std::int64_t, Uuid>> proofs_asked;
};

}  // namespace holdfast::audit
