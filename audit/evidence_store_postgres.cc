#include "audit/evidence_store_postgres.h"

#include <algorithm>

#include "audit/bytea_postgres.h"
#include "audit/tree_store_postgres.h"
#include "base/crypto.h"

namespace holdfast::audit {
namespace {

// Of a note's 100, so that the log's own signatures always fit in.
constexpr int kCosignaturesMax = 64;

// The table holds no other kinds.
EvidenceKind kind_named(std::string_view name) {
  for (const EvidenceKind kind : {EvidenceKind::kCosignature, EvidenceKind::kTimestamp}) {
    if (to_text(kind) == name) return kind;
  }
  return EvidenceKind::kReceipt;
}

}  // namespace

std::vector<Evidence> read_evidence(pqxx::transaction_base& transaction, std::uint64_t first,
                                    std::uint64_t count) {
  std::vector<Evidence> found;
  for (const pqxx::row& row : transaction.exec_params(
           "SELECT kind, anchor, size, root, content, (extract(epoch FROM received) * "
           "1000000)::bigint FROM holdfast.anchor_evidence WHERE ordinal >= $1::bigint AND ordinal "
           "< $2::bigint ORDER BY ordinal",
           first, first + count)) {
    Evidence piece{.kind = kind_named(row[0].c_str()), .anchor = row[1].c_str()};
    piece.head.size = row[2].as<std::uint64_t>();
    std::ranges::copy(pqxx::binarystring(row[3]).str(), piece.head.root.begin());
    piece.content = pqxx::binarystring(row[4]).str();
    piece.received = WallTime(std::chrono::microseconds(row[5].as<std::int64_t>()));
    found.push_back(std::move(piece));
  }
  return found;
}

void add_evidence(pqxx::transaction_base& transaction, const Evidence& evidence) {
  transaction.exec_params("SELECT holdfast.add_evidence($1, $2, $3::bigint, $4::bytea, $5::bytea)",
                          std::string(to_text(evidence.kind)), evidence.anchor, evidence.head.size,
                          binary(bytes_of(evidence.head.root)), binary(evidence.content));
}

std::optional<SignedCheckpoint> newest_cosigned_checkpoint(pqxx::transaction_base& transaction) {
  return first_checkpoint_in(
      transaction.exec(std::string(kCheckpointColumns) +
                       " WHERE size = (SELECT max(size) FROM "
                       "holdfast.anchor_evidence WHERE kind = 'cosignature') "
                       "ORDER BY ordinal DESC LIMIT 1"));
}

std::optional<AnchorPosition> anchor_position(pqxx::transaction_base& transaction,
                                              EvidenceKind kind, const std::string& anchor) {
  const pqxx::result rows = transaction.exec_params(
      "SELECT e.size, e.root, (SELECT (extract(epoch FROM min(c.signed)) * 1000000)::bigint FROM "
      "holdfast.tree_checkpoints c WHERE c.size = e.size) FROM holdfast.anchor_evidence e WHERE "
      "e.anchor = $1 AND e.kind = $2 ORDER BY e.ordinal DESC LIMIT 1",
      anchor, std::string(to_text(kind)));
  if (rows.empty()) return std::nullopt;
  AnchorPosition position;
  position.head.size = rows[0][0].as<std::uint64_t>();
  std::ranges::copy(pqxx::binarystring(rows[0][1]).str(), position.head.root.begin());
  if (!rows[0][2].is_null()) {
    position.signed_at = WallTime(std::chrono::microseconds(rows[0][2].as<std::int64_t>()));
  }
  return position;
}

std::vector<SignedCheckpoint> checkpoints_after(pqxx::transaction_base& transaction,
                                                const std::optional<std::uint64_t>& size,
                                                std::uint64_t count) {
  const std::string from = std::to_string(size.value_or(0));
  const std::string behind =
      size ? " WHERE ordinal > coalesce((SELECT min(ordinal) FROM holdfast.tree_checkpoints WHERE "
             "size = " +
                 from +
                 "), (SELECT max(ordinal) FROM holdfast.tree_checkpoints WHERE size "
                 "< " +
                 from + "), -1)"
           : "";
  std::vector<SignedCheckpoint> found;
  const pqxx::result rows = transaction.exec(std::string(kCheckpointColumns) + behind +
                                             " ORDER BY ordinal LIMIT " + std::to_string(count));
  for (const pqxx::row& row : rows) found.push_back(checkpoint_in(row));
  return found;
}

std::string cosigned_note(pqxx::transaction_base& transaction, const SignedCheckpoint& checkpoint) {
  std::string note = checkpoint.note;
  for (const pqxx::row& row : transaction.exec_params(
           "SELECT convert_from(content, 'UTF8') FROM holdfast.anchor_evidence WHERE size = "
           "$1::bigint AND root = $2::bytea AND kind = 'cosignature' ORDER BY ordinal LIMIT $3",
           checkpoint.head.size, binary(bytes_of(checkpoint.head.root)), kCosignaturesMax)) {
    note += row[0].c_str();
    note += '\n';
  }
  return note;
}

}  // namespace holdfast::audit
