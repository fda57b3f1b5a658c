#include "officers/log_api.h"

#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class LogApiTest : public ApiTest {};

TEST_F(LogApiTest, paths_name_what_the_specification_says) {
  EXPECT_TRUE(std::holds_alternative<CheckpointResource>(*parse_log_path("checkpoint")));
  EXPECT_EQ(std::get<audit::TileId>(*parse_log_path("tile/0/000")), (audit::TileId{0, 0, 256}));
  EXPECT_EQ(std::get<audit::TileId>(*parse_log_path("tile/63/x001/x234/067.p/8")),
            (audit::TileId{63, 1'234'067, 8}));
  EXPECT_EQ(std::get<audit::TilePosition>(*parse_log_path("tile/entries/x001/002.p/255")),
            (audit::TilePosition{1002, 255}));
  for (const char* bad :
       {"", "checkpoint/", "tile", "tile/", "tile/0", "tile/0/", "tile/00/000", "tile/64/000",
        "tile/-1/000", "tile/+1/000", "tile/0/0", "tile/0/000/", "tile/entries", "tile/entries/",
        "tile/entries/1", "tile/data/000", "tile//000", "entries/000", "tile/ 1/000"}) {
    EXPECT_FALSE(parse_log_path(bad)) << bad;
    EXPECT_EQ(get(std::string("/log/") + bad, "").status, 404) << bad;
  }
}

TEST_F(LogApiTest, checkpoints_and_hashes_are_for_everybody) {
  const auto checkpoint = get("/log/checkpoint", "");
  EXPECT_EQ(checkpoint.status, 200);
  EXPECT_EQ(checkpoint.content, audit::fake_note(5));
  EXPECT_EQ(checkpoint.headers.get("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(checkpoint.headers.get("Cache-Control"), "no-cache");
  const auto tile = get("/log/tile/1/x001/002.p/3", "");
  EXPECT_EQ(tile.status, 200);
  EXPECT_EQ(tile.content, std::string(96, 't'));
  EXPECT_EQ(tile.headers.get("Content-Type"), "application/octet-stream");
  EXPECT_THAT(std::string(tile.headers.get("Cache-Control")), HasSubstr("public"));
  EXPECT_THAT(std::string(tile.headers.get("Cache-Control")), HasSubstr("immutable"));
  ASSERT_EQ(tree_.tiles_asked.size(), 1U);
  EXPECT_EQ(tree_.tiles_asked[0], (audit::TileId{1, 1002, 3}));
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(LogApiTest, entries_are_for_officers_and_their_reading_is_recorded) {
  for (const std::string token : {"", "wrong"}) {
    EXPECT_EQ(get("/log/tile/entries/001", token).status, 401) << token;
  }
  EXPECT_TRUE(tree_.bundles_asked.empty());
  const auto answer = get("/log/tile/entries/001.p/7");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content, std::string("\0\1e", 3));
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/octet-stream");
  EXPECT_THAT(std::string(answer.headers.get("Cache-Control")), HasSubstr("private"));
  const auto entries = log_.entries();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].record.content.at("access"), (json{{"by", "alice"},
                                                          {"endpoint", "/log/tile/entries/{index}"},
                                                          {"query", {{"first", 256}}},
                                                          {"count", 7}}));
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  EXPECT_EQ(get("/log/tile/entries/001").status, 503);
}

TEST_F(LogApiTest, entries_of_a_public_log_are_for_everybody) {
  entry_readers_ = EntryReaders::kAnyone;
  const auto answer = get("/log/tile/entries/001", "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(std::string(answer.headers.get("Cache-Control")), HasSubstr("public"));
  EXPECT_TRUE(log_.entries().empty());
}

TEST_F(LogApiTest, evidence_is_for_everybody_and_a_full_file_stays_as_it_is) {
  const audit::Evidence piece{.kind = audit::EvidenceKind::kCosignature,
                              .anchor = "north.example/w1",
                              .head = {.size = 5, .root = {}},
                              .content = "\xE2\x80\x94 north.example/w1 AAAA",
                              .received = {}};
  tree_.evidence_files = {std::vector(256, piece), {piece, piece}};
  const auto full = get("/log/evidence/000", "");
  EXPECT_EQ(full.status, 200);
  EXPECT_EQ(full.headers.get("Content-Type"), "application/x-ndjson");
  EXPECT_NE(full.headers.get("Cache-Control").find("immutable"), std::string::npos);
  EXPECT_EQ(std::ranges::count(full.content, '\n'), 256);
  const auto last = get("/log/evidence/001", "");
  EXPECT_EQ(last.headers.get("Cache-Control"), "no-cache");
  EXPECT_EQ(last.content, audit::evidence_line(piece) + audit::evidence_line(piece));
  for (const char* path : {"002", "1", "001.p/2", "", "000/", "x000/001"}) {
    EXPECT_EQ(get(std::string("/log/evidence/") + path, "").status, 404) << path;
  }
}

TEST_F(LogApiTest, proofs_are_found_by_index_and_by_id_and_recorded) {
  const std::string id = "0190a0f0-0000-7000-8000-000000000001";
  const auto answer = get("/api/v1/records/7/proof");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content, "c2sp.org/tlog-proof@v1\n");
  EXPECT_EQ(answer.headers.get("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(get("/api/v1/records/" + id + "/proof").status, 200);
  ASSERT_EQ(tree_.proofs_asked.size(), 2U);
  EXPECT_EQ(std::get<0>(tree_.proofs_asked[0]), 7);
  EXPECT_EQ(to_string(std::get<1>(tree_.proofs_asked[1])), id);
  ASSERT_EQ(log_.entries().size(), 2U);
  const json access = log_.entries()[1].record.content.at("access");
  EXPECT_EQ(access.at("endpoint"), "/api/v1/records/{reference}/proof");
  EXPECT_EQ(access.at("query"), (json{{"reference", id}}));
  for (const std::string wrong : {"x", "-0", "-7", "00", "07", "+7", "7.0"}) {
    EXPECT_EQ(get("/api/v1/records/" + wrong + "/proof").status, 400) << wrong;
  }
  EXPECT_EQ(get("/api/v1/records//proof").status, 400);
  EXPECT_EQ(get("/api/v1/records/7/proof?x=1").status, 400);
  EXPECT_EQ(get("/api/v1/records/7/proof", "").status, 401);
  EXPECT_EQ(tree_.proofs_asked.size(), 2U);
  log_.fail_nth(1, {ErrorCode::kUnavailable, "database away"});
  EXPECT_EQ(get("/api/v1/records/7/proof").status, 503);
}

TEST_F(LogApiTest, integrity_tells_how_the_tree_stands) {
  tree_.tree.checkpoint->signed_at = clock_.now() - std::chrono::milliseconds(1500);
  tree_role_.status.leading = true;
  const json state = body(get("/api/v1/integrity"));
  EXPECT_EQ(state["signed"], true);
  EXPECT_EQ(state["size"], 5);
  EXPECT_EQ(state["log_size"], 7);
  EXPECT_EQ(state["behind"], 2);
  EXPECT_EQ(state["age_ms"], 1500);
  EXPECT_EQ(state["leader"], "1@host");
  EXPECT_EQ(state["leading_here"], true);
  EXPECT_EQ(state["keys"], json::array({"key"}));
  EXPECT_EQ(state["origin"], "audit.example/log");
  EXPECT_EQ(state["checkpoint"], audit::fake_note(5));
  EXPECT_TRUE(state["frozen"].is_null());
  tree_.tree.log_size = 3;
  EXPECT_EQ(body(get("/api/v1/integrity"))["behind"], 0);
  EXPECT_EQ(get("/api/v1/integrity", "").status, 401);
}

TEST_F(LogApiTest, integrity_tells_what_is_not_settled_and_since_when) {
  json state = body(get("/api/v1/integrity"));
  EXPECT_EQ(state["unsettled"], 0);
  EXPECT_TRUE(state["oldest_unsettled_ms"].is_null());
  EXPECT_EQ(state["reconciling"], false);
  EXPECT_TRUE(state["reconcile_problem"].is_null());
  records_.log_state.unsettled = 3;
  records_.log_state.unsettled_since = clock_.now() - std::chrono::seconds(90);
  reconcile_role_ = {.asks = true, .problem = "Graph does not answer"};
  state = body(get("/api/v1/integrity"));
  EXPECT_EQ(state["unsettled"], 3);
  EXPECT_EQ(state["oldest_unsettled_ms"], 90'000);
  EXPECT_EQ(state["reconciling"], true);
  EXPECT_EQ(state["reconcile_problem"], "Graph does not answer");
}

TEST_F(LogApiTest, a_log_that_nobody_signs_says_so) {
  tree_.tree.checkpoint.reset();
  tree_role_ = {};
  EXPECT_EQ(get("/log/checkpoint", "").status, 404);
  const json state = body(get("/api/v1/integrity"));
  EXPECT_EQ(state["signed"], false);
  EXPECT_EQ(state["keys"], json::array());
  for (const char* name : {"size", "root", "signed_at", "age_ms", "checkpoint", "origin"}) {
    EXPECT_TRUE(state[name].is_null()) << name;
  }
}

TEST_F(LogApiTest, fault_a_frozen_tree_is_not_served) {
  tree_role_.status.frozen = "the log has gone back";
  for (const std::string target : {"/log/checkpoint", "/api/v1/records/1/proof"}) {
    const auto answer = get(target);
    EXPECT_EQ(answer.status, 503) << target;
    EXPECT_THAT(answer.content, HasSubstr("the log has gone back"));
  }
  EXPECT_TRUE(tree_.proofs_asked.empty());
  EXPECT_EQ(body(get("/api/v1/integrity"))["frozen"], "the log has gone back");
}

TEST_F(LogApiTest, fault_what_is_read_of_a_frozen_tree_is_kept_by_nobody) {
  const audit::Evidence piece{.kind = audit::EvidenceKind::kReceipt,
                              .anchor = "sink",
                              .head = {.size = 5, .root = {}},
                              .content = {},
                              .received = {}};
  tree_.evidence_files = {std::vector(256, piece), {piece}};
  tree_role_.status.frozen = "the log has gone back";
  for (const EntryReaders readers : {EntryReaders::kAnyone, EntryReaders::kOfficers}) {
    entry_readers_ = readers;
    for (const std::string target :
         {"/log/tile/0/000", "/log/tile/1/000.p/3", "/log/tile/entries/000", "/log/evidence/000",
          "/log/evidence/001"}) {
      const auto answer = get(target);
      EXPECT_EQ(answer.status, 200) << target;
      EXPECT_EQ(answer.headers.get("Cache-Control"), "no-store") << target;
    }
  }
}

TEST_F(LogApiTest, fault_a_checkpoint_that_contradicts_one_seen_before_is_not_served) {
  const auto served = [&](const audit::TreeHead& seen) {
    tree_role_.status.seen = seen;
    return get("/log/checkpoint", "");
  };
  const auto refused = [&](const audit::TreeHead& seen) {
    const auto answer = served(seen);
    EXPECT_THAT(answer.content, HasSubstr("the log's tree is frozen: "));
    return answer.status;
  };
  EXPECT_EQ(served({.size = 4, .root = sha256("4")}).status, 200);
  EXPECT_EQ(served({.size = 5}).status, 200);
  EXPECT_EQ(refused({.size = 5, .root = sha256("other")}), 503);
  EXPECT_EQ(refused({.size = 6}), 503);
  // What is served is the note, whatever stands beside it.
  tree_.tree.checkpoint->note = audit::fake_note(4);
  EXPECT_EQ(refused({.size = 5}), 503);
  tree_.tree.checkpoint->note = "none";
  EXPECT_EQ(refused({.size = 5}), 503);
  tree_.tree.checkpoint.reset();
  EXPECT_EQ(refused({.size = 5}), 503);
}

TEST_F(LogApiTest, fault_failures_have_their_status) {
  const std::vector<std::pair<ErrorCode, int>> cases = {{ErrorCode::kNotFound, 404},
                                                        {ErrorCode::kUnavailable, 503},
                                                        {ErrorCode::kTimeout, 503},
                                                        {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : cases) {
    tree_.error = Error{code, "why"};
    for (const std::string target : {"/log/checkpoint", "/log/tile/0/000", "/log/tile/entries/000",
                                     "/api/v1/records/1/proof", "/api/v1/integrity"}) {
      EXPECT_EQ(get(target).status, status) << target;
    }
  }
}

TEST_F(LogApiTest, what_retention_dropped_is_gone_and_said_so) {
  records_.log_state.dropped = {
      {.range = {.first = 256, .until = 512}, .record = 700, .at = "2026-10-05T08:00:00.000000Z"}};
  const nlohmann::json dropped = body(get("/api/v1/integrity")).at("dropped");
  EXPECT_EQ(dropped.at(0).at("until"), 512);
  EXPECT_EQ(get("/api/v1/records/511").status, 410);
  EXPECT_EQ(get("/api/v1/records/512").status, 404);
  tree_.error = Error{ErrorCode::kNotFound, "not held"};
  const http::Response gone = get("/log/tile/entries/001");
  EXPECT_EQ(gone.status, 410);
  EXPECT_THAT(gone.content, ::testing::HasSubstr("records 256 to 511"));
  EXPECT_EQ(get("/log/tile/entries/002").status, 404);
  tree_.error = Error{ErrorCode::kUnavailable, "away"};
  EXPECT_EQ(get("/log/tile/entries/001").status, 503);
}

}  // namespace
}  // namespace holdfast::officers
