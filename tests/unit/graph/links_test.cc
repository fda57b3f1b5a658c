#include "graph/links.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>

namespace holdfast::graph {
namespace {

using nlohmann::json;
using Content = LinkRewriter::Content;

const LinkOrigins kOrigins{
    .graph = {"https://graph.microsoft.com:443", "https://graph.microsoft.com"},
    .outside = "https://holdfast.example:8443"};

// Rewrites a text that comes in pieces of `piece` bytes.
std::string rewrite(std::string_view text, std::size_t piece, Content content = Content::kPlain) {
  LinkRewriter rewriter(kOrigins, content);
  std::string all;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const std::string_view part = text.substr(at, piece);
    std::string out;
    if (rewriter.take(part, out)) {
      EXPECT_EQ(out, "");
      out = part;
    }
    all += out;
  }
  return all + rewriter.finish();
}

// However the text is cut.
void expect_rewritten(const std::string& text, const std::string& expected,
                      Content content = Content::kPlain) {
  EXPECT_EQ(rewrite(text, text.size() + 1, content), expected);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    LinkRewriter rewriter(kOrigins, content);
    std::string all;
    for (const std::string& part : {text.substr(0, cut), text.substr(cut)}) {
      std::string out;
      all += rewriter.take(part, out) ? part : out;
    }
    EXPECT_EQ(all + rewriter.finish(), expected) << "cut at " << cut;
  }
  EXPECT_EQ(rewrite(text, 1, content), expected);
}

struct Rewriting {
  const char* name;
  const char* text;
  const char* expected;  // nullptr: as it was.
  Content content = Content::kPlain;
};

std::ostream& operator<<(std::ostream& out, const Rewriting& each) {
  return out << each.name;
}

class Links : public ::testing::TestWithParam<Rewriting> {};

TEST_P(Links, AreRewrittenHoweverTheTextIsCut) {
  const Rewriting& each = GetParam();
  expect_rewritten(each.text, each.expected == nullptr ? each.text : each.expected, each.content);
}

const Rewriting kCases[] = {
    {"next_link",
     R"({"value":[],"@odata.nextLink":"https://graph.microsoft.com/v1.0/me?$skip=10"})",
     R"({"value":[],"@odata.nextLink":"https://holdfast.example:8443/v1.0/me?$skip=10"})"},
    {"every_kind",
     R"({"@odata.context":"https://graph.microsoft.com/a","@odata.deltaLink":"https://graph.microsoft.com/b",)"
     R"("@odata.editLink":"https://graph.microsoft.com/c","@odata.mediaReadLink":"https://graph.microsoft.com/d"})",
     R"({"@odata.context":"https://holdfast.example:8443/a","@odata.deltaLink":"https://holdfast.example:8443/b",)"
     R"("@odata.editLink":"https://holdfast.example:8443/c","@odata.mediaReadLink":"https://holdfast.example:8443/d"})"},
    {"bound_to_a_property_deep_inside",
     "\xEF\xBB\xBF [ { \"a\" : [1, {\"b@c@odata.nextLink\"\t:\r\n \"https://graph.microsoft.com\" "
     "} ] } ] ",
     "\xEF\xBB\xBF [ { \"a\" : [1, {\"b@c@odata.nextLink\"\t:\r\n "
     "\"https://holdfast.example:8443\" } ] } ] "},
    {"case_and_default_port",
     R"({"@odata.nextLink":"HTTPS://Graph.Microsoft.COM:443?A","@odata.context":"https://graph.microsoft.com#m"})",
     R"({"@odata.nextLink":"https://holdfast.example:8443?A","@odata.context":"https://holdfast.example:8443#m"})"},
    {"escaped_slashes", R"({"@odata.nextLink":"https:\/\/graph.microsoft.com\/v1.0\/me"})",
     R"({"@odata.nextLink":"https:\/\/holdfast.example:8443\/v1.0\/me"})"},
    {"other_escapes",
     R"({"\u0040odata.next\u004cink":"\u0068ttps:\u002f\u002Fgraph.microsoft.com\u002fv1.0\n"})",
     R"({"\u0040odata.next\u004cink":"https://holdfast.example:8443\u002fv1.0\n"})"},
    {"other_origins",
     R"({"@odata.nextLink":"https://graph.microsoft.com.evil/","@odata.context":"http://graph.microsoft.com/",)"
     R"("@odata.readLink":"https://graph.microsoft.com@evil/","@odata.editLink":"https://graph.microsoft.com:4430/",)"
     R"("a@odata.nextLink":"https://graph.microsoft.com\\","b@odata.nextLink":"users/1",)"
     R"("c@odata.nextLink":"","d@odata.nextLink":"https://graph.microsoft.co","e@odata.nextLink":" https://graph.microsoft.com/"})",
     nullptr},
    {"other_members",
     R"({"body":{"content":"https://graph.microsoft.com/v1.0"},"@odata.id":"https://graph.microsoft.com/v1.0",)"
     R"("webLink":"https://graph.microsoft.com/","odata.nextLink":"https://graph.microsoft.com/",)"
     R"("@odata.nextLinks":"https://graph.microsoft.com/","@odata.nextLin":"https://graph.microsoft.com/",)"
     R"("@odata.NextLink":"https://graph.microsoft.com/","@odata.nextLink@x":"https://graph.microsoft.com/",)"
     R"("@odata.nextLink\u0000":"https://graph.microsoft.com/","\\@odata.nextLink ":"https://graph.microsoft.com/"})",
     nullptr},
    {"text_that_looks_like_a_link",
     R"({"subject":"\"@odata.nextLink\":\"https://graph.microsoft.com/\"","x":"@odata.nextLink",)"
     R"("y":["@odata.nextLink","https://graph.microsoft.com/"],"z\"@odata.nextLink\\":"https://graph.microsoft.com/"})",
     nullptr},
    {"links_that_are_no_text",
     R"({"@odata.nextLink":["https://graph.microsoft.com/"],"@odata.context":{"a":"https://graph.microsoft.com/"},)"
     R"("@odata.deltaLink":null,"a":"https://graph.microsoft.com/"})",
     nullptr},
    {"headers_outside_a_batch",
     R"({"responses":[{"id":"1","headers":{"Location":"https://graph.microsoft.com/v1.0"}}]})",
     nullptr},
    {"headers_in_a_batch",
     R"({"responses":[{"id":"1","status":201,"headers":{"X":"https://graph.microsoft.com/","location":"https://graph.microsoft.com/a"},)"
     R"("body":{"headers":{"Location":"https://graph.microsoft.com/"},"@odata.nextLink":"https://graph.microsoft.com/b"}},)"
     R"({"headers":{"Content-Location":"https://graph.microsoft.com/c"},"Location":"https://graph.microsoft.com/"}],)"
     R"("headers":{"Location":"https://graph.microsoft.com/"},"other":[{"headers":{"Location":"https://graph.microsoft.com/"}}]})",
     R"({"responses":[{"id":"1","status":201,"headers":{"X":"https://graph.microsoft.com/","location":"https://holdfast.example:8443/a"},)"
     R"("body":{"headers":{"Location":"https://graph.microsoft.com/"},"@odata.nextLink":"https://holdfast.example:8443/b"}},)"
     R"({"headers":{"Content-Location":"https://holdfast.example:8443/c"},"Location":"https://graph.microsoft.com/"}],)"
     R"("headers":{"Location":"https://graph.microsoft.com/"},"other":[{"headers":{"Location":"https://graph.microsoft.com/"}}]})",
     Content::kBatch},
    {"headers_deeper_in_a_batch",
     R"({"responses":[{"headers":{"a":{"Location":"https://graph.microsoft.com/"}},"b":{"headers":{"Location":"https://graph.microsoft.com/"}}}]})",
     nullptr, Content::kBatch},
    {"what_recall_answers",
     "{\r\n  \"Successfully submitted recall request to Hub server H, MessageId is M.\"\r\n}\r\n",
     nullptr},
    {"cut_off_in_a_link", R"({"@odata.nextLink":"https://graph.micro)", nullptr},
    {"cut_off_behind_an_origin", R"({"@odata.nextLink":"https://graph.microsoft.com)", nullptr},
    {"bad_escape_in_a_link", R"({"@odata.nextLink":"https:\x//graph.microsoft.com/"})", nullptr},
    {"bad_digit_in_a_key",
     R"({"\u00g0odata.nextLink":1,"@odata.nextLink":"https://graph.microsoft.com/"})", nullptr},
    {"closed_by_the_wrong_bracket", R"({"a":[},"@odata.nextLink":"https://graph.microsoft.com/"})",
     nullptr},
    {"no_comma", R"({"a":1 "@odata.nextLink":"https://graph.microsoft.com/"})", nullptr},
    {"no_colon", R"({"@odata.nextLink" "https://graph.microsoft.com/"})", nullptr},
    {"two_values", R"({} {"@odata.nextLink":"https://graph.microsoft.com/"})", nullptr},
    {"two_values_and_a_comma", R"("text",{"@odata.nextLink":"https://graph.microsoft.com/"})",
     nullptr},
    {"trailing_comma", R"([1,],{"@odata.nextLink":"https://graph.microsoft.com/"})", nullptr},
    {"half_a_byte_order_mark", "\xEF\xBB{\"@odata.nextLink\":\"https://graph.microsoft.com/\"}",
     nullptr},
    {"no_json", R"(<a "@odata.nextLink":"https://graph.microsoft.com/">)", nullptr},
    {"nothing", "", nullptr},
};
INSTANTIATE_TEST_SUITE_P(Texts, Links, ::testing::ValuesIn(kCases),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(LinkRewriter, LeavesWhatNestsTooDeepAlone) {
  const std::string link = R"({"@odata.nextLink":"https://graph.microsoft.com/"})";
  const auto nested = [&](std::size_t depth) {
    return std::string(depth, '[') + link + std::string(depth, ']');
  };
  EXPECT_NE(rewrite(nested(255), 7), nested(255));
  EXPECT_EQ(rewrite(nested(256), 7), nested(256));
}

TEST(LinkRewriter, HoldsBackNoMoreThanTheStartOfALink) {
  LinkRewriter rewriter(kOrigins, Content::kPlain);
  std::string out;
  std::string text = R"({"@odata.nextLink":")";
  EXPECT_FALSE(rewriter.take(text, out));
  EXPECT_EQ(out, text);
  for (const char c : std::string_view("https://graph.microsoft.com")) {
    out.clear();
    EXPECT_FALSE(rewriter.take({&c, 1}, out));
    EXPECT_EQ(out, "");
  }
  EXPECT_FALSE(rewriter.take("/", out));
  EXPECT_EQ(out, "https://holdfast.example:8443/");
  EXPECT_TRUE(rewriter.take(std::string(100'000, 'a'), out));
}

TEST(LinkRewriter, CopiesNothingWhereNothingChanges) {
  LinkRewriter rewriter(kOrigins, Content::kPlain);
  std::string out;
  EXPECT_TRUE(
      rewriter.take(R"({"value":[{"subject":"https://graph.microsoft.com/"}],"a":1})", out));
  EXPECT_EQ(out.capacity(), std::string().capacity());
}

TEST(InsideLink, ExchangesTheOriginOnly) {
  EXPECT_EQ(inside_link("https://GRAPH.microsoft.com/v1.0/a%2Fb?c#d", kOrigins),
            "https://holdfast.example:8443/v1.0/a%2Fb?c#d");
  EXPECT_EQ(inside_link("https://graph.microsoft.com:443", kOrigins), kOrigins.outside);
  for (const char* other :
       {"/v1.0/me", "", "https://graph.microsoft.com.evil/", "https://graph.microsoft.com:8443/",
        "https://contoso.sharepoint.com/x"}) {
    EXPECT_EQ(inside_link(other, kOrigins), other);
  }
}

// Two texts of one random value side by side: as Graph would send it, and as it must come out.
struct Written {
  std::string text;
  std::string expected;
  void both(std::string_view part) {
    text += part;
    expected += part;
  }
};

std::string one_of(std::vector<std::string> choices) {
  return *rc::gen::elementOf(std::move(choices));
}

// Any way to write a character in a JSON text.
std::string spelled(char c) {
  const int how = *rc::gen::inRange(0, 8);
  char code[8];
  std::snprintf(code, sizeof code, how == 0 ? "\\u%04x" : "\\u%04X", static_cast<unsigned>(c));
  if (how < 2 || c == '"' || c == '\\') return code;
  return c == '/' && how == 2 ? "\\/" : std::string(1, c);
}

std::string spelled(std::string_view text) {
  std::string out;
  for (const char c : text) out += spelled(c);
  return out;
}

void write_blank(Written& out) {
  out.both(one_of({"", "", "", " ", "\r\n\t"}));
}

void write_link(Written& out, bool follows) {
  const std::string origin =
      one_of({"https://graph.microsoft.com", "HTTPS://GRAPH.microsoft.com:443",
              "https://graph.microsoft.co", "http://graph.microsoft.com", ""});
  const std::string rest = one_of({"", "/v1.0/me", "?a", "#b", ".evil/", "\\x", "\"/"});
  const bool ends = rest.empty() || std::string_view("/?#").find(rest[0]) != std::string_view::npos;
  const bool ours = origin.size() > 26 && origin[4] != ':' && ends;
  std::string written;
  for (const char c : origin) written += c == '/' ? "/" : spelled(c);
  const std::string tail = spelled(rest);
  out.both("\"");
  out.text += written + tail;
  out.expected += (follows && ours ? kOrigins.outside : written) + tail;
  out.both("\"");
}

void write_value(Written& out, int depth, bool follows = false);

void write_object(Written& out, int depth) {
  out.both("{");
  const int members = *rc::gen::inRange(0, 4);
  for (int i = 0; i < members; ++i) {
    if (i > 0) out.both(",");
    write_blank(out);
    const std::string key =
        one_of({"@odata.nextLink", "m@odata.deltaLink", "@odata.context", "@odata.id",
                "@odata.nextlink", "value", "Location", "headers", "@", ""});
    out.both("\"" + spelled(std::to_string(i) + key) + "\"");
    write_blank(out);
    out.both(":");
    write_blank(out);
    const bool link = key.ends_with("Link") || key == "@odata.context";
    write_value(out, depth + 1, link);
    write_blank(out);
  }
  out.both("}");
}

void write_value(Written& out, int depth, bool follows) {
  switch (*rc::gen::inRange(0, depth > 4 ? 4 : 8)) {
    case 0:
      return out.both(one_of({"0", "-1.5e+3", "true", "false", "null"}));
    case 1:
    case 2:
      return write_link(out, follows);
    case 3:
      return out.both("\"" +
                      spelled(one_of({"\"@odata.nextLink\":\"https://graph.microsoft.com/\"",
                                      "@odata.nextLink", "a\\", "{[,:]}"})) +
                      "\"");
    case 4: {
      out.both("[");
      const int elements = *rc::gen::inRange(0, 4);
      for (int i = 0; i < elements; ++i) {
        if (i > 0) out.both(",");
        write_blank(out);
        write_value(out, depth + 1);
      }
      return out.both("]");
    }
    default:
      return write_object(out, depth);
  }
}

// What a rewriter on parsed values would do.
json transformed(const json& value) {
  if (!value.is_structured()) return value;
  json result = value;
  for (auto& [key, member] : result.items()) {
    const std::size_t at = value.is_object() ? key.rfind("@odata.") : std::string::npos;
    const std::string name = at == std::string::npos ? "" : key.substr(at + 7);
    const bool link = name == "context" || name == "nextLink" || name == "deltaLink";
    member = link && member.is_string() ? json(inside_link(member.get<std::string>(), kOrigins))
                                        : transformed(member);
  }
  return result;
}

TEST(LinkRewriter, ChangesLinksAndNothingElseInRandomJson) {
  EXPECT_TRUE(rc::check([] {
    Written written;
    write_blank(written);
    write_value(written, 0);
    write_blank(written);
    const std::string out = rewrite(written.text, *rc::gen::inRange<std::size_t>(1, 40));
    RC_ASSERT(out == written.expected);
    RC_ASSERT(json::parse(out) == transformed(json::parse(written.text)));
  }));
}

// A text that is nearly JSON, cut into pieces of many sizes, against its single bytes: whatever is
// taken in one go where it lies in one piece means the same where it does not.
TEST(LinkRewriter, DoesTheSameHoweverAnAlmostJsonTextIsCut) {
  EXPECT_TRUE(rc::check([] {
    Written written;
    write_object(written, 0);
    std::string text = written.text;
    for (int faults = *rc::gen::inRange(0, 3); faults > 0; --faults) {
      const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
      const auto replaced = *rc::gen::inRange<std::size_t>(0, 2);
      text.replace(at, replaced, one_of({"\"", "\\", "{", "}", "[", "]", ",", ":", "1", " ", ""}));
    }
    LinkRewriter rewriter(kOrigins, Content::kPlain);
    std::string all;
    for (std::string_view left = text; !left.empty();) {
      const std::string_view part = left.substr(0, *rc::gen::inRange<std::size_t>(1, 70));
      std::string out;
      all += rewriter.take(part, out) ? part : out;
      left.remove_prefix(part.size());
    }
    RC_ASSERT(all + rewriter.finish() == rewrite(text, 1));
  }));
}

TEST(LinkRewriter, TakesAnyBytesInAnyPieces) {
  EXPECT_TRUE(rc::check([](const std::string& bytes) {
    const std::string text = R"({"@odata.nextLink":")" + bytes;
    RC_ASSERT(rewrite(text, 1) == rewrite(text, text.size()));
    RC_ASSERT(rewrite(bytes, 1) == rewrite(bytes, bytes.size() + 1));
  }));
}

}  // namespace
}  // namespace holdfast::graph
