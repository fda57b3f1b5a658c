// What must hold for every guarded path, however it is spelled. RapidCheck prints its seed.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "base/encoding.h"
#include "graph/classify.h"
#include "graph/classify_lines.h"

namespace holdfast::graph {
namespace {

const std::vector<std::vector<std::string>> kPaths = {
    {"v1.0", "me", "messages", "m1", "permanentDelete"},
    {"beta", "users", "u1", "mailFolders", "sentitems", "messages", "m1", "recall"},
    {"v1.0", "groups", "g1", "events", "e1", "instances", "i1", "permanentDelete"},
    {"beta", "users", "u1", "outlook", "tasks", "t1", "permanentDelete"},
    {"v1.0", "drives", "d1", "items", "i1", "permanentDelete"},
    {"me", "contactFolders", "f1", "childFolders", "f2", "microsoft.graph.permanentDelete"},
};

RequestClass class_of(const std::string& method, const std::string& target) {
  return classify({.method = method, .target = target, .headers = {}, .body = std::nullopt})
      .request_class;
}

std::string join(const std::vector<std::string>& segments) {
  std::string path;
  for (const std::string& segment : segments) path += "/" + segment;
  return path;
}

// Any letter in either case or as %XX, in either case too.
std::string respell(const std::string& path) {
  std::string out;
  for (const char c : path) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const int how = letter ? *rc::gen::inRange(0, 4) : c == '/' ? 0 : *rc::gen::inRange(2, 4) % 3;
    const char other = how == 1 ? static_cast<char>(c ^ 0x20) : c;
    if (how == 2) {
      const std::string hex = to_hex(std::string(1, c));
      out += "%" + (*rc::gen::arbitrary<bool>() ? ascii_lower(hex) : hex);
    } else {
      out += other;
    }
  }
  return out;
}

TEST(ClassifyProperty, RespellingLettersStaysGuarded) {
  EXPECT_TRUE(rc::check("respelt paths are guarded", [] {
    const std::string target = respell(join(*rc::gen::elementOf(kPaths)));
    RC_TAG(target);
    RC_ASSERT(class_of("POST", target) == RequestClass::kGuarded);
  }));
}

TEST(ClassifyProperty, SkippedSegmentsNeverLoosen) {
  EXPECT_TRUE(rc::check("inserting what servers skip", [] {
    const std::vector<std::string> kSkipped = {"", ".", "%2e", "$", "%24", "%2F", "x/..", ""};
    std::vector<std::string> segments = *rc::gen::elementOf(kPaths);
    const int count = *rc::gen::inRange(1, 6);
    for (int i = 0; i < count; ++i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, segments.size() + 1);
      segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(at),
                      *rc::gen::elementOf(kSkipped));
    }
    RC_ASSERT(class_of("POST", join(segments)) != RequestClass::kPassThrough);
  }));
}

TEST(ClassifyProperty, JunkAroundTheActionNeverLoosens) {
  EXPECT_TRUE(rc::check("junk after or before the action", [] {
    const std::vector<std::string> kJunk = {"%20", "%09",  "%00", ".",      ";x",        "%3B",
                                            "%2F", "%5C",  "()",  "%28%29", "%E2%80%8B", "%C2%A0",
                                            "#",   "%23x", "?",   "/$value"};
    std::string path = join(*rc::gen::elementOf(kPaths));
    const int count = *rc::gen::inRange(1, 4);
    for (int i = 0; i < count; ++i) path += *rc::gen::elementOf(kJunk);
    RC_ASSERT(class_of("POST", path) != RequestClass::kPassThrough);
  }));
}

TEST(ClassifyProperty, AnyBytesAreAnswered) {
  EXPECT_TRUE(rc::check("no crash and one line out", [] {
    const std::vector<std::string> kPieces = {"/",
                                              "'",
                                              "(",
                                              ")",
                                              "%",
                                              "%2",
                                              "%27",
                                              "%28",
                                              ":",
                                              "root:",
                                              "..",
                                              "$",
                                              "\\",
                                              "#",
                                              "?",
                                              "users",
                                              "me",
                                              "drives",
                                              "d",
                                              "recall",
                                              "\xff",
                                              ";",
                                              ".",
                                              "=",
                                              "items",
                                              "messages",
                                              "permanentDelete",
                                              "$batch",
                                              "microsoft.graph.",
                                              "\xc3\xa9"};
    std::string target;
    const int count = *rc::gen::inRange(0, 24);
    for (int i = 0; i < count; ++i) target += *rc::gen::elementOf(kPieces);
    const Classification c =
        classify({.method = "POST", .target = target, .headers = {}, .body = std::nullopt});
    std::string line;
    append_classification(c, line);
    RC_ASSERT(nlohmann::json::accept(line));
    RC_ASSERT((c.request_class != RequestClass::kGuarded) || c.operation.has_value());
  }));
}

}  // namespace
}  // namespace holdfast::graph
