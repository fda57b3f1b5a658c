// The OpenAPI document says what the server does: the same paths, parameters and values.
#include "config/yaml.h"
#include "tests/unit/officers/api_fixture.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

class OpenApiTest : public ApiTest {
 protected:
  void SetUp() override {
    const auto document = config::load_yaml(HOLDFAST_SOURCE_DIR "/schema/openapi.yaml");
    ASSERT_TRUE(document.ok()) << document.error().message;
    openapi_ = document->value;
  }

  json parameters() const {
    return openapi_.at("paths").at("/api/v1/records").at("get").at("parameters");
  }

  // The path with something that its parameters can stand for.
  static std::string example_of(std::string path) {
    for (const auto& [name, value] :
         {std::pair("{reference}", "1"), std::pair("{level}", "0"), std::pair("{index}", "000"),
          std::pair("{code}", kCode), std::pair("{id}", kCode), std::pair("{number}", "1")}) {
      const std::size_t at = path.find(name);
      if (at != std::string::npos) path.replace(at, std::string_view(name).size(), value);
    }
    return path;
  }

  // An approval for the paths that name one.
  void add_approval() {
    approvals_.add(approval::filing(*parse_uuid(kCode), approval::Binding(),
                                    {.name = "requester", .accounts = {"t/r"}, .names = {}},
                                    {.stages = {{.from = "compliance", .group = "g"}}}),
                   approval::ApprovalState::kPending);
  }

  // A review likewise.
  void add_review() {
    reviews_.add(*parse_uuid(kCode), {.name = "requester", .accounts = {"t/r"}, .names = {}},
                 approval::ReviewState::kOpen);
  }

  static constexpr const char* kCode = "11111111-0000-4000-8000-000000000001";
  json openapi_;
};

TEST_F(OpenApiTest, paths_are_those_of_the_server) {
  tree_.evidence_files = {{audit::Evidence{.anchor = "sink"}}};
  add_approval();
  add_review();
  generations_.add("active");
  std::vector<std::string> documented;
  for (const auto& [path, item] : openapi_.at("paths").items()) {
    documented.push_back(path);
    const std::string target = example_of(path);
    if (item.contains("post")) {
      EXPECT_EQ(get(target, "", "POST").status, 401) << path;
    }
    if (!item.contains("get")) {
      EXPECT_EQ(get(target).status, 405) << path;
      continue;
    }
    EXPECT_EQ(get(target).status, 200) << path;
    const bool open = item.at("get").contains("security");
    EXPECT_EQ(get(target, "").status, open ? 200 : 401) << path;
    EXPECT_EQ(get(target, "secret", "DELETE").status, 405) << path;
  }
  EXPECT_THAT(documented, ::testing::UnorderedElementsAreArray(api_paths()));
}

TEST_F(OpenApiTest, parameters_are_those_of_the_server) {
  std::vector<std::string> documented;
  for (const json& parameter : parameters()) documented.push_back(parameter.at("name"));
  const auto& known = audit::record_query_parameters();
  EXPECT_EQ(documented, std::vector<std::string>(known.begin(), known.end()));
}

TEST_F(OpenApiTest, values_are_those_of_the_server) {
  for (const json& parameter : parameters()) {
    const std::string name = parameter.at("name");
    const json& schema = parameter.at("schema");
    const std::string help(audit::record_query_help(name));
    for (const json& value : schema.value("enum", json::array())) {
      EXPECT_THAT(help, ::testing::HasSubstr(value.get<std::string>()))
          << name;  // As --help has it.
      EXPECT_EQ(get("/api/v1/records?" + name + "=" + value.get<std::string>()).status, 200);
    }
    if (schema.contains("enum")) {
      EXPECT_EQ(get("/api/v1/records?" + name + "=other").status, 400) << name;
    }
    if (!schema.contains("maximum")) continue;
    const int most = schema.at("maximum");
    EXPECT_EQ(get("/api/v1/records?limit=" + std::to_string(most)).status, 200);
    EXPECT_EQ(get("/api/v1/records?limit=" + std::to_string(most + 1)).status, 400);
    EXPECT_EQ(schema.at("default"), audit::RecordQuery().limit);
  }
}

TEST_F(OpenApiTest, answers_have_the_members_it_promises) {
  records_.page.next = audit::Cursor{};
  const json page = body(get("/api/v1/records"));
  const json& schema = openapi_.at("components").at("schemas").at("Page");
  for (const json& name : schema.at("required")) EXPECT_TRUE(page.contains(name)) << name;
  for (const auto& [name, value] : page.items()) {
    EXPECT_TRUE(schema.at("properties").contains(name)) << name;
  }
  const json integrity = body(get("/api/v1/integrity"));
  const json& promised = openapi_.at("components").at("schemas").at("Integrity");
  EXPECT_EQ(promised.at("required").size(), integrity.size());
  for (const json& name : promised.at("required")) {
    EXPECT_TRUE(integrity.contains(name)) << name;
    EXPECT_TRUE(promised.at("properties").contains(name)) << name;
  }
  add_approval();
  const json approval = body(get("/api/v1/approvals")).at("value").at(0);
  const json& described = openapi_.at("components").at("schemas").at("Approval");
  for (const json& name : described.at("required")) EXPECT_TRUE(approval.contains(name)) << name;
  for (const auto& [name, value] : approval.items()) {
    EXPECT_TRUE(described.at("properties").contains(name)) << name;
  }
  const json problem = body(get("/api/v1/records?x=1"));
  const json& problem_schema = openapi_.at("components").at("schemas").at("Problem");
  for (const auto& [name, value] : problem.items()) {
    EXPECT_TRUE(problem_schema.at("properties").contains(name)) << name;
  }
}

TEST_F(OpenApiTest, holds_have_the_members_it_promises) {
  const json& schema = openapi_.at("components").at("schemas").at("Hold");
  const json placed = body(
      get("/api/v1/holds", "bob", "POST", R"({"mailboxes":["ceo@contoso.com"],"reason":"x"})"));
  for (const json& hold : {placed, body(get("/api/v1/holds")).at("value").at(0)}) {
    for (const json& name : schema.at("required")) EXPECT_TRUE(hold.contains(name)) << name;
    for (const auto& [name, value] : hold.items()) {
      EXPECT_TRUE(schema.at("properties").contains(name)) << name;
    }
  }
}

TEST_F(OpenApiTest, tokens_have_the_members_it_promises) {
  tokens_ = *Tokens::parse("tokens:\n  - name: root\n    sha256: \"" + to_hex(sha256("root")) +
                               "\"\n    roles: [admin]\n",
                           "tokens.yaml");
  const json& schema = openapi_.at("components").at("schemas").at("Token");
  const auto check = [&](const json& token) {
    for (const json& name : schema.at("required")) EXPECT_TRUE(token.contains(name)) << name;
    for (const auto& [name, value] : token.items()) {
      EXPECT_TRUE(schema.at("properties").contains(name)) << name;
    }
  };
  const json made = body(get("/api/v1/tokens", "root", "POST",
                             R"({"name":"siem","roles":["auditor"],"expires_in_s":60})"));
  check(made);
  check(body(get("/api/v1/tokens", "root")).at("value").at(0));
  check(body(get("/api/v1/tokens/" + made.at("id").get<std::string>() + "/revoke", "root", "POST",
                 R"({"reason":"over"})")));
}

}  // namespace
}  // namespace holdfast::officers
