#include "audit/damage_postgres.h"

#include <algorithm>
#include <array>

namespace holdfast::audit {
namespace {

// Values, cardinality, syntax and names, broken blocks and indexes.
constexpr std::array<std::string_view, 4> kDamage = {"21", "22", "42", "XX00"};
constexpr std::string_view kInsufficientPrivilege = "42501";
constexpr std::string_view kInternalError = "XX000";

}  // namespace

bool is_damage(const std::exception& problem) {
  if (const auto* refused = dynamic_cast<const pqxx::sql_error*>(&problem)) {
    const std::string& state = refused->sqlstate();
    return state != kInsufficientPrivilege && state != kInternalError &&
           std::ranges::any_of(kDamage, [&](auto begin) { return state.starts_with(begin); });
  }
  return dynamic_cast<const pqxx::conversion_error*>(&problem) != nullptr ||
         dynamic_cast<const pqxx::unexpected_rows*>(&problem) != nullptr;
}

void check_part(pqxx::dbtransaction& transaction, const Database& database, const std::string& what,
                Faults& faults, const std::function<void(pqxx::transaction_base&)>& check) {
  try {
    pqxx::subtransaction part(transaction);
    // It begins with a statement that has no parameters; those of a check may have some.
    part.exec("SELECT 1");
    check(part);
    part.commit();
  } catch (const std::exception& problem) {
    if (!is_damage(problem)) throw;
    faults.add_general(what + ": " + safe_message(problem.what(), database));
  }
}

}  // namespace holdfast::audit
