// A log with records in it, and keepers of its tree, on a database of a test's own.
#pragma once

#include <atomic>
#include <map>

#include "audit/query_workers_postgres.h"
#include "audit/tree_keeper_postgres.h"
#include "audit/tree_source_postgres.h"
#include "audit/tree_store_postgres.h"
#include "tests/integration/database.h"
#include "tests/support/tree_model.h"

namespace holdfast::testing {

constexpr const char* kOrigin = "audit.example/log";

class TreeTest : public DatabaseTest {
 protected:
  // Records up to the index `end`, as if appended; `salt` makes others of them.
  void fill(std::uint64_t end, const std::string& salt = "") const {
    sql("postgres",
        "INSERT INTO holdfast.log SELECT i, e, sha256('\\x00'::bytea || e), 'system', 'audit' FROM "
        "(SELECT i, convert_to(format('{\"kind\":\"system\",\"n\":\"%s" +
            salt +
            "\",\"writer\":{\"id\":\"x\",\"role\":\"audit\"}}', i), 'UTF8') AS e "
            "FROM generate_series((SELECT next_index FROM holdfast.log_head), " +
            std::to_string(end) +
            " - 1) AS i) AS made; "
            "UPDATE holdfast.log_head SET next_index = " +
            std::to_string(end));
  }
  // What an administrator can do who is up to no good, or restores an old backup.
  void tamper(const std::string& text) const {
    sql("postgres",
        "ALTER TABLE holdfast.log DISABLE TRIGGER ALL; "
        "ALTER TABLE holdfast.log_000000 DISABLE TRIGGER ALL; "
        "ALTER TABLE holdfast.tree_tiles DISABLE TRIGGER ALL; "
        "ALTER TABLE holdfast.tree_checkpoints DISABLE TRIGGER ALL; " +
            text);
  }
  // As retention says that it has dropped them: with a record, and a row that names it.
  void dropped(std::uint64_t first, std::uint64_t until) const {
    const std::string range = std::to_string(first) + "," + std::to_string(until);
    sql("postgres",
        "INSERT INTO holdfast.log SELECT h.next_index, e, sha256('\\x00'::bytea || e), 'system', "
        "'retention' FROM holdfast.log_head h, (SELECT convert_to('{"
        R"("id":"01890000-0000-7000-8000-000000000001","kind":"system",)"
        R"("system":{"event":"partition_dropped","ranges":[[)" +
            range +
            R"(]]},"time":"2026-10-05T08:00:00.000001Z","v":1,)"
            R"("writer":{"id":"01890000-0000-4000-8000-000000000003","role":"retention"}})"
            "', 'UTF8') AS e) AS made; "
            "INSERT INTO holdfast.dropped_ranges (first, until, record_index) SELECT " +
            range +
            ", h.next_index FROM holdfast.log_head h; "
            "UPDATE holdfast.log_head SET next_index = next_index + 1");
  }
  // Back to the first `end` records, the tree with them where it is said.
  void roll_back_log(std::uint64_t end) const {
    const std::string size = std::to_string(end);
    tamper("DELETE FROM holdfast.log WHERE index >= " + size +
           "; UPDATE holdfast.log_head SET next_index = " + size);
  }
  void roll_back_tree(std::uint64_t end) const {
    const std::string size = std::to_string(end);
    tamper("DELETE FROM holdfast.tree_checkpoints WHERE size > " + size +
           "; DELETE FROM holdfast.tree_tiles WHERE (index + 1) * 256 * 256 ^ level > " + size);
  }
  // Another entry at that index, with the leaf hash that belongs to it.
  void replace_record(std::uint64_t index) const {
    tamper(
        "UPDATE holdfast.log SET entry = e, leaf_hash = sha256('\\x00'::bytea || e) FROM (SELECT "
        "convert_to('{\"kind\":\"system\",\"writer\":{\"id\":\"y\",\"role\":\"audit\"}}', 'UTF8') "
        "AS e) AS made WHERE index = " +
        std::to_string(index));
  }

  std::string file(const std::string& name) const { return files_.path() + "/" + name; }

  // `name` names the process, its checkpoint file and its key. Keys live as long as the test.
  audit::TreeKeeperOptions keeper_options(const std::string& name) {
    audit::TreeKeeperOptions options;
    options.database = database("holdfast_audit");
    options.origin = kOrigin;
    options.signers = signers({name});
    options.checkpoint_file = file(name);
    options.name = name;
    options.sign_interval = std::chrono::milliseconds(0);
    options.retry_interval = std::chrono::milliseconds(0);
    options.partition_records = audit::kTileWidth;
    return options;
  }
  std::vector<audit::NoteSigner> signers(const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const std::string& name : names) {
      paths.push_back(file(name) + ".key");
      if (!keys_.contains(name)) keys_[name] = *audit::make_log_key(paths.back(), kOrigin);
    }
    Result<std::vector<audit::NoteSigner>> loaded = audit::load_log_keys(paths, kOrigin);
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    return *std::move(loaded);
  }
  std::unique_ptr<audit::TreeKeeper> keeper(const std::string& name) {
    return keeper(keeper_options(name));
  }
  static std::unique_ptr<audit::TreeKeeper> keeper(audit::TreeKeeperOptions options) {
    auto opened = audit::TreeKeeper::open(std::move(options));
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return *std::move(opened);
  }

  // Until nothing is left to do; the error that ended it, if one did.
  static Status run(audit::TreeKeeper& keeper) {
    while (true) {
      const Result<bool> more = keeper.step();
      if (!more.ok()) return more.error();
      if (!*more) return {};
    }
  }

  std::string checkpoints() const {
    return value(
        "SELECT coalesce(string_agg(size::text, ',' ORDER BY ordinal), '') "
        "FROM holdfast.tree_checkpoints");
  }
  // The newest checkpoint, verified with that key; its size and root.
  audit::TreeHead newest(const std::string& key) {
    const std::string note =
        value("SELECT note FROM holdfast.tree_checkpoints ORDER BY ordinal DESC LIMIT 1");
    const auto opened = audit::open_checkpoint(note, std::vector{keys_.at(key)});
    EXPECT_TRUE(opened.ok()) << opened.error().message << "\n" << note;
    return opened.ok() ? opened->head : audit::TreeHead{};
  }
  // The tree over the log's entries by the definition, with nothing that the database computed.
  audit::TreeHead true_head() const {
    pqxx::connection connection(database("postgres").url);
    pqxx::nontransaction transaction(connection);
    Leaves leaves;
    for (const pqxx::row& row : transaction.exec("SELECT entry FROM holdfast.log ORDER BY index")) {
      leaves.push_back(leaf_hash(pqxx::binarystring(row[0]).str()));
    }
    return {.size = leaves.size(), .root = model_root(leaves, 0, leaves.size())};
  }
  void end_sessions_of(const std::string& name) const {
    sql("postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '" + name +
            "' AND datname = current_database()");
  }

  TemporaryDirectory files_;
  std::map<std::string, audit::VerifierKey> keys_;
};

}  // namespace holdfast::testing
