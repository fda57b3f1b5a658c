// Proxies as far as rules are concerned: each with files, a log and a watcher of its own, on one
// database; and officers.
#pragma once

#include "approval/generations_postgres.h"
#include "approval/rule_watcher.h"
#include "base/crypto.h"
#include "tests/integration/log_fixture.h"
#include "tests/unit/approval/rule_files.h"

namespace holdfast::testing {

inline std::string rules_text(const std::string& revision, const std::string& rules,
                              const std::string& lists = "") {
  return "schema: 1\nrevision: \"" + revision + "\"\n" + lists + "rules:\n" + rules;
}
inline const std::string kAllow = "  - { id: any, effect: allow }\n";
inline const std::string kDeny = "  - { id: none, effect: deny }\n";
inline const std::string kHolds = "lists: { hold: { file: hold.csv, max_age: 24h } }\n";
inline const std::string kHold =
    "  - { id: any, effect: allow }\n"
    "  - { id: hold, effect: deny, when: { mailbox: { in: hold } } }\n";

// How many intents are in the log behind the record that ended the generation they were decided by.
inline const std::string kLateIntents = R"(
SELECT count(*) FROM (
  SELECT kind, convert_from(entry, 'UTF8')::json #>> '{decision,rules_generation}' AS used,
         max((convert_from(entry, 'UTF8')::json #>> '{rules,generation}')::bigint)
           OVER (ORDER BY index) AS active
    FROM holdfast.log) l
  WHERE kind = 'intent' AND used::bigint IS DISTINCT FROM active)";

class Replica {
 public:
  Replica(std::unique_ptr<audit::LogPostgres> log, const audit::Database& database)
      : log_(std::move(log)), database_(database) {}
  ~Replica() { stop(); }

  void write(const std::string& text) const {
    files_.write("rules.new", text);
    std::filesystem::rename(files_.path("rules.new"), files_.path("rules.yaml"));
  }
  void list(const std::string& text) const { files_.write("hold.csv", text); }

  void start(approval::PeopleNeeded people,
             std::chrono::milliseconds interval = std::chrono::milliseconds(20)) {
    generations_ = std::make_unique<approval::Generations>(audit::DatabaseAccess{database_});
    watcher_ = std::make_unique<approval::RuleWatcher>(
        store_, *log_, *generations_,
        approval::RuleWatcherOptions{.path = files_.path("rules.yaml"),
                                     .writer = log_->writer().id,
                                     .people = people,
                                     .interval = interval},
        system_clock());
  }
  void stop() {
    watcher_.reset();
    generations_.reset();
  }

  std::int64_t number() const {
    const auto generation = store_.current();
    return generation ? generation->number : 0;
  }
  std::string revision() const {
    const auto generation = store_.current();
    return generation ? generation->rules.revision() : "";
  }
  audit::LogPostgres& log() { return *log_; }
  approval::RuleStore& store() { return store_; }
  approval::RuleWatcher& watcher() { return *watcher_; }
  const approval::RuleFiles& files() const { return files_; }

 private:
  approval::RuleFiles files_;
  std::unique_ptr<audit::LogPostgres> log_;
  const audit::Database database_;
  approval::RuleStore store_;
  std::unique_ptr<approval::Generations> generations_;
  std::unique_ptr<approval::RuleWatcher> watcher_;
};

class GenerationTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    audit::LogOptions options = log_options();
    options.database = database("holdfast_audit");
    options.role = audit::WriterRole::kAudit;
    options.spool_dir.clear();
    officers_ = open_log(options);
    workers_ = std::make_unique<audit::QueryWorkers>(audit::RecordSourceOptions{
        .access = {.database = database("holdfast_audit")}, .connections = 1});
    source_ = std::make_unique<approval::PostgresGenerationSource>(*workers_);
  }
  void TearDown() override {
    one_.reset();
    two_.reset();
    if (workers_) workers_->stop();
    officers_.reset();
    LogTest::TearDown();
  }

  std::unique_ptr<Replica> replica(const std::string& spool_dir) {
    audit::LogOptions options = log_options();
    options.spool_dir = spool_dir;
    return std::make_unique<Replica>(open_log(options), options.database);
  }
  // Starts the replica with that rule file.
  Replica& started(std::unique_ptr<Replica>& place, const TemporaryDirectory& spool,
                   const std::string& text, approval::PeopleNeeded people = kTwo) {
    place = replica(spool.path());
    place->list("held@contoso.com\n");
    place->write(text);
    place->start(people);
    return *place;
  }
  Replica& first(const std::string& text, approval::PeopleNeeded people = kTwo) {
    return started(one_, spool_, text, people);
  }
  Replica& second(const std::string& text, approval::PeopleNeeded people = kTwo) {
    return started(two_, other_spool_, text, people);
  }

  std::string states() const {
    return value(
        "SELECT string_agg(number || ' ' || state, ', ' ORDER BY number) FROM "
        "holdfast.generations");
  }
  bool become(const std::string& states_wanted) const {
    const bool done = eventually([&] { return states() == states_wanted; });
    EXPECT_EQ(states(), states_wanted);
    return done;
  }
  std::string events() const {
    return value(
        "SELECT string_agg(convert_from(entry, 'UTF8')::json #>> '{rules,event}', ',' ORDER BY "
        "index) FROM holdfast.log WHERE kind = 'rules'");
  }

  Result<audit::RecordRef> decide(std::int64_t number, const std::string& event) {
    const auto found = runner_.run(source_->find(number));
    EXPECT_TRUE(found.ok() && found->has_value());
    const auto active = runner_.run(source_->active());
    EXPECT_TRUE(active.ok()) << active.error().message;
    audit::Record record{.kind = audit::Kind::kRules};
    record.content["rules"] = approval::generation_change(event, (*found)->name, *active);
    return runner_.run(officers_->append(std::move(record)));
  }

  Result<audit::Receipt> intent(audit::LogPostgres& log, std::int64_t generation) {
    audit::Record made = record(audit::Kind::kIntent, new_operation());
    made.generation = generation;
    return runner_.run(log.append_intent(std::move(made), request("")));
  }

  // As rules that a version before this one took, and this one does not: their file, to be kept
  // first, and the record of them as the generation after number 1.
  static constexpr const char* kKeepNoRules =
      "SELECT holdfast.keep_rule_file('rules', 'no rules', 0)";
  static audit::Record no_rules(const char* event) {
    audit::Record made{.kind = audit::Kind::kRules};
    made.content["rules"] = approval::generation_change(
        event, {.number = 2, .revision = "b", .sha256 = "b"},
        approval::GenerationName{.number = 1, .revision = "a", .sha256 = ""});
    made.content["rules"]["files"] = {{{"name", "rules"}, {"sha256", to_hex(sha256("no rules"))}}};
    return made;
  }

  static constexpr approval::PeopleNeeded kOne = approval::PeopleNeeded::kOne;
  static constexpr approval::PeopleNeeded kTwo = approval::PeopleNeeded::kTwo;
  TemporaryDirectory other_spool_;
  std::unique_ptr<audit::LogPostgres> officers_;
  std::unique_ptr<audit::QueryWorkers> workers_;
  std::unique_ptr<approval::PostgresGenerationSource> source_;
  std::unique_ptr<Replica> one_;
  std::unique_ptr<Replica> two_;
};

}  // namespace holdfast::testing
