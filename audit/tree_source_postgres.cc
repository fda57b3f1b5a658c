#include "audit/tree_source_postgres.h"

#include <limits>

#include "audit/checkpoint.h"
#include "audit/evidence_store_postgres.h"
#include "audit/queries_sql.h"
#include "audit/query_workers_postgres.h"
#include "audit/tree_store_postgres.h"

namespace holdfast::audit {
namespace {

Error not_found(const char* what) {
  return {ErrorCode::kNotFound, what};
}

// What `read` says of one state of the database.
template <class T>
Result<T> ask(DatabaseSession& session,
              const std::function<Result<T>(pqxx::transaction_base&)>& read) {
  Result<T> answer = Error{ErrorCode::kInternal, "not asked"};
  const Status status = session.run([&](pqxx::connection& connection) {
    pqxx::transaction<pqxx::repeatable_read, pqxx::read_only> transaction(connection);
    answer = read(transaction);
  });
  if (!status.ok()) return status.error();
  return answer;
}

template <class T>
std::function<Result<T>(DatabaseSession&)> question(
    std::function<Result<T>(pqxx::transaction_base&)> read) {
  return [read = std::move(read)](DatabaseSession& session) { return ask<T>(session, read); };
}

// The number of leaves that the world has been told of.
std::uint64_t published_size(pqxx::transaction_base& transaction) {
  const std::optional<SignedCheckpoint> newest = newest_checkpoint(transaction);
  return newest ? newest->head.size : 0;
}

Result<std::uint64_t> index_of(pqxx::transaction_base& transaction,
                               const std::variant<std::int64_t, Uuid>& which) {
  if (const auto* index = std::get_if<std::int64_t>(&which)) {
    if (static_cast<std::uint64_t>(*index) >= log_size(transaction)) {
      return not_found("no such record");
    }
    return static_cast<std::uint64_t>(*index);
  }
  const SqlQuestion sql = id_question(std::get<Uuid>(which));
  const pqxx::result rows =
      transaction.exec_params(sql.text, pqxx::prepare::make_dynamic_params(sql.values));
  if (rows.empty()) return not_found("no such record");
  return rows.front()["index"].as<std::uint64_t>();
}

Result<std::string> read_proof(pqxx::transaction_base& transaction,
                               const std::variant<std::int64_t, Uuid>& which) {
  const Result<std::uint64_t> index = index_of(transaction, which);
  if (!index.ok()) return index.error();
  std::optional<SignedCheckpoint> newest = newest_checkpoint(transaction);
  if (!newest) return not_found("this log has no signed checkpoint");
  if (*index >= newest->head.size) {
    return Error{ErrorCode::kUnavailable,
                 "no checkpoint covers the record yet; ask again in a second"};
  }
  // The proof is then worth more to those who trust the witness.
  if (auto cosigned = newest_cosigned_checkpoint(transaction);
      cosigned && *index < cosigned->head.size) {
    newest = std::move(cosigned);
  }
  TiledTree tree(newest->head.size, tile_reader(transaction));
  const Result<Sha256> leaf = tree.leaf(*index);
  const Result<Proof> proof = leaf.ok() ? tree.inclusion(*index) : Result<Proof>(leaf.error());
  if (!proof.ok()) return Error{ErrorCode::kInternal, "tree: " + proof.error().message};
  const LeafPlace place{.leaf = *leaf, .index = *index, .size = newest->head.size};
  if (!verify_inclusion(place, *proof, newest->head.root)) {
    return Error{ErrorCode::kInternal, "tree: its hashes do not lead to the checkpoint's root"};
  }
  return format_proof(*index, *proof, cosigned_note(transaction, *newest));
}

}  // namespace

Task<Result<TreeState>> PostgresTreeSource::state() {
  auto asked = question<TreeState>([](pqxx::transaction_base& transaction) -> Result<TreeState> {
    TreeState state{.checkpoint = newest_checkpoint(transaction),
                    .log_size = log_size(transaction),
                    .leader = tree_leader(transaction)};
    if (state.checkpoint) state.checkpoint->note = cosigned_note(transaction, *state.checkpoint);
    return state;
  });
  co_return co_await workers_.answer(std::move(asked));
}

Task<Result<std::string>> PostgresTreeSource::tile(TileId id) {
  auto asked =
      question<std::string>([id](pqxx::transaction_base& transaction) -> Result<std::string> {
        // Division, because the index came from outside.
        const std::uint64_t hashes = hashes_at(id.level, published_size(transaction));
        if (hashes < id.width || id.index > (hashes - id.width) / kTileWidth) {
          return not_found("the tree has no such tile");
        }
        return read_tile(transaction, id);
      });
  co_return co_await workers_.answer(std::move(asked));
}

Task<Result<std::string>> PostgresTreeSource::bundle(TilePosition position) {
  auto asked =
      question<std::string>([position](pqxx::transaction_base& transaction) -> Result<std::string> {
        const std::uint64_t entries = published_size(transaction);
        if (entries < position.width || position.index > (entries - position.width) / kTileWidth) {
          return not_found("the tree has no such entries");
        }
        return read_bundle(transaction, position);
      });
  co_return co_await workers_.answer(std::move(asked));
}

Task<Result<std::string>> PostgresTreeSource::proof(std::variant<std::int64_t, Uuid> which) {
  auto asked =
      question<std::string>([which](pqxx::transaction_base& transaction) -> Result<std::string> {
        return read_proof(transaction, which);
      });
  co_return co_await workers_.answer(std::move(asked));
}

Task<Result<std::vector<Evidence>>> PostgresTreeSource::evidence(std::uint64_t file) {
  auto asked = question<std::vector<Evidence>>(
      [file](pqxx::transaction_base& transaction) -> Result<std::vector<Evidence>> {
        constexpr auto kMax =
            std::uint64_t{std::numeric_limits<std::int64_t>::max()} / kEvidenceInFile;
        std::vector<Evidence> found;
        if (file < kMax) {
          found = read_evidence(transaction, file * kEvidenceInFile, kEvidenceInFile);
        }
        if (found.empty()) return not_found("there is no such evidence yet");
        return found;
      });
  co_return co_await workers_.answer(std::move(asked));
}

}  // namespace holdfast::audit
