// Every row of the route tables: what is documented, what must pass, what tries to slip through.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "graph/classify.h"

namespace holdfast::graph {
namespace {

using Row = std::vector<std::string>;

std::vector<Row> read_table(const std::string& name) {
  std::ifstream file(std::string(HOLDFAST_TEST_DATA) + "/" + name);
  std::vector<Row> rows;
  std::string line;
  std::getline(file, line);  // The names of the columns.
  while (std::getline(file, line)) {
    Row row;
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, '\t');) row.push_back(cell);
    rows.push_back(row);
  }
  return rows;
}

Classification classify_with(const std::string& method, const std::string& target,
                             const std::string& header = "") {
  std::vector<HeaderView> headers;
  if (const std::size_t colon = header.find(": "); colon != std::string::npos) {
    headers.push_back({.name = std::string_view(header).substr(0, colon),
                       .value = std::string_view(header).substr(colon + 2)});
  }
  return classify({.method = method, .target = target, .headers = headers, .body = std::nullopt});
}

// Ids as they really look, so that nothing depends on their being tame.
std::vector<std::string> ids() {
  return {"AAMkAGI1AAAoZCfHAAA=",
          "b4c80c57-5c59-4a3d-912a-a83985988b82",
          "AAMkADAwATM0%2FAMAtZDdl%3D",
          "ada%40contoso.com",
          "guest_ext.com%23EXT%23@t.onmicrosoft.com",
          "permanentDelete",
          "recall",
          "root",
          "me",
          "O'Brien@contoso.com",
          "$value",
          "b!-RIj2DuyvEyV1T4NlOaMHk8XkS_I8MdFlUCq1BlcjgmhRfAj3-Z8RY2VpuvV_tpd"};
}

std::string fill(const std::string& path, const std::string& id) {
  static const std::regex kPlaceholder(R"(\{[^}]*\})");
  return std::regex_replace(path, kPlaceholder,
                            std::regex_replace(id, std::regex(R"(\$)"), "$$$$"));
}

std::string upper(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      i += 2;
    } else if (text[i] >= 'a' && text[i] <= 'z') {
      text[i] = static_cast<char>(text[i] - 32);
    }
  }
  return text;
}

TEST(ClassifyData, DocumentedRoutesAreGuardedWithTheirType) {
  for (const Row& row : read_table("documented_routes.tsv")) {
    const std::string resource = row[3] == "event(doc typo)" ? "event" : row[3];
    for (const std::string& id : ids()) {
      // users/x/permanentDelete/permanentDelete: the nameless event of that page cannot be called
      // so.
      if (row[3] != resource && (id == "permanentDelete" || id == "recall")) continue;
      const std::string path = "/" + row[0] + fill(row[2], id);
      for (const std::string& target : {path, upper(path)}) {
        const Classification c = classify_with(row[1], target);
        ASSERT_EQ(c.request_class, RequestClass::kGuarded) << target << ": " << c.reason;
        EXPECT_EQ(c.operation->action, row[4]) << target;
        EXPECT_EQ(c.operation->resource, resource) << target;
        EXPECT_EQ(c.version, row[0]) << target;
      }
    }
  }
}

TEST(ClassifyData, OtherRoutesPass) {
  for (const Row& row : read_table("other_paths_sample.tsv")) {
    const std::string version = row[0] == "any" ? "v1.0" : row[0];
    for (const std::string& id : ids()) {
      const std::string path = "/" + version + fill(row[2], id);
      // A POST to a key is never valid; where the key is called like an action it may be refused.
      const bool ends_in_key = row[2].ends_with("}") && row[1] == "POST";
      if (ends_in_key && (id == "recall" || id == "permanentDelete")) continue;
      for (const std::string& target : {path, upper(path)}) {
        const Classification c = classify_with(row[1], target);
        EXPECT_EQ(c.request_class, RequestClass::kPassThrough)
            << row[1] << " " << target << ": " << c.reason;
      }
    }
  }
}

void check_concrete_rows(const std::string& table) {
  for (const Row& row : read_table(table)) {
    const Classification c = classify_with(row[0], row[1], row[2]);
    const std::string& expected = row[3];
    const std::string seen = c.request_class == RequestClass::kGuarded       ? c.operation->action
                             : c.request_class == RequestClass::kRejected    ? "suspect"
                             : c.request_class == RequestClass::kPassThrough ? "none"
                                                                             : "batch";
    EXPECT_EQ(seen, expected) << row[0] << " " << row[1] << " " << row[2] << ": " << c.reason;
  }
}

TEST(ClassifyData, EvasionsAreCaught) {
  check_concrete_rows("evasion_sample.tsv");
}

TEST(ClassifyData, NearMissesPass) {
  check_concrete_rows("near_miss_sample.tsv");
}

}  // namespace
}  // namespace holdfast::graph
