// Brings a database to the schema of this binary. Forward only: an applied migration never changes,
// and each is applied once, whole, under an advisory lock that every other `holdfast migrate` waits
// for.
//
// Connects as a database administrator, not as a role that runs Holdfast. Blocks its thread. A
// crash leaves whole migrations applied and no half one.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "audit/conninfo.h"
#include "audit/migrations.h"
#include "base/result.h"

namespace holdfast::audit {

enum class MigrationState {
  kApplied,
  kPending,
  kChanged,  // Applied, and not with the text that this binary has.
  kForeign,  // Applied, and this binary does not know it: a newer one has been here.
};

std::string_view to_string(MigrationState state);

struct MigrationStatus {
  std::string name;
  MigrationState state = MigrationState::kPending;
};

// What has been applied, and what migrate() would do. Changes nothing.
Result<std::vector<MigrationStatus>> migration_status(const Database& database,
                                                      std::span<const Migration> known);

// Applies what is pending and returns the names. kRefused: an applied migration was changed, is
// unknown here, or would come after a pending one. kInvalid: a migration failed; it and all after
// it have changed nothing.
Result<std::vector<std::string>> migrate(const Database& database,
                                         std::span<const Migration> known);

}  // namespace holdfast::audit
