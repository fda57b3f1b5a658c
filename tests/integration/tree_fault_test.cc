// What must never be signed, and who must not sign any more.
#include <future>

#include "tests/integration/tree_fixture.h"

namespace holdfast::audit {
namespace {

using testing::eventually;
using ::testing::HasSubstr;
using testing::kOrigin;
using testing::TreeTest;

// The keeper's step fails as frozen, it says so, and nothing is signed.
void expect_frozen(TreeKeeper& keeper, const std::string& why) {
  Result<bool> more = true;
  // Not at the first step where the server has not noticed yet that the last leader is gone.
  ASSERT_TRUE(eventually([&] {
    more = keeper.step();
    return !more.ok();
  }));
  EXPECT_EQ(more.error().code, ErrorCode::kRefused) << more.error().message;
  EXPECT_THAT(more.error().message, HasSubstr(why));
  EXPECT_EQ(keeper.status().frozen, more.error().message);
  EXPECT_FALSE(keeper.status().leading);
}

TEST_F(TreeTest, fault_fewer_records_freeze_until_they_are_back) {
  fill(300);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  roll_back_log(250);
  expect_frozen(*a, "gone back");
  expect_frozen(*a, "gone back");
  fill(290);
  expect_frozen(*a, "gone back");
  EXPECT_EQ(checkpoints(), "300");
  fill(310);  // The very records that were there.
  ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
  EXPECT_EQ(checkpoints(), "300,310");
  EXPECT_EQ(a->status().frozen, "");
  EXPECT_EQ(newest("a"), true_head());
}

// Records are to be seen before they are durable, and the checkpoint is on the keeper's disk before
// the database has it.
TEST_F(TreeTest, fault_a_crash_takes_no_record_away_that_was_signed) {
  fill(300);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  maintenance("ALTER ROLE postgres SET synchronous_commit = off");
  fill(400);
  pqxx::connection other(database("postgres").url);
  pqxx::work blocks(other);
  blocks.exec("LOCK TABLE holdfast.tree_checkpoints IN SHARE ROW EXCLUSIVE MODE");
  auto step = std::async(std::launch::async, [&] { return a->step(); });
  ASSERT_TRUE(eventually([this] {
    return value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1";
  }));
  control("kill");
  EXPECT_FALSE(step.get().ok());
  control("start");
  maintenance("ALTER ROLE postgres RESET synchronous_commit");
  EXPECT_EQ(checkpoints(), "300");
  ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }))
      << a->status().frozen;
  EXPECT_EQ(checkpoints(), "300,400");
  EXPECT_EQ(newest("a"), true_head());
}

TEST_F(TreeTest, fault_a_database_rolled_back_as_a_whole_freezes_who_has_seen_more) {
  fill(600);
  auto a = keeper("a");
  auto b = keeper("b");
  ASSERT_TRUE(run(*a).ok());
  ASSERT_TRUE(run(*b).ok());
  a.reset();
  roll_back_log(400);
  roll_back_tree(400);
  a = keeper("a");
  expect_frozen(*a, "gone back");
  expect_frozen(*b, "gone back");
  fill(800, "other");
  expect_frozen(*a, "not those that a checkpoint was signed over");
  expect_frozen(*b, "not those that a checkpoint was signed over");
  EXPECT_EQ(checkpoints(), "");
  // Somebody who has seen nothing signs; who has, is not taken in.
  auto naive = keeper("naive");
  ASSERT_TRUE(eventually([&] { return run(*naive).ok() && naive->status().leading; }));
  EXPECT_EQ(checkpoints(), "800");
  expect_frozen(*a, "not those that a checkpoint was signed over");
}

TEST_F(TreeTest, fault_another_entry_in_the_open_tile_freezes_the_leader) {
  fill(300);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  replace_record(280);
  fill(301);
  expect_frozen(*a, "not the one that was there");
  a.reset();
  a = keeper("a");
  expect_frozen(*a, "not those that a checkpoint was signed over");
  auto other = keeper("other");  // The database's own checkpoint is enough to tell.
  expect_frozen(*other, "not those that a checkpoint was signed over");
  EXPECT_EQ(checkpoints(), "300");
}

struct Damage {
  std::string done;
  std::string undone;
  std::string why;  // What the keeper says.
};

TEST_F(TreeTest, fault_old_records_and_hashes_are_looked_at_again) {
  fill(66'000);
  TreeKeeperOptions options = keeper_options("a");
  options.scrub_interval = std::chrono::milliseconds(0);
  options.scrub_tiles = 100;
  options.partition_records = 512;
  auto a = keeper(std::move(options));
  ASSERT_TRUE(run(*a).ok());
  const auto run_over_all_tiles = [&] {
    Status status;
    for (int i = 0; i < 10 && status.ok(); ++i) status = run(*a);
    return status;
  };
  ASSERT_TRUE(run_over_all_tiles().ok());
  const auto update = [](const std::string& what, const std::string& where) {
    return "UPDATE holdfast." + what + " WHERE " + where;
  };
  const auto kept = [this](const std::string& column, const std::string& where) {
    return column + " = '" + value("SELECT " + column + " FROM holdfast." + where) + "'";
  };
  const std::string flipped = "set_byte(hashes, 99, get_byte(hashes, 99) # 1)";
  const std::string other =
      "convert_to(replace(convert_from(entry, 'UTF8'), '300', '301'), 'UTF8')";
  const std::vector<Damage> damages = {
      {update("log SET entry = " + other + ", leaf_hash = sha256('\\x00'::bytea || " + other + ")",
              "index = 300"),
       update("log SET " + kept("entry", "log WHERE index = 300") + ", " +
                  kept("leaf_hash", "log WHERE index = 300"),
              "index = 300"),
       "records that tile 0/001"},
      {update("tree_tiles SET hashes = " + flipped, "index = 7"),
       update("tree_tiles SET " + kept("hashes", "tree_tiles WHERE index = 7"), "index = 7"),
       "records that tile 0/007"},
      {update("tree_tiles SET hashes = " + flipped, "level = 1"),
       update("tree_tiles SET " + kept("hashes", "tree_tiles WHERE level = 1"), "level = 1"),
       "hashes that tile 1/000"},
      // A new leader sees it before it looks at old tiles: roots are what it begins with.
      {update("tree_tiles SET root = set_byte(root, 9, get_byte(root, 9) # 1)", "level = 1"),
       update("tree_tiles SET " + kept("root", "tree_tiles WHERE level = 1"), "level = 1"), ""},
  };
  std::uint64_t size = 66'000;
  for (const Damage& damage : damages) {
    tamper(damage.done);
    ASSERT_FALSE(run_over_all_tiles().ok()) << damage.done;
    const std::string before = checkpoints();
    fill(size += 10);
    expect_frozen(*a, damage.why);
    EXPECT_EQ(checkpoints(), before);
    tamper(damage.undone);
    ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
    EXPECT_EQ(newest("a").size, size);
  }
  // What retention dropped is no damage: whole partitions, as a record says. A hole is.
  tamper("DELETE FROM holdfast.log WHERE index < 512");
  EXPECT_FALSE(run_over_all_tiles().ok());
  const auto forget = [this] {
    sql("postgres",
        "ALTER TABLE holdfast.dropped_ranges DISABLE TRIGGER ALL; "
        "DELETE FROM holdfast.dropped_ranges");
  };
  sql("postgres",
      "INSERT INTO holdfast.dropped_ranges (first, until, record_index) VALUES (0, 512, 600)");
  expect_frozen(*a, "records that tile 0/000");
  for (const std::uint64_t until : {768U, 1'048'576U}) {
    forget();
    dropped(0, until);
    expect_frozen(*a, "records that tile 0/000");
  }
  forget();
  dropped(0, 512);
  ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
  EXPECT_TRUE(run_over_all_tiles().ok());
  tamper("DELETE FROM holdfast.log WHERE index = 1000");
  EXPECT_FALSE(run_over_all_tiles().ok());
}

// Nothing is appended, so only by looking again can the leader find out.
TEST_F(TreeTest, fault_a_leader_over_a_quiet_log_notices_what_is_changed_behind_it) {
  TreeKeeperOptions options = keeper_options("a");
  options.scrub_interval = std::chrono::milliseconds(0);
  auto a = keeper(std::move(options));
  for (const std::uint64_t size : {299, 300}) {
    fill(size);
    ASSERT_TRUE(run(*a).ok());
  }
  sql("postgres",
      "CREATE TABLE kept_log AS SELECT * FROM holdfast.log WHERE index = 280; "
      "CREATE TABLE kept_checkpoints AS SELECT * FROM holdfast.tree_checkpoints; "
      "ALTER TABLE holdfast.log DROP CONSTRAINT log_entry");
  const std::string record_back =
      "DELETE FROM holdfast.log WHERE index = 280; "
      "INSERT INTO holdfast.log SELECT * FROM kept_log";
  const std::string checkpoints_back =
      "DELETE FROM holdfast.tree_checkpoints; "
      "INSERT INTO holdfast.tree_checkpoints SELECT * FROM kept_checkpoints";
  const std::string other =
      "convert_to(replace(convert_from(entry, 'UTF8'), '280', '281'), 'UTF8')";
  const std::string checkpoint = "UPDATE holdfast.tree_checkpoints SET ";
  const std::vector<Damage> damages = {
      {"UPDATE holdfast.log SET entry = " + other + ", leaf_hash = sha256('\\x00'::bytea || " +
           other + ") WHERE index = 280",
       record_back, "records that tile 0/001 stands for"},
      {"UPDATE holdfast.log SET entry = " + other + " WHERE index = 280", record_back,
       "records that tile 0/001 stands for"},
      {"DELETE FROM holdfast.log WHERE index = 280", record_back,
       "records that tile 0/001 stands for"},
      {"DELETE FROM holdfast.tree_checkpoints WHERE size = 300", checkpoints_back,
       "not the one over 300 records that was there, but another, over 299 records"},
      {"DELETE FROM holdfast.tree_checkpoints", checkpoints_back,
       "not the one over 300 records that was there, but none"},
      {checkpoint + "root = sha256('') WHERE size = 300", checkpoints_back,
       "not the one over 300 records that was there, but another, over 300 records"},
      {checkpoint + "note = (SELECT note FROM kept_checkpoints WHERE size = 299) WHERE size = 300",
       checkpoints_back, "the newest checkpoint in the database is none"},
      {checkpoint + "note = left(note, length(note) - 10) || 'AAAAAAAA' || right(note, 2) "
                    "WHERE size = 300",
       checkpoints_back, "the newest checkpoint in the database: the signature of "},
      {checkpoint + "note = left(note, length(note) - 93) || 'AAAA' || right(note, 89) "
                    "WHERE size = 300",
       checkpoints_back, "the newest checkpoint in the database is not as it was signed"}};
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.done);
    tamper(damage.done);
    const std::string before = checkpoints();
    expect_frozen(*a, damage.why);
    // Until it is as it was, and not only until the next look.
    for (int i = 0; i < 3; ++i) expect_frozen(*a, "");
    EXPECT_EQ(checkpoints(), before);
    tamper(damage.undone);
    ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
    EXPECT_EQ(checkpoints(), "299,300");
  }
}

TEST_F(TreeTest, fault_who_only_watched_does_not_lead_over_checkpoints_that_were_taken_away) {
  fill(300);
  auto a = keeper("a");
  auto b = keeper("b");
  ASSERT_TRUE(run(*a).ok());
  ASSERT_TRUE(run(*b).ok());
  a.reset();
  tamper("DELETE FROM holdfast.tree_checkpoints");
  expect_frozen(*b, "not the one over 300 records that was there, but none");
  EXPECT_EQ(checkpoints(), "");
}

TEST_F(TreeTest, fault_missing_records_freeze) {
  fill(300);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  fill(310);
  tamper("DELETE FROM holdfast.log WHERE index = 305");
  expect_frozen(*a, "lacks records");
}

TEST_F(TreeTest, fault_another_log_is_not_signed) {
  fill(3);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  a.reset();
  TreeKeeperOptions options = keeper_options("b");
  options.origin = "other.example/log";
  auto other = keeper(std::move(options));
  expect_frozen(*other, "holds the log audit.example/log");
  options = keeper_options("a");
  options.origin = "other.example/log";
  const auto refused = TreeKeeper::open(std::move(options));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("is of the log audit.example/log"));
}

TEST_F(TreeTest, fault_a_lost_connection_is_lost_leadership) {
  fill(300);
  auto a = keeper("a");
  auto b = keeper("b");
  ASSERT_TRUE(run(*a).ok());
  ASSERT_TRUE(run(*b).ok());
  end_sessions_of("a");
  fill(400);
  const Result<bool> lost = a->step();
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(a->status().frozen, "");
  EXPECT_FALSE(a->status().leading);
  ASSERT_TRUE(run(*b).ok());
  EXPECT_TRUE(b->status().leading);
  ASSERT_TRUE(run(*a).ok());
  EXPECT_FALSE(a->status().leading);
  EXPECT_EQ(newest("b"), true_head());
}

TEST_F(TreeTest, fault_nothing_becomes_visible_after_leadership_is_lost) {
  fill(300);
  auto a = keeper("a");
  auto b = keeper("b");
  ASSERT_TRUE(run(*a).ok());
  fill(400);
  {
    // The leader hangs while it publishes.
    pqxx::connection blocker(database("postgres").url);
    pqxx::work blocking(blocker);
    blocking.exec("LOCK TABLE holdfast.tree_checkpoints IN SHARE ROW EXCLUSIVE MODE");
    auto step = std::async(std::launch::async, [&] { return a->step(); });
    ASSERT_TRUE(eventually([&] {
      return value(
                 "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a' "
                 "AND wait_event_type = 'Lock'") == "1";
    }));
    end_sessions_of("a");
    EXPECT_FALSE(step.get().ok());
  }
  EXPECT_EQ(checkpoints(), "300");
  ASSERT_TRUE(eventually([&] { return run(*b).ok() && b->status().leading; }));
  EXPECT_EQ(checkpoints(), "300,400");
  EXPECT_EQ(newest("b"), true_head());
  // What it had signed agrees with what the other one signed, so it follows.
  ASSERT_TRUE(run(*a).ok());
}

TEST_F(TreeTest, fault_a_crash_between_file_and_database_is_made_good) {
  fill(300);
  auto a = keeper("a");
  sql("postgres", "ALTER TABLE holdfast.tree_checkpoints ADD CONSTRAINT never CHECK (size <> 300)");
  EXPECT_FALSE(run(*a).ok());
  EXPECT_EQ(a->status().seen, true_head());
  EXPECT_EQ(checkpoints(), "");
  a.reset();
  sql("postgres", "ALTER TABLE holdfast.tree_checkpoints DROP CONSTRAINT never");
  // Signed and never seen by anybody; but signed it was.
  roll_back_log(200);
  a = keeper("a");
  expect_frozen(*a, "gone back");
  fill(300);
  ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
  EXPECT_EQ(newest("a"), true_head());
}

TEST_F(TreeTest, fault_a_leader_that_is_stopped_loses_the_lock) {
  fill(300);
  TreeKeeperOptions options = keeper_options("a");
  options.silence_timeout = std::chrono::milliseconds(1000);
  auto a = keeper(std::move(options));
  auto b = keeper("b");
  ASSERT_TRUE(run(*a).ok());
  EXPECT_TRUE(a->status().leading);
  // It does not come back for a while, as a process in SIGSTOP would not.
  ASSERT_TRUE(eventually([&] { return run(*b).ok() && b->status().leading; }));
  fill(400);
  ASSERT_TRUE(run(*b).ok());
  EXPECT_FALSE(a->step().ok());
  ASSERT_TRUE(run(*a).ok());
  EXPECT_FALSE(a->status().leading);
  EXPECT_EQ(newest("b"), true_head());
}

TEST_F(TreeTest, fault_what_cannot_be_kept_is_not_signed) {
  fill(3);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  fill(5);
  std::filesystem::create_directory(file("a") + ".new");  // In the way of the file's draft.
  EXPECT_FALSE(run(*a).ok());
  EXPECT_EQ(checkpoints(), "3");
  std::filesystem::remove(file("a") + ".new");
  ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
  EXPECT_EQ(checkpoints(), "3,5");
}

TEST_F(TreeTest, fault_the_database_goes_away_and_comes_back) {
  fill(300);
  auto a = keeper("a");
  ASSERT_TRUE(run(*a).ok());
  control("stop");
  EXPECT_EQ(run(*a).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(run(*a).error().code, ErrorCode::kUnavailable);
  control("start");
  fill(400);
  ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
  EXPECT_EQ(newest("a"), true_head());
}

TEST_F(TreeTest, fault_what_others_hold_must_be_in_the_database) {
  fill(300);
  ASSERT_TRUE(run(*keeper("a")).ok());
  const TreeHead held = newest("a");
  for (const TreeHead& other : {TreeHead{held.size, sha256("other")}, TreeHead{299, held.root}}) {
    TreeKeeperOptions options = keeper_options("b");
    options.held_outside = {other};
    auto b = keeper(std::move(options));
    expect_frozen(*b, "not those that a checkpoint was signed over");
  }
  TreeKeeperOptions options = keeper_options("c");
  options.held_outside = {{.size = 400, .root = held.root}};
  auto c = keeper(std::move(options));
  expect_frozen(*c, "the anchor file has a checkpoint over 400");
  c.reset();
  // Signed elsewhere and lost before it was published: the log holds it, so all is well.
  fill(400);
  const TreeHead lost = true_head();
  TreeKeeperOptions well = keeper_options("d");
  well.held_outside = {lost};
  auto d = keeper(std::move(well));
  ASSERT_TRUE(eventually([&] { return run(*d).ok() && d->status().leading; }));
  ASSERT_TRUE(run(*d).ok());
  EXPECT_EQ(newest("d"), lost);
}

TEST_F(TreeTest, fault_who_has_to_be_asked_is_waited_for_and_heard) {
  fill(300);
  Status opinion = Error{ErrorCode::kUnavailable, "being asked"};
  TreeKeeperOptions options = keeper_options("a");
  options.opinion = [&](std::uint64_t) { return opinion; };
  auto a = keeper(std::move(options));
  // Something must be signed to ask with, and the empty tree contradicts nothing.
  ASSERT_TRUE(run(*a).ok());
  ASSERT_TRUE(run(*a).ok());
  EXPECT_EQ(checkpoints(), "0");
  EXPECT_TRUE(a->status().leading);
  opinion = Error{ErrorCode::kRefused, "the witness has seen more"};
  EXPECT_EQ(run(*a).error().code, ErrorCode::kRefused);
  EXPECT_EQ(a->status().frozen, "the witness has seen more");
  EXPECT_EQ(checkpoints(), "0");
  opinion = Status{};
  ASSERT_TRUE(eventually([&] { return run(*a).ok() && a->status().leading; }));
  ASSERT_TRUE(run(*a).ok());
  EXPECT_EQ(checkpoints(), "0,300");
}

TEST_F(TreeTest, race_of_many_keepers_leaves_one_growing_tree) {
  std::atomic<bool> done = false;
  std::vector<std::future<void>> threads;
  // Also where the test ends sooner.
  const std::unique_ptr<std::atomic<bool>, void (*)(std::atomic<bool>*)> end(
      &done, [](std::atomic<bool>* flag) { *flag = true; });
  for (const char* name : {"a", "b", "c"}) {
    auto one = keeper(name);
    threads.push_back(std::async(std::launch::async, [&, one = std::move(one)] {
      while (!done) (void)one->step();
    }));
  }
  for (std::uint64_t size = 100; size <= 3000; size += 100) {
    fill(size);
    if (size % 500 != 0) continue;
    std::string leader;
    ASSERT_TRUE(eventually([&] {
      leader = value("SELECT holdfast.tree_leader()");
      return !leader.empty();
    }));
    end_sessions_of(leader);
  }
  EXPECT_TRUE(eventually(
      [&] { return value("SELECT max(size) FROM holdfast.tree_checkpoints") == "3000"; }));
  done = true;
  for (auto& thread : threads) thread.get();
  EXPECT_EQ(value("SELECT root FROM holdfast.tree_checkpoints ORDER BY ordinal DESC LIMIT 1"),
            "\\x" + to_hex(true_head().root));
  // Every one of them is a beginning of the last.
  const auto rows = sql("postgres", "SELECT size, root FROM holdfast.tree_checkpoints");
  pqxx::connection connection(database("postgres").url);
  pqxx::nontransaction transaction(connection);
  for (const pqxx::row& row : rows) {
    TiledTree tree(row[0].as<std::uint64_t>(), tile_reader(transaction));
    EXPECT_EQ("\\x" + to_hex(*tree.root()), row[1].c_str());
  }
}

}  // namespace
}  // namespace holdfast::audit
