// The rewriter of links against arbitrary bytes: the same result however they are cut; never more
// held back than the start of one link; and for what a real JSON parser accepts, the parsed result
// is the parsed input with its links exchanged and nothing else.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "graph/links.h"

namespace {

using holdfast::graph::inside_link;
using holdfast::graph::LinkOrigins;
using holdfast::graph::LinkRewriter;
using nlohmann::json;

// Longer than the link it replaces, so that output never falls behind by more than what is held.
const LinkOrigins kOrigins{.graph = {"https://g.ms:443", "https://g.ms"},
                           .outside = "https://a-name-longer-than-the-other"};
// Every character of an origin and one more, escaped.
constexpr std::size_t kHeldMax = 6 * 17;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

std::string rewrite(std::string_view text, std::size_t piece, LinkRewriter::Content content) {
  LinkRewriter rewriter(kOrigins, content);
  std::string all;
  std::size_t taken = 0;
  while (taken < text.size()) {
    const std::string_view part = text.substr(taken, piece);
    std::string out;
    all += rewriter.take(part, out) ? part : out;
    taken += part.size();
    require(all.size() + kHeldMax >= taken, "holds back too much");
  }
  return all + rewriter.finish();
}

bool is_link(const std::string& key) {
  static const std::string kNames[] = {"context",       "nextLink",       "deltaLink",
                                       "readLink",      "editLink",       "mediaReadLink",
                                       "mediaEditLink", "navigationLink", "associationLink"};
  const std::size_t at = key.rfind('@');
  return at != std::string::npos && std::ranges::any_of(kNames, [&](const std::string& name) {
           return key.substr(at) == "@odata." + name;
         });
}

json transformed(const json& value) {
  if (!value.is_structured()) return value;
  json result = value;
  for (auto& [key, member] : result.items()) {
    const bool link = value.is_object() && is_link(key) && member.is_string();
    member = link ? json(inside_link(member.get<std::string>(), kOrigins)) : transformed(member);
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  const std::size_t piece = 1 + data[0] % 64;
  const auto content =
      data[0] >= 128 ? LinkRewriter::Content::kBatch : LinkRewriter::Content::kPlain;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = rewrite(text, text.size() + 1, content);
  require(rewrite(text, piece, content) == whole, "the cut changes the result");
  require(rewrite(text, 1, content) == whole, "single bytes change the result");
  const auto opened = std::ranges::count_if(text, [](char c) { return c == '[' || c == '{'; });
  const json before = json::parse(text, nullptr, false);
  if (before.is_discarded() || opened > 256) return 0;
  const json after = json::parse(whole, nullptr, false);
  require(!after.is_discarded(), "the result is no JSON");
  if (content == LinkRewriter::Content::kPlain) {
    require(after == transformed(before), "something but links has changed");
  }
  return 0;
}
