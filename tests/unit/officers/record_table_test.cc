#include "officers/record_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::officers {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

json sample() {
  return json::parse(R"({"index":7,"time":"2026-10-05T08:00:00.123456Z","kind":"intent",
    "actor":{"name":"alice@contoso.com","verification":"probe"},
    "operation":{"action":"recall","resource":"message","item":"AAMkAGI2TG93AAA0123456789=",
      "mailbox":{"kind":"me"}},
    "decision":{"effect":"allow","rules":["a","b"]}})");
}

TEST(RecordTable, a_record_is_one_readable_line) {
  EXPECT_EQ(record_table({sample()}, Colour::kNone),
            "TIME                     INDEX  KIND    WHO                ACTION  RESOURCE  MAILBOX  "
            "ITEM            RESULT  RULE\n"
            "2026-10-05 08:00:00.123  7      intent  alice@contoso.com  recall  message   me       "
            "AAMkAG…456789=  allow   a,b\n");
}

TEST(RecordTable, mailbox_is_shown_by_its_address) {
  json record = sample();
  json& mailbox = record["operation"]["mailbox"];
  mailbox["names"] = {"1ebb76af-0000-4000-8000-000000000001", "alex@contoso.com"};
  EXPECT_THAT(record_table({record}, Colour::kNone), HasSubstr("alex@contoso.com"));
  mailbox["key"] = "1EBB76AF-0000-4000-8000-000000000001";
  EXPECT_THAT(record_table({record}, Colour::kNone), HasSubstr("alex@contoso.com"));
  mailbox["key"] = "info@contoso.com";
  EXPECT_THAT(record_table({record}, Colour::kNone), HasSubstr("info@contoso.com"));
}

TEST(RecordTable, claims_that_nobody_verified_are_marked) {
  json record = sample();
  record["actor"]["verification"] = "none";
  EXPECT_THAT(record_table({record}, Colour::kNone), HasSubstr("alice@contoso.com (?)"));
}

TEST(RecordTable, no_control_character_reaches_the_terminal) {
  json record = sample();
  record["actor"]["name"] = "a\x1b[2Jb\nc\u009bd\x7f";
  const std::string table = record_table({record}, Colour::kNone);
  EXPECT_THAT(table, HasSubstr("a?[2Jb?c?d?"));
  EXPECT_THAT(table, Not(HasSubstr("\x1b")));
  const std::string detail = record_detail(record);
  EXPECT_THAT(detail, Not(HasSubstr("\x1b")));
  EXPECT_THAT(detail, Not(HasSubstr("\u009b")));
  EXPECT_THAT(detail, HasSubstr("\n  \"index\": 7,\n"));
}

TEST(RecordTable, colours_only_where_asked_for) {
  EXPECT_THAT(record_table({sample()}, Colour::kAnsi), HasSubstr("\x1b[32mallow\x1b[0m"));
  EXPECT_THAT(record_table({sample()}, Colour::kNone), Not(HasSubstr("\x1b")));
}

TEST(RecordTable, odd_records_are_shown_as_far_as_they_go) {
  EXPECT_THAT(record_table({json::parse(R"({"index":3,"malformed":true})")}, Colour::kNone),
              HasSubstr("malformed"));
  EXPECT_NO_THROW(
      record_table({json::parse(R"({"actor":[],"operation":"x","decision":{"rules":7},"time":3})")},
                   Colour::kNone));
  json long_name = sample();
  long_name["actor"]["name"] = std::string(40, 'x') + "é";
  EXPECT_THAT(record_table({long_name}, Colour::kNone), HasSubstr("…"));
}

}  // namespace
}  // namespace holdfast::officers
