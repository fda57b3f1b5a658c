// The tree in the database: reading it, and what the one session that may adds to it.
//
// Plain functions inside a caller's transaction; they throw what libpqxx throws, for the caller's
// adapter to translate.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "audit/tree.h"
#include "audit/tree_source.h"

namespace holdfast::audit {

std::uint64_t log_size(pqxx::transaction_base& transaction);

// "SELECT … FROM holdfast.tree_checkpoints", and what it gives.
extern const char* const kCheckpointColumns;
SignedCheckpoint checkpoint_in(const pqxx::row& row);
std::optional<SignedCheckpoint> first_checkpoint_in(const pqxx::result& rows);

std::optional<SignedCheckpoint> newest_checkpoint(pqxx::transaction_base& transaction);

// Leaf hashes of the indexes [begin, end) that the log holds, in order.
std::vector<Sha256> leaf_hashes(pqxx::transaction_base& transaction, std::uint64_t begin,
                                std::uint64_t end);

// Exactly `width` hashes; kNotFound: the database does not hold them all. Leaves that are in no
// full tile yet come from the log.
Result<std::string> read_tile(pqxx::transaction_base& transaction, const TileId& id);

// Reads within `transaction`, which must outlive it.
TileReader tile_reader(pqxx::transaction_base& transaction);

// `width` entries from tile_index * 256 on, each after its length; kNotFound: the log does not hold
// them all any more.
Result<std::string> read_bundle(pqxx::transaction_base& transaction, const TilePosition& position);

// Goes on from the full tiles that the database holds. kInvalid: they do not fit together.
Result<TreeBuilder> load_builder(pqxx::transaction_base& transaction);

// From take_tiles(). The database refuses tiles that differ from the log.
void add_tiles(pqxx::transaction_base& transaction, const std::vector<Tile>& tiles);
void add_checkpoint(pqxx::transaction_base& transaction, const TreeHead& head,
                    const std::string& note);

// Whether this session leads now. It stays so until the connection ends.
bool try_tree_lock(pqxx::transaction_base& transaction);

// How the leader's session names itself; empty: nobody leads.
std::string tree_leader(pqxx::transaction_base& transaction);

}  // namespace holdfast::audit
