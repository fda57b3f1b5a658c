#include "audit/shipped_functions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::audit {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ShippedFunctions, finds_both_forms) {
  const std::vector<Migration> migrations = {
      {"1",
       "-- A comment; with a semicolon.\nCREATE FUNCTION holdfast.a(x int) RETURNS int\n"
       "  LANGUAGE plpgsql\n  -- Another; one.\n  SET jit = off\nAS $$\nBEGIN\n  RETURN x;\n"
       "END $$;\nCREATE FUNCTION holdfast.b() RETURNS int\n  LANGUAGE sql\nRETURN 1;\n"},
      {"2", "CREATE OR REPLACE FUNCTION holdfast.a(x int) RETURNS int\nAS $$ new $$;"}};
  const std::vector<ShippedFunction> functions = shipped_functions(migrations);
  ASSERT_EQ(functions.size(), 3U);
  EXPECT_EQ(functions[0].name, "a");
  EXPECT_EQ(functions[0].body, "\nBEGIN\n  RETURN x;\nEND ");
  EXPECT_EQ(functions[1].name, "b");
  EXPECT_EQ(functions[1].body, "");
  EXPECT_THAT(std::string(functions[1].statement), HasSubstr("RETURN 1"));
  EXPECT_EQ(functions[2].body, " new ");
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
  const std::vector<ShippedFunction> functions = shipped_functions(migrations());
  EXPECT_GT(functions.size(), 20U);
  for (const ShippedFunction& function : functions) {
    EXPECT_TRUE(!function.body.empty() ||
                function.statement.find("\nRETURN ") != std::string_view::npos)
        << function.name;
    EXPECT_EQ(function.statement.find("CREATE FUNCTION", 1), std::string_view::npos)
        << function.name;
  }
}

}  // namespace
}  // namespace holdfast::audit
