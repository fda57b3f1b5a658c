#include "audit/queries.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <charconv>
#include <set>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

constexpr std::pair<std::string_view, std::string_view> kParameters[] = {
    {"from", "Records of this time and later (RFC 3339; years 0001 to 9999, in UTC)."},
    {"to", "Records before this time (RFC 3339; years 0001 to 9999, in UTC)."},
    {"actor", "Who acted: object id, app id or name."},
    {"mailbox", "Whose mailbox: the key in the path or any of its names."},
    {"action", "permanentDelete, recall, hardDelete, …"},
    {"resource", "message, event, contact, outlookTask, …"},
    {"item", "The id of the item acted on."},
    {"effect",
     "Decision: allow, deny (a spent limit's too), require_approval, break_glass, bad_request, "
     "unauthenticated, unavailable, cancel."},
    {"result", "Outcome: executed, refused, not_sent, unknown, not_executed, indeterminate."},
    {"rule", "The id of a rule that decided."},
    {"kind", "intent, decision, outcome, reconciliation, approval, access, rules, system."},
    {"operation_id", "The id that all records of one call share."},
    {"client_request_id", "The client's own id of its request."},
    {"graph_request_id", "Microsoft Graph's id of the request."},
    {"ip", "The caller's address, or a network such as 10.0.0.0/8."},
    {"q",
     "A part, in any case, of: target, user agent, ticket, actors, mailboxes, item, folder, "
     "reasons and errors of decision and outcome, outcome.recall, and the members approval, "
     "access, system and rules as they are written. Not the justification."},
    {"order", "asc or desc by index; desc without it."},
    {"limit", "Records a page: 50 without it, at most 1000."},
    {"cursor", "Where to go on, from @odata.nextLink."},
};

using Values = std::vector<std::string_view>;

struct TextFilter {
  std::string_view name;
  std::optional<std::string> RecordQuery::* member;
  Values values;  // The only ones there are; empty: any text.
};

const std::vector<TextFilter>& text_filters() {
  static const std::vector<TextFilter> filters = {
      {"actor", &RecordQuery::actor, {}},
      {"mailbox", &RecordQuery::mailbox, {}},
      {"action", &RecordQuery::action, {}},
      {"resource", &RecordQuery::resource, {}},
      {"item", &RecordQuery::item, {}},
      {"effect",
       &RecordQuery::effect,
       {"allow", "deny", "require_approval", "break_glass", "bad_request", "unauthenticated",
        "unavailable", "cancel"}},
      {"result",
       &RecordQuery::result,
       {"executed", "refused", "not_sent", "unknown", "not_executed", "indeterminate"}},
      {"rule", &RecordQuery::rule, {}},
      {"kind",
       &RecordQuery::kind,
       {"decision", "intent", "outcome", "reconciliation", "approval", "access", "rules",
        "system"}},
      {"client_request_id", &RecordQuery::client_request_id, {}},
      {"graph_request_id", &RecordQuery::graph_request_id, {}},
      {"ip", &RecordQuery::ip, {}},
      {"q", &RecordQuery::q, {}},
  };
  return filters;
}

std::string one_of(const Values& values) {
  std::string text = "must be one of ";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ", ";
    text += values[i];
  }
  return text;
}

bool is_address_or_network(const std::string& text) {
  if (text.find('%') != std::string::npos) return false;  // A zone means nothing on this machine.
  boost::system::error_code not_address;
  boost::asio::ip::make_address(text, not_address);
  if (!not_address) return true;
  boost::system::error_code not_v4;
  const auto v4 = boost::asio::ip::make_network_v4(text, not_v4);
  if (!not_v4) return v4.canonical() == v4;
  boost::system::error_code not_v6;
  const auto v6 = boost::asio::ip::make_network_v6(text, not_v6);
  return !not_v6 && v6.canonical() == v6;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Every one of these returns what is wrong with the value, or nothing.
using Problem = std::optional<std::string>;

Problem set_time(std::optional<WallTime>& member, const std::string& value) {
  // An unencoded + of the offset arrives as a space, which no time contains.
  std::string text = value;
  std::replace(text.begin(), text.end(), ' ', '+');
  const Result<WallTime> time = parse_rfc3339(text);
  if (!time.ok()) return "must be an RFC 3339 time such as 2026-10-05T08:00:00Z";
  // An offset leads out of the years that RFC 3339 can write, and PostgreSQL knows no year 0.
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(*time));
  if (date.year() < std::chrono::year(1) || date.year() > std::chrono::year(9999)) {
    return "must be a time of the years 0001 to 9999, in UTC";
  }
  member = *time;
  return std::nullopt;
}

Problem set_text(const TextFilter& filter, RecordQuery& query, const std::string& value) {
  const Values& values = filter.values;
  if (!values.empty() && std::find(values.begin(), values.end(), value) == values.end()) {
    return one_of(values);
  }
  if (filter.name == "ip" && !is_address_or_network(value)) {
    return "must be an IP address or a network such as 10.0.0.0/8";
  }
  query.*filter.member = value;
  return std::nullopt;
}

Problem set_limit(RecordQuery& query, const std::string& value) {
  const std::optional<std::int64_t> limit = parse_integer(value);
  if (!limit || *limit < 1 || *limit > kRecordsPerPageMax) {
    return "must be a number from 1 to " + std::to_string(kRecordsPerPageMax);
  }
  query.limit = static_cast<int>(*limit);
  return std::nullopt;
}

Problem set_order(RecordQuery& query, const std::string& value) {
  if (value != "asc" && value != "desc") return "must be asc or desc";
  query.order = value == "asc" ? Order::kAscending : Order::kDescending;
  return std::nullopt;
}

Problem set_operation_id(RecordQuery& query, const std::string& value) {
  query.operation_id = parse_uuid(value);
  if (!query.operation_id) return "must be a UUID";
  return std::nullopt;
}

// The cursor comes last: it is checked against the other parameters.
Problem set_member(RecordQuery& query, const Parameter& parameter) {
  const std::string& value = parameter.value;
  if (parameter.name == "from") return set_time(query.from, value);
  if (parameter.name == "to") return set_time(query.to, value);
  if (parameter.name == "operation_id") return set_operation_id(query, value);
  if (parameter.name == "order") return set_order(query, value);
  if (parameter.name == "limit") return set_limit(query, value);
  for (const TextFilter& filter : text_filters()) {
    if (filter.name == parameter.name) return set_text(filter, query, value);
  }
  return std::nullopt;
}

Problem common_problem(const Parameter& parameter, std::set<std::string>& seen) {
  const auto& known = record_query_parameters();
  if (std::find(known.begin(), known.end(), parameter.name) == known.end()) {
    return "is not a parameter of this request";
  }
  if (!seen.insert(parameter.name).second) return "is given more than once";
  if (parameter.value.empty()) return "must not be empty";
  if (!is_utf8(parameter.value) || parameter.value.find('\0') != std::string::npos) {
    return "must be UTF-8 text without NUL";
  }
  return std::nullopt;
}

// Ties a cursor to the question it was made for.
std::string fingerprint(const RecordQuery& query) {
  std::string text;
  for (const Parameter& filter : filters_of(query)) {
    text += percent_encode(filter.name) + "=" + percent_encode(filter.value) + "&";
  }
  return to_hex(sha256(text)).substr(0, 16);
}

Problem set_cursor(RecordQuery& query, const std::string& text) {
  const auto refused = "is not a cursor of this question: take it, whole, from @odata.nextLink";
  const std::optional<std::string> decoded = from_base64url(text);
  const Result<nlohmann::json> parts = parse_json(decoded.value_or(""));
  if (!parts.ok() || !parts->is_array() || parts->size() != 3) return refused;
  const nlohmann::json& list = *parts;
  if (!list[0].is_number_integer() || !list[1].is_number_integer() || !list[2].is_string()) {
    return refused;
  }
  if (list[2].get<std::string>() != fingerprint(query)) return refused;
  query.cursor =
      Cursor{.after = list[0].get<std::int64_t>(), .complete_to = list[1].get<std::int64_t>()};
  return std::nullopt;
}

}  // namespace

const std::vector<std::string_view>& record_query_parameters() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list;
    for (const auto& [name, help] : kParameters) list.push_back(name);
    return list;
  }();
  return names;
}

std::string_view record_query_help(std::string_view name) {
  for (const auto& [known, help] : kParameters) {
    if (known == name) return help;
  }
  return {};
}

ParsedQuery parse_record_query(const std::vector<Parameter>& parameters) {
  RecordQuery query;
  std::set<std::string> seen;
  const Parameter* cursor = nullptr;
  for (const Parameter& parameter : parameters) {
    Problem problem = common_problem(parameter, seen);
    if (!problem) problem = set_member(query, parameter);
    if (problem) return BadParameter{.name = parameter.name, .why = *problem};
    if (parameter.name == "cursor") cursor = &parameter;
  }
  if (query.from && query.to && *query.from >= *query.to) {
    return BadParameter{.name = "to", .why = "must be later than from"};
  }
  if (cursor != nullptr) {
    if (const Problem problem = set_cursor(query, cursor->value)) {
      return BadParameter{.name = "cursor", .why = *problem};
    }
  }
  return query;
}

std::vector<Parameter> filters_of(const RecordQuery& query) {
  std::vector<Parameter> filters;
  if (query.from) filters.push_back({"from", to_rfc3339(*query.from)});
  if (query.to) filters.push_back({"to", to_rfc3339(*query.to)});
  for (const TextFilter& filter : text_filters()) {
    if (const auto& value = query.*filter.member) {
      filters.push_back({std::string(filter.name), *value});
    }
  }
  if (query.operation_id) filters.push_back({"operation_id", to_string(*query.operation_id)});
  filters.push_back({"order", query.order == Order::kAscending ? "asc" : "desc"});
  return filters;
}

std::string encode_cursor(const Cursor& cursor, const RecordQuery& query) {
  const nlohmann::json parts = {cursor.after, cursor.complete_to, fingerprint(query)};
  return to_base64url(parts.dump());
}

const DroppedRange* dropped_range_of(const LogState& state, std::uint64_t index) {
  for (const DroppedRange& dropped : state.dropped) {
    if (index >= dropped.range.first && index < dropped.range.until) return &dropped;
  }
  return nullptr;
}

}  // namespace holdfast::audit
