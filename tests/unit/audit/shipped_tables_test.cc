#include "audit/shipped_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace holdfast::audit {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ShippedTables, each_is_made_temporary_as_it_was_changed) {
  const std::vector<Migration> migrations = {
      {"1",
       "-- A comment.\nCREATE TABLE holdfast.a (\n  x int CHECK (holdfast.f(x)),  -- One; or two.\n"
       "  y int DEFAULT nextval('holdfast.s')\n);\nCREATE INDEX a_x ON holdfast.a (x);\n"
       "CREATE FUNCTION holdfast.f(x int) RETURNS boolean\nAS $$ BEGIN\n"
       "  EXECUTE 'ALTER TABLE holdfast.a ADD z int';\nEND $$;\n"
       "ALTER TABLE holdfast.a ENABLE ALWAYS TRIGGER t;\n"},
      {"2",
       "\nALTER TABLE holdfast.a\n  ADD z int;  -- Why; and so on.\nDROP FUNCTION "
       "holdfast.f(int);\n"
       "CREATE TABLE holdfast.b (a int REFERENCES holdfast.a) INHERITS (holdfast.c);\n"}};
  EXPECT_EQ(temporary_tables(migrations),
            "CREATE TABLE pg_temp.a (\n  x int CHECK (holdfast.f(x)),  \n"
            "  y int DEFAULT nextval('holdfast.s')\n);\n"
            "ALTER TABLE pg_temp.a\n  ADD z int;\n"
            "CREATE TABLE pg_temp.b (a int REFERENCES pg_temp.a) INHERITS (pg_temp.c);\n");
}

TEST(ShippedTables, all_that_this_version_ships_are_whole_statements) {
  const std::string sql = temporary_tables(migrations());
  EXPECT_THAT(sql, HasSubstr("CREATE TABLE pg_temp.log ("));
  EXPECT_THAT(sql, HasSubstr("ALTER TABLE pg_temp.log DROP CONSTRAINT log_role;\n"));
  EXPECT_THAT(sql, Not(HasSubstr("TABLE holdfast.")));
  EXPECT_THAT(sql, Not(HasSubstr("TRIGGER")));
  EXPECT_THAT(sql, Not(HasSubstr("FUNCTION")));
  EXPECT_EQ(std::ranges::count(sql, '('), std::ranges::count(sql, ')'));
}

}  // namespace
}  // namespace holdfast::audit
