// PostgreSQL connection strings: adding to them, and keeping their secrets out of messages.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::audit {

// How to reach the database.
struct Database {
  std::string url;       // postgresql://user@host:port/name?options, or libpq's key=value form.
  std::string password;  // Empty: what the url or libpq's own sources say.
};

// With the first line of a file as password; an empty path: none. kInvalid: the file cannot be
// read.
Result<Database> read_database(std::string url, const std::string& password_file);

// The connection string for libpq, with the password and with a connect timeout where the url names
// none.
std::string conninfo(const Database& database);

// The first line of a libpq message, without its "ERROR: " and without any password: what follows
// may quote the row, and so an entry.
std::string safe_message(std::string_view message, const Database& database);

}  // namespace holdfast::audit
