#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/queries.h"
#include "base/encoding.h"

namespace holdfast::audit {
namespace {

std::string refused(std::vector<Parameter> parameters) {
  const ParsedQuery parsed = parse_record_query(parameters);
  const auto* bad = std::get_if<BadParameter>(&parsed);
  return bad == nullptr ? "" : bad->name;
}

RecordQuery accepted(const std::vector<Parameter>& parameters) {
  ParsedQuery parsed = parse_record_query(parameters);
  EXPECT_TRUE(std::holds_alternative<RecordQuery>(parsed));
  return std::get<RecordQuery>(parsed);
}

TEST(RecordQuery, bad_values_are_refused_by_name) {
  const std::vector<Parameter> cases = {
      {"from", "yesterday"},
      {"to", "2026-10-05"},
      {"from", "0000-01-01T00:00:00Z"},
      {"to", "0001-01-01T00:00:00+00:01"},
      {"to", "9999-12-31T23:59:59-23:59"},
      {"from", "9999-12-31T23:59:60Z"},
      {"effect", "maybe"},
      {"effect", "limit"},
      {"result", "ok"},
      {"kind", "Intent"},
      {"operation_id", "1"},
      {"ip", "10.1.2"},
      {"ip", "10.1.2.3/8"},
      {"ip", "fe80::1%eth0"},
      {"order", "up"},
      {"limit", "0"},
      {"limit", "1001"},
      {"limit", "1x"},
      {"limit", "-1"},
      {"limit", "+1"},
      {"cursor", "x"},
      {"actor", ""},
      {"q", std::string("a\0b", 3)},
      {"q", "\xff"},
      {"colour", "blue"},
      {"Actor", "alice"},
      {"$filter", "kind eq 'x'"},
  };
  for (const Parameter& parameter : cases) {
    EXPECT_EQ(refused({parameter}), parameter.name) << parameter.name << "=" << parameter.value;
  }
  EXPECT_EQ(refused({{"q", "a"}, {"q", "a"}}), "q");
  EXPECT_EQ(refused({{"from", "2026-10-05T08:00:00Z"}, {"to", "2026-10-05T08:00:00Z"}}), "to");
}

TEST(RecordQuery, filters_round_trip) {
  const std::vector<Parameter> given = {
      {"q", "a b"},         {"from", "2026-10-05T10:00:00 02:00"},  // As an unencoded + arrives.
      {"ip", "10.0.0.0/8"}, {"operation_id", "0190a0f0-0000-7000-8000-000000000001"},
      {"order", "asc"},     {"limit", "7"},
  };
  const RecordQuery query = accepted(given);
  EXPECT_EQ(to_rfc3339(*query.from), "2026-10-05T08:00:00.000000Z");
  EXPECT_EQ(query.limit, 7);
  const RecordQuery again = accepted(filters_of(query));
  EXPECT_EQ(again.q, "a b");
  EXPECT_EQ(again.ip, "10.0.0.0/8");
  EXPECT_EQ(again.from, query.from);
  EXPECT_EQ(again.operation_id, query.operation_id);
  EXPECT_EQ(again.order, Order::kAscending);
}

TEST(RecordQuery, times_are_taken_as_far_as_they_can_be_written) {
  const RecordQuery query =
      accepted({{"from", "0001-01-01T00:00:00Z"}, {"to", "9999-12-31T23:59:59.999999Z"}});
  EXPECT_EQ(to_rfc3339(*query.from), "0001-01-01T00:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(*query.to), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(accepted(filters_of(query)).to, query.to);
}

TEST(RecordQuery, a_cursor_belongs_to_its_question) {
  const RecordQuery query = accepted({{"kind", "intent"}, {"order", "asc"}});
  const Cursor cursor{.after = 41, .complete_to = 99};
  const std::string text = encode_cursor(cursor, query);
  const RecordQuery next =
      accepted({{"cursor", text}, {"order", "asc"}, {"kind", "intent"}, {"limit", "5"}});
  EXPECT_EQ(next.cursor, cursor);
  EXPECT_EQ(refused({{"cursor", text}, {"kind", "outcome"}, {"order", "asc"}}), "cursor");
  EXPECT_EQ(refused({{"cursor", text}, {"kind", "intent"}}), "cursor");
  EXPECT_EQ(refused({{"cursor", text.substr(1)}, {"kind", "intent"}, {"order", "asc"}}), "cursor");
  EXPECT_EQ(refused({{"cursor", to_base64url("[1,2]")}}), "cursor");
  EXPECT_EQ(refused({{"cursor", to_base64url("{}")}}), "cursor");
}

}  // namespace
}  // namespace holdfast::audit
