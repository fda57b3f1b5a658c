// What others have said of checkpoints, in the database.
//
// Plain functions inside a caller's transaction; they throw what libpqxx throws, for the caller's
// adapter to translate.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "audit/evidence.h"
#include "audit/tree_source.h"

namespace holdfast::audit {

// The pieces first, first + 1, … in the order of their arrival; at most `count`.
std::vector<Evidence> read_evidence(pqxx::transaction_base& transaction, std::uint64_t first,
                                    std::uint64_t count);

// Keeps what is new; `received` is the database's to say. The database refuses evidence of a
// checkpoint that was never signed.
void add_evidence(pqxx::transaction_base& transaction, const Evidence& evidence);

// The newest one that a witness has cosigned.
std::optional<SignedCheckpoint> newest_cosigned_checkpoint(pqxx::transaction_base& transaction);

// Where an anchor has got to: the newest checkpoint that it has said something of.
struct AnchorPosition {
  TreeHead head;
  WallTime signed_at;
};
std::optional<AnchorPosition> anchor_position(pqxx::transaction_base& transaction,
                                              EvidenceKind kind, const std::string& anchor);

// Checkpoints in the order of signing, behind the first one over `size` records; all where there is
// no such size. So what was signed again over as many records, with another key, comes again too.
std::vector<SignedCheckpoint> checkpoints_after(pqxx::transaction_base& transaction,
                                                const std::optional<std::uint64_t>& size,
                                                std::uint64_t count);

// The checkpoint's note with the cosignatures that have arrived for it behind the log's own
// signatures.
std::string cosigned_note(pqxx::transaction_base& transaction, const SignedCheckpoint& checkpoint);

}  // namespace holdfast::audit
