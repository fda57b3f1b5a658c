#include "audit/conninfo.h"

#include <gtest/gtest.h>

#include "audit/binary_array.h"

namespace holdfast::audit {
namespace {

TEST(Conninfo, adds_password_and_timeout_to_both_forms) {
  EXPECT_EQ(conninfo({.url = "postgresql://u@h/d", .password = "a&b"}),
            "postgresql://u@h/d?password=a%26b&connect_timeout=2");
  EXPECT_EQ(conninfo({.url = "postgresql://u@h/d?connect_timeout=9", .password = ""}),
            "postgresql://u@h/d?connect_timeout=9");
  EXPECT_EQ(conninfo({.url = "host=h user=u", .password = "it's"}),
            "host=h user=u password='it\\'s' connect_timeout='2'");
}

TEST(Conninfo, messages_hold_one_line_and_no_password) {
  EXPECT_EQ(safe_message("ERROR:  no such thing\nDETAIL:  row (secret)", {}), "no such thing");
  EXPECT_EQ(safe_message("bad geheim and geheim", {.url = "", .password = "geheim"}),
            "bad *** and ***");
  EXPECT_EQ(safe_message("invalid: postgresql://u:geheim@h",
                         {.url = "postgresql://u:geheim@h/d", .password = ""}),
            "invalid: postgresql://u:***@h");
  EXPECT_EQ(safe_message("in \"host=h password=geheim\"",
                         {.url = "host=h password=geheim", .password = ""}),
            "in \"***\"");
}

TEST(BinaryArray, is_postgresqls_wire_form) {
  BinaryArray array(BinaryArray::Element::kText);
  array.add("ab");
  array.add_null();
  const char expected[] =
      "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1"
      "\0\0\0\2ab\xff\xff\xff\xff";
  EXPECT_EQ(array.bytes(), std::string(expected, sizeof(expected) - 1));
}

}  // namespace
}  // namespace holdfast::audit
