// Bytes on their way to a bytea parameter and from a bytea column.
#pragma once

#include <pqxx/pqxx>
#include <string>
#include <string_view>

namespace holdfast::audit {

// A view: `bytes` must outlive the statement.
inline pqxx::binarystring binary(std::string_view bytes) {
  return pqxx::binarystring(bytes.data(), bytes.size());
}

inline std::string bytes_in(const pqxx::field& field) {
  return pqxx::binarystring(field).str();
}

}  // namespace holdfast::audit
