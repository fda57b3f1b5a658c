// Statements that are sent before the answers to earlier ones have come, so that the server goes on
// with the next one at once: libpq's pipeline mode, which libpqxx does not have.
// https://www.postgresql.org/docs/15/libpq-pipeline-mode.html
//
// Each statement is a transaction of its own: what becomes of one says nothing about the next.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;

namespace holdfast::audit {

// A parameter: a view, needed only during the call.
struct StatementValue {
  static StatementValue text(const std::string& value) {
    return {.bytes = value, .is_binary = false};
  }
  static StatementValue binary(std::string_view value) {
    return {.bytes = value, .is_binary = true};
  }

  std::string_view bytes;  // Of a text, a NUL follows.
  bool is_binary;
};

// What the server said of a statement that returns one row at most.
struct StatementAnswer {
  std::vector<std::optional<std::string>> row;  // As text; empty where there is none.
  std::string error;                            // Empty: it has committed.
  std::string state;                            // The error's SQLSTATE.
  // It is known whether it has committed. Otherwise the connection is spent.
  bool is_complete = false;
};

// For one thread.
class StatementPipeline {
 public:
  // The connection must outlive this, and nobody else may use it while anything is unanswered.
  explicit StatementPipeline(pg_conn* connection) : connection_(connection) {}

  // Sends a prepared statement. Blocks until the kernel has it, for which the server may first have
  // to end an earlier one. A failure is told by its receive().
  void send(const char* statement, std::span<const StatementValue> values);

  // Whether receive() has something to return, be it that the connection is lost.
  bool has_answer();

  // The oldest unanswered statement's. Blocks; there must be one.
  StatementAnswer receive();

 private:
  bool sends(const char* statement, std::span<const StatementValue> values);

  pg_conn* const connection_;
  std::size_t unanswered_ = 0;
  bool has_failed_ = false;  // To send: no answer is that of its statement any more.
};

}  // namespace holdfast::audit
