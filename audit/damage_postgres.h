// Telling a database whose log is damaged from one that cannot be read: for verify, which must
// report the one as a fault, whoever made it, and must not take the other for one.
#pragma once

#include <functional>
#include <pqxx/pqxx>
#include <string>

#include "audit/conninfo.h"
#include "audit/verify.h"

namespace holdfast::audit {

// Whether a statement failed, or its answer could not be read, because of what the database holds:
// a row that Holdfast does not write, a table that is not as a migration made it, bad blocks. Not a
// lost connection, a timeout, a lack of memory or of rights.
bool is_damage(const std::exception& problem);

// Runs a check by itself within the transaction, which goes on also after damage. That becomes a
// fault which begins with `what`.
void check_part(pqxx::dbtransaction& transaction, const Database& database, const std::string& what,
                Faults& faults, const std::function<void(pqxx::transaction_base&)>& check);

}  // namespace holdfast::audit
