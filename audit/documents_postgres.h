// Questions to functions of the database that return rows of one JSON document each, answered by
// the threads of a QueryWorkers.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/query_workers_postgres.h"
#include "base/result.h"
#include "base/task.h"

namespace holdfast::audit {

// As text; PostgreSQL reads each as what the statement takes there.
using SqlParameters = std::vector<std::string>;

// "{A,B}", as PostgreSQL writes an array of such names.
template <class Name>
std::string name_array(const std::vector<Name>& names) {
  std::string text = "{";
  for (const Name& name : names) {
    text += (text.size() > 1 ? "," : "") + std::string(to_string(name));
  }
  return text + "}";
}

// The first column of each row, which must be jsonb; the statement's text must not vary. Errors:
// those of DatabaseSession; kInternal: one is no JSON.
Result<std::vector<nlohmann::json>> ask_documents(DatabaseSession& session,
                                                  const std::string& statement,
                                                  const SqlParameters& parameters);

// All rows, each as `read` has it, a function that makes a Result<T> of a document. Errors: those
// of QueryWorkers, of the question and of `read`.
template <class T, class Read>
Task<Result<std::vector<T>>> answer_all(QueryWorkers& workers, std::string statement,
                                        SqlParameters parameters, Read read) {
  // Nothing by reference: a worker may be at it still when nobody waits any more.
  const std::function<Result<std::vector<T>>(DatabaseSession&)> question =
      [statement = std::move(statement), parameters = std::move(parameters),
       read](DatabaseSession& session) -> Result<std::vector<T>> {
    Result<std::vector<nlohmann::json>> rows = ask_documents(session, statement, parameters);
    if (!rows.ok()) return rows.error();
    std::vector<T> found;
    found.reserve(rows->size());
    for (nlohmann::json& row : *rows) {
      Result<T> one = read(std::move(row));
      if (!one.ok()) return one.error();
      found.push_back(*std::move(one));
    }
    return found;
  };
  co_return co_await workers.answer<std::vector<T>>(question);
}

// The first row; nullopt: there is none.
template <class T, class Read>
Task<Result<std::optional<T>>> answer_first(QueryWorkers& workers, std::string statement,
                                            SqlParameters parameters, Read read) {
  Result<std::vector<T>> found =
      co_await answer_all<T>(workers, std::move(statement), std::move(parameters), read);
  if (!found.ok()) co_return found.error();
  if (found->empty()) co_return std::optional<T>();
  co_return std::optional<T>(std::move(found->front()));
}

}  // namespace holdfast::audit
