// A database of a test's own in the cluster that tests/support/postgres.py started around the test
// program: made, migrated and dropped by its fixture.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "audit/conninfo.h"
#include "audit/entry.h"
#include "audit/log_postgres.h"
#include "audit/migrate_postgres.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::testing {

constexpr std::chrono::seconds kPatience{60};  // For what must happen; never waited in full.

inline std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// How often a race is run: each time it can come out otherwise.
inline int race_rounds() {
  return environment("FULL_TESTS").empty() ? 10 : 500;
}

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_FALSE(environment("PGDATA").empty()) << "run me through tests/support/postgres.py";
    static int count = 0;
    name_ = "test_" + std::to_string(getpid()) + "_" + std::to_string(++count);
    maintenance("CREATE DATABASE " + name_);
    const auto migrated = audit::migrate(database("postgres"), audit::migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
  }
  void TearDown() override {
    if (!name_.empty()) maintenance("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
  }

  audit::Database database(const std::string& user) const {
    return {.url = "postgresql://" + user + "@127.0.0.1:" + environment("PGPORT") + "/" + name_,
            .password = {}};
  }

  // One statement or several, in a connection of its own.
  pqxx::result sql(const std::string& user, const std::string& text) const {
    pqxx::connection connection(database(user).url);
    return pqxx::nontransaction(connection).exec(text);
  }
  std::string value(const std::string& text, const std::string& user = "postgres") const {
    const pqxx::result rows = sql(user, text);
    return rows.empty() || rows[0][0].is_null() ? "" : rows[0][0].c_str();
  }
  // The first line of the server's refusal; empty when it refused nothing.
  std::string refusal(const std::string& user, const std::string& text) const {
    try {
      sql(user, text);
      return "";
    } catch (const pqxx::sql_error& failure) {
      return audit::safe_message(failure.what(), {});
    }
  }

  // The triggers of a table with rows that do not refuse, alone, each statement they are there for.
  // Off are the table's others and those of `parent`.
  std::vector<std::string> idle_triggers(const std::string& table, const std::string& parent) const;

  // Stops or starts the whole server; every connection is lost.
  static void control(const std::string& what) {
    const std::string command =
        "python3 " HOLDFAST_SOURCE_DIR "/tests/support/postgres.py control " + what;
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  void maintenance(const std::string& text) const {
    pqxx::connection connection("postgresql://postgres@127.0.0.1:" + environment("PGPORT") +
                                "/postgres");
    pqxx::nontransaction transaction(connection);
    // A test that failed may have left a standby to wait for.
    transaction.exec("SET synchronous_commit = local");
    transaction.exec(text);
  }

  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

inline std::vector<std::string> DatabaseTest::idle_triggers(const std::string& table,
                                                            const std::string& parent) const {
  const std::string update =
      "UPDATE " + table + " SET " +
      value(
          "SELECT attname || ' = ' || attname FROM pg_attribute WHERE attnum > 0 AND attrelid = '" +
          table + "'::regclass ORDER BY attnum DESC LIMIT 1");
  const std::vector<std::pair<int, std::string>> statements{// By their bit in tgtype.
                                                            {8, "DELETE FROM " + table},
                                                            {16, update},
                                                            {32, "TRUNCATE " + table + " CASCADE"}};
  std::vector<std::string> idle;
  for (const pqxx::row& trigger :
       sql("postgres",
           "SELECT tgname, tgtype FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = '" + table +
               "'::regclass")) {
    const std::string name = trigger[0].as<std::string>();
    for (const auto& [bit, statement] : statements) {
      if ((trigger[1].as<int>() & bit) == 0) continue;
      const std::string said = refusal(
          "postgres", "BEGIN; ALTER TABLE " + parent + " DISABLE TRIGGER USER; ALTER TABLE " +
                          table + " DISABLE TRIGGER USER; ALTER TABLE " + table +
                          " ENABLE ALWAYS TRIGGER " + name + "; " + statement + "; ROLLBACK");
      const std::string verb = statement.substr(0, statement.find(' '));
      const std::string wanted = verb + " of " + table.substr(table.find('.') + 1) + " refused";
      if (said.find(wanted) == std::string::npos) idle.push_back(name + ": " + verb + " " + said);
    }
  }
  return idle;
}

// Polls a condition that another thread or process brings about.
inline bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

// Threads that run coroutines, so that tests can await the log.
class Runner {
 public:
  Runner() : work_(boost::asio::make_work_guard(context_)), thread_([this] { context_.run(); }) {}
  ~Runner() {
    work_.reset();
    thread_.join();
  }

  template <class T>
  std::future<T> start(Task<T> task) {
    std::promise<T> promise;
    std::future<T> future = promise.get_future();
    boost::asio::co_spawn(context_, fulfil(std::move(task), std::move(promise)),
                          boost::asio::detached);
    return future;
  }
  template <class T>
  T run(Task<T> task) {
    return start(std::move(task)).get();
  }

 private:
  // A Result has no default value, which asio's own future would ask for.
  template <class T>
  static Task<void> fulfil(Task<T> task, std::promise<T> promise) {
    promise.set_value(co_await std::move(task));
  }

  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

inline audit::Record record(audit::Kind kind, const Uuid& operation_id,
                            const std::string& result = "executed") {
  audit::Record made{.kind = kind, .operation_id = operation_id};
  made.content["request"] = {{"method", "POST"}, {"target", "/v1.0/me/messages/1/permanentDelete"}};
  if (kind == audit::Kind::kOutcome) made.content["outcome"] = {{"result", result}};
  return made;
}

inline Uuid new_operation() {
  return make_uuid_v7(system_clock().now());
}

}  // namespace holdfast::testing
