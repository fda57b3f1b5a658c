// A log in its database, read to be verified, with what belongs to it there: the columns beside
// each entry, the search table derived from it, every checkpoint, and what protects all that from
// changes. And where the tables say that approvals, tokens, rules and the like stand, which must be
// where records have brought them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audit/log_source.h"
#include "audit/queries_postgres.h"
#include "audit/verify_checkpoints.h"

namespace holdfast::audit {

// How the log stood at one moment. What is read later holds all of it, unless somebody takes it
// away.
struct DatabaseLog {
  std::uint64_t log_size = 0;
  // Records below it are in the search table. nullopt: the database does not say.
  std::optional<std::uint64_t> derived{};
  std::string newest_checkpoint;  // The note; empty: there is none.
  std::uint64_t tree_size = 0;    // Of that one.
  std::uint64_t checkpoints = 0;
  std::vector<SignedRoot> roots;                  // Of every checkpoint whose signature holds.
  std::vector<LogGrammar::Open> open_operations;  // Without their outcome, as the database has it.
  Faults faults;
};

// Rows and tables that are not what Holdfast makes are faults, here and below. Errors:
// kUnavailable, kTimeout, kInternal; kNotFound: the database holds no log. Memory: 80 bytes for
// each checkpoint.
Result<DatabaseLog> read_database_log(const DatabaseAccess& access,
                                      std::span<const VerifierKey> keys, unsigned threads);

// How many records the log holds by now. Errors: as above.
Result<std::uint64_t> read_log_size(const DatabaseAccess& access);

// Whether the database has a checkpoint over that tree by now, of `ordinal` or later. Errors: as
// above.
Result<bool> has_checkpoint(const DatabaseAccess& access, std::uint64_t ordinal,
                            const TreeHead& head);

// One for each thread. Entries come with what the database says beside them.
Result<std::unique_ptr<LogSource>> open_database_source(const DatabaseAccess& access);

// On a connection of its own. In the place of a piece that is missing stands an empty line.
EvidenceReader open_database_evidence(const DatabaseAccess& access);

// Whether the database still is what the migrations made of it: triggers that refuse changes and
// none that do anything else, no rules, policies or event triggers, roles that may write no table
// and an owner that nobody can be, people erased as records say, functions and tables as the last
// migration of this version left them. On a standby, tables are not compared, and of functions only
// the bodies, owners and rights. What is not so, as faults.
Result<Faults> check_database_guards(const DatabaseAccess& access);

// Whether each row of the tables that say where things stand (audit/state_check_sql.h) is as
// records made it, and each such record has its row but for the steps of approvals and reviews,
// which entries come with. All at one moment, so that a log that is being written is no fault.
Result<Faults> check_database_state(const DatabaseAccess& access);

}  // namespace holdfast::audit
