#include "audit/shipped_functions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(ShippedFunctions, finds_both_forms) {
  const std::vector<Migration> migrations = {
      {"1",
       "-- A comment; with a semicolon.\nCREATE FUNCTION holdfast.a(x int) RETURNS int\n"
       "  LANGUAGE plpgsql\n  -- Another; one.\n  SET jit = off\nAS $$\nBEGIN\n  RETURN x;\n"
       "END $$;\nCREATE FUNCTION holdfast.b() RETURNS int\n  LANGUAGE sql\nRETURN 1;\n"},
      {"2", "CREATE OR REPLACE FUNCTION holdfast.a(x int) RETURNS int\nAS $$ new $$;"}};
  const ShippedFunctions functions = shipped_functions(migrations);
  ASSERT_EQ(functions.size(), 2U);
  EXPECT_EQ(functions.at("a").body, " new ");
  EXPECT_EQ(functions.at("b").body, "");
  EXPECT_THAT(std::string(functions.at("b").statement), HasSubstr("RETURN 1"));
  const ShippedFunctions before = shipped_functions(std::span(migrations).first(1));
  EXPECT_EQ(before.at("a").body, "\nBEGIN\n  RETURN x;\nEND ");
}

TEST(ShippedFunctions, what_was_dropped_is_in_force_no_more) {
  const std::vector<Migration> migrations = {
      {"1",
       "CREATE FUNCTION holdfast.a(x int)\nAS $$ old $$;\n"
       "CREATE FUNCTION holdfast.gone(x int)\nAS $$ gone $$;\n"
       "GRANT EXECUTE ON FUNCTION holdfast.a(int), holdfast.gone(int) TO holdfast_proxy;\n"},
      {"2",
       "DROP FUNCTION holdfast.gone(\n  int);\nDROP FUNCTION holdfast.a(int);\n"
       "CREATE FUNCTION holdfast.a(x int, y int)\nAS $$ new $$;"}};
  const ShippedFunctions functions = shipped_functions(migrations);
  ASSERT_EQ(functions.size(), 1U);
  EXPECT_EQ(functions.at("a").body, " new ");
  EXPECT_THAT(functions.at("a").roles, IsEmpty());
}

TEST(ShippedFunctions, says_who_may_execute_them) {
  const std::vector<Migration> migrations = {
      {"1",
       "CREATE FUNCTION holdfast.a(x holdfast.b)\nAS $$ a $$;\n"
       "CREATE FUNCTION holdfast.b(x int)\nAS $$ b $$;\n"
       "REVOKE EXECUTE ON FUNCTION holdfast.b(int) FROM PUBLIC;\n"
       "GRANT SELECT ON holdfast.t TO holdfast_retention;\n"
       "GRANT EXECUTE ON FUNCTION\n  holdfast.a(holdfast.b)\n  TO holdfast_proxy, holdfast_audit;"},
      {"2", "CREATE OR REPLACE FUNCTION holdfast.a(x holdfast.b)\nAS $$ new $$;"}};
  const ShippedFunctions functions = shipped_functions(migrations);
  EXPECT_THAT(functions.at("a").roles, ElementsAre("holdfast_audit", "holdfast_proxy"));
  EXPECT_THAT(functions.at("b").roles, IsEmpty());
}

TEST(ShippedFunctions, each_is_made_temporary_as_it_is) {
  const std::vector<Migration> migrations = {
      {"1",
       "CREATE FUNCTION holdfast.a(x holdfast.t)\n  SET jit = off\nAS $$ holdfast.b() $$;\n"
       "CREATE OR REPLACE FUNCTION holdfast.b() RETURNS int\nRETURN holdfast.c();"}};
  EXPECT_EQ(temporary_functions(shipped_functions(migrations)),
            "CREATE FUNCTION pg_temp.a(x holdfast.t)\n  SET jit = off\nAS $$ holdfast.b() $$;\n"
            "CREATE OR REPLACE FUNCTION pg_temp.b() RETURNS int\nRETURN holdfast.c();\n");
}

TEST(ShippedFunctions, the_last_definition_of_search_is_made_temporary) {
  const std::vector<Migration> migrations = {
      {"1",
       "CREATE FUNCTION holdfast.search_row(x int) AS $$ outdated $$;\n"
       "CREATE FUNCTION holdfast.search_name(x int)\nRETURN 1;\n"
       "CREATE FUNCTION holdfast.search_rows(x int)\nRETURN holdfast.search_name(x);"},
      {"2",
       "CREATE OR REPLACE FUNCTION holdfast.search_row(x int) RETURNS holdfast.record_search "
       "AS $$ holdfast.search_rows(x) $$;"}};
  const std::string sql = temporary_search_functions(shipped_functions(migrations));
  EXPECT_THAT(sql, HasSubstr("FUNCTION pg_temp.search_row(x int) RETURNS holdfast.record_search AS "
                             "$$ pg_temp.search_rows(x) $$;"));
  EXPECT_THAT(sql, HasSubstr("RETURN pg_temp.search_name(x);"));
  EXPECT_THAT(sql, Not(HasSubstr("outdated")));
}

TEST(ShippedFunctions, all_that_this_version_ships_have_a_body_or_an_expression) {
  const ShippedFunctions functions = shipped_functions(migrations());
  EXPECT_GT(functions.size(), 100U);
  for (const auto& [name, function] : functions) {
    EXPECT_TRUE(!function.body.empty() ||
                function.statement.find("\nRETURN ") != std::string_view::npos)
        << name;
    EXPECT_EQ(function.statement.find("CREATE FUNCTION", 1), std::string_view::npos) << name;
  }
  EXPECT_THAT(functions.at("append_proxy").roles, ElementsAre("holdfast_proxy"));
}

}  // namespace
}  // namespace holdfast::audit
