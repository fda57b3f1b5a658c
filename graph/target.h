// Taking a request target apart as OData does: split at raw '/', decode each segment once.
//
//   split_target("/v1.0/users/u%40x/messages/A%2FB/permanentDelete?x=1")
//   segments: v1.0, users, u@x, messages, A/B, permanentDelete
//
// Pure functions, linear in the length of the target.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::graph {

struct Target {
  std::string_view path;     // Raw, without query and fragment.
  std::string_view query;    // Raw, without '?'.
  bool fragment = false;     // A raw '#' was there, in path or query.
  bool origin_form = false;  // Begins with '/'. Others name a host or are no path at all.
};

// The views point into `target`. "https://host/path" yields the path, with origin_form false.
Target split_target(std::string_view target);

enum class SplitRule {
  kQuotesHold,  // OData: a '/' inside ('…') is data, encoded parentheses and quotes count.
  kRaw,         // What a server does that splits before it looks at quotes.
};

// Raw segments, none of them decoded, empty ones included.
std::vector<std::string_view> split_path(std::string_view path, SplitRule rule);

enum class DotRule {
  kResolve,          // RFC 3986, 5.2.4: empty segments are segments like others, %2e is a dot.
  kSkipThenResolve,  // A server that merges slashes first.
  kIgnore,           // Dot segments left out: what was there before somebody walked away from it.
};

// Decoded once, without what OData skips: empty segments, lone '$', segments that decode to '/'.
std::vector<std::string> effective_segments(const std::vector<std::string_view>& raw, DotRule rule);

// "." or "..", each dot perhaps as %2e.
bool has_dot_segments(const std::vector<std::string_view>& raw);

// Decodes every %XX once; a stray '%' stays as it is.
std::string decode_once(std::string_view text);

// One decoded segment seen as a name, as OData spells them: qualifier.name(arguments).
struct SegmentName {
  std::string word;            // Lower case, without qualifier: permanentdelete
  std::string qualifier;       // Lower case: microsoft.graph; empty when there is none.
  bool parentheses = false;    // There was a (…) at the end.
  std::string_view arguments;  // Between them, raw. Points into the segment.
};
SegmentName parse_name(std::string_view segment);

// The key in ('x'), (x) or (id='x'), quotes undone: x.
struct SegmentKey {
  std::string value;
  std::string name;  // Lower case; empty when the key is not named or is named id.
};
SegmentKey parse_key(std::string_view arguments);

}  // namespace holdfast::graph
