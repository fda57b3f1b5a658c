#include "graph/classify.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/encoding.h"
#include "graph/fold.h"
#include "graph/hard_delete.h"
#include "graph/target.h"
#include "graph/walk.h"

namespace holdfast::graph {
namespace {

enum class Method { kPost, kDelete, kOther };

// What one reading of the request comes to.
struct Reading {
  Walk walk;
  RequestClass request_class = RequestClass::kPassThrough;
  std::string reason;
  bool needs_body = false;

  void become(RequestClass to, std::string_view why) {
    request_class = to;
    reason = why;
  }
};

Method known_method(std::string_view method) {
  if (method == "POST") return Method::kPost;
  if (method == "DELETE") return Method::kDelete;
  return Method::kOther;
}

// post, " POST": no method Graph knows, but a lax server may take it for one.
Method lax_method(std::string_view method) {
  const std::string folded = fold(method);
  const std::size_t begin = std::min(folded.find_first_not_of(' '), folded.size());
  const std::size_t end = folded.find_last_not_of(' ');
  const std::string_view word =
      begin == folded.size() ? "" : std::string_view(folded).substr(begin, end - begin + 1);
  if (word == "post") return Method::kPost;
  if (word == "delete") return Method::kDelete;
  return Method::kOther;
}

void judge_body(Reading& reading, const RequestView& request, std::string_view name,
                std::string_view harder) {
  if (!request.body.has_value()) {
    reading.needs_body = true;
    return reading.become(RequestClass::kGuarded, "its body decides, and none was given");
  }
  switch (body_asks(*request.body, name, harder)) {
    case Asked::kHarder:
      return reading.become(RequestClass::kGuarded, "its body asks for permanent deletion");
    case Asked::kSofter:
      return reading.become(RequestClass::kPassThrough, "its body asks for nothing permanent");
    case Asked::kUnsaid:
      return reading.become(RequestClass::kGuarded, "its body does not say how to delete");
    case Asked::kAmbiguous:
      return reading.become(RequestClass::kRejected,
                            "the body that decides whether this deletes permanently is not one "
                            "JSON object saying so once, in words");
  }
}

void judge_post(Reading& reading, const RequestView& request) {
  switch (reading.walk.ending) {
    case Ending::kAction:
      return reading.become(RequestClass::kGuarded, "a guarded action");
    case Ending::kBatch:
      return reading.become(RequestClass::kBatch, "a batch envelope");
    case Ending::kSuspicious:
      return reading.become(RequestClass::kRejected, reading.walk.reason);
    case Ending::kRemediate:
      return judge_body(reading, request, "action", "hardDelete");
    case Ending::kPurgeData:
      return judge_body(reading, request, "purgeType", "permanentlyDelete");
    case Ending::kOrdinary:
      return;
  }
}

void judge_delete(Reading& reading, std::string_view query) {
  if (!reading.walk.exchange_mailbox) return;
  switch (disposal_asked(query)) {
    case Asked::kHarder:
      reading.walk.operation.action = "hardDelete";
      return reading.become(RequestClass::kGuarded, "disposalType is hardDelete");
    case Asked::kAmbiguous:
      reading.walk.operation.action = "hardDelete";
      return reading.become(RequestClass::kRejected, "disposalType could be read as hardDelete");
    case Asked::kSofter:
    case Asked::kUnsaid:
      return;
  }
}

Reading read_segments(const std::vector<std::string>& segments, Method method,
                      const RequestView& request, std::string_view query) {
  Reading reading;
  reading.walk = walk(segments);
  if (method == Method::kPost) judge_post(reading, request);
  if (method == Method::kDelete) judge_delete(reading, query);
  return reading;
}

bool is_encoded_octet(std::string_view text, std::size_t at) {
  const auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  return text[at] == '%' && at + 2 < text.size() && is_hex(text[at + 1]) && is_hex(text[at + 2]);
}

bool hides_dot_segments(std::string_view text) {
  const std::string folded = fold(text);
  for (std::size_t start = 0; start <= folded.size();) {
    const std::size_t slash = std::min(folded.find('/', start), folded.size());
    const std::string_view part = std::string_view(folded).substr(start, slash - start);
    if (part == "." || part == "..") return true;
    start = slash + 1;
  }
  return false;
}

// What makes a decoded segment of a guarded path mean different things to different servers. File
// names may hold much that no id does. Empty: nothing.
std::string_view oddness(std::string_view text, bool file_name) {
  if (!is_utf8(text)) return "the path is not UTF-8";
  bool nested = false;
  bool dotted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) return "the path holds a control character";
    if (c == '\\') return "the path holds a backslash";
    if (c == ';' && !file_name) return "the path holds ';'";
    nested |= is_encoded_octet(text, i);
    dotted |= c == '.';
  }
  if (nested && !file_name) return "the path is percent-encoded twice";
  if ((dotted || nested) && hides_dot_segments(text))
    return "an encoded segment holds dot segments";
  return {};
}

void reject_oddness(Reading& reading, const std::vector<std::string>& segments) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool file_name = i >= reading.walk.file_path_first && i < reading.walk.file_path_last;
    const std::string_view why = oddness(segments[i], file_name);
    if (!why.empty()) return reading.become(RequestClass::kRejected, why);
  }
}

// Whether a folded path holds a word that every guarded request and batch has in its path.
bool names_anything_guarded(std::string_view folded) {
  constexpr std::array<std::string_view, 6> kWords = {"permanentdelete", "recall",    "$batch",
                                                      "remediate",       "purgedata", "exchange"};
  return std::ranges::any_of(
      kWords, [&](std::string_view word) { return folded.find(word) != std::string_view::npos; });
}

// The strict reading and, where the bytes allow others, those too.
class PathReader {
 public:
  PathReader(const RequestView& request, const Target& target, Method method)
      : request_(request), target_(target), method_(method) {}

  Reading read() {
    raw_ = split_path(target_.path, SplitRule::kQuotesHold);
    const std::vector<std::string> segments = effective_segments(raw_, DotRule::kResolve);
    Reading strict = read_segments(segments, method_, request_, target_.query);
    // No other method destroys anything, however the path is read.
    if (method_ == Method::kOther) return strict;
    if (strict.request_class == RequestClass::kGuarded) reject_oddness(strict, segments);
    compare_quotes(strict);
    if (has_dot_segments(raw_)) compare_dots(strict);
    if (strict.request_class == RequestClass::kPassThrough) compare_lax(strict);
    if (target_.fragment) compare_fragment(strict);
    if (!target_.origin_form && strict.request_class != RequestClass::kPassThrough) {
      strict.become(RequestClass::kRejected, "the target does not begin with '/'");
    }
    return strict;
  }

 private:
  Reading read_as(const std::vector<std::string>& segments) const {
    return read_segments(segments, method_, request_, target_.query);
  }

  // Rejects where `other` sees something guarded and `strict` does not, or something else.
  static void compare(Reading& strict, Reading other, std::string_view why, bool same_operation) {
    const auto matters = [](const Reading& r) {
      return r.request_class != RequestClass::kPassThrough;
    };
    if (strict.request_class == RequestClass::kRejected || (!matters(strict) && !matters(other))) {
      return;
    }
    const bool agree = strict.request_class == other.request_class &&
                       (!same_operation || strict.walk.operation.canonical_path ==
                                               other.walk.operation.canonical_path);
    if (agree) return;
    if (!matters(strict)) strict = std::move(other);
    strict.become(RequestClass::kRejected, why);
  }

  // Splitting within quotes already assumes a server that knows no OData. Only what it then plainly
  // takes for guarded counts: ('a/permanentDelete') ends in no action for anybody.
  void compare_raw(Reading& strict, const std::vector<std::string_view>& split, DotRule rule,
                   std::string_view why) const {
    Reading other = read_as(effective_segments(split, rule));
    if (other.request_class != RequestClass::kRejected)
      compare(strict, std::move(other), why, false);
  }

  void compare_quotes(Reading& strict) const {
    const std::vector<std::string_view> split = split_path(target_.path, SplitRule::kRaw);
    if (split.size() == raw_.size()) return;
    compare_raw(strict, split, DotRule::kResolve,
                "a '/' within quotes could split the path before a guarded action");
  }

  void compare_dots(Reading& strict) const {
    compare(strict, read_as(effective_segments(raw_, DotRule::kSkipThenResolve)),
            "dot segments among empty ones lead to different paths", true);
    if (strict.request_class != RequestClass::kPassThrough) return;
    compare(strict, read_as(effective_segments(raw_, DotRule::kIgnore)),
            "dot segments lead away from a guarded action", false);
  }

  // Decoding before splitting, again and again, as no correct server does and some do.
  void compare_lax(Reading& strict) const {
    if (!needs_folding(target_.path)) return;
    const std::string folded = fold(target_.path);
    if (!names_anything_guarded(folded)) return;
    const auto quoted = split_path(folded, SplitRule::kQuotesHold);
    const auto split = split_path(folded, SplitRule::kRaw);
    constexpr std::string_view kWhy = "decoding the path again yields a guarded request";
    for (const DotRule rule : {DotRule::kResolve, DotRule::kIgnore}) {
      compare(strict, read_as(effective_segments(quoted, rule)), kWhy, false);
      if (split.size() != quoted.size()) compare_raw(strict, split, rule, kWhy);
    }
  }

  void compare_fragment(Reading& strict) const {
    constexpr std::string_view kWhy = "the target holds a '#'";
    if (strict.request_class != RequestClass::kPassThrough) {
      return strict.become(RequestClass::kRejected, kWhy);
    }
    const std::size_t mark = request_.target.find('?');
    const std::string folded = fold(request_.target.substr(0, mark));
    for (const DotRule rule : {DotRule::kResolve, DotRule::kIgnore}) {
      compare(strict, read_as(effective_segments(split_path(folded, SplitRule::kRaw), rule)), kWhy,
              false);
    }
  }

  const RequestView& request_;
  const Target& target_;
  Method method_;
  std::vector<std::string_view> raw_;
};

bool is_override_header(std::string_view name) {
  std::string lower = ascii_lower(name);
  std::ranges::replace(lower, '_', '-');
  return lower == "x-http-method-override" || lower == "x-http-method" ||
         lower == "x-method-override";
}

// Whether any override header names POST or DELETE, alone or in a list.
bool overrides_to(std::span<const HeaderView> headers, Method method) {
  for (const HeaderView& header : headers) {
    if (!is_override_header(header.name)) continue;
    std::string_view rest = header.value;
    while (true) {
      const std::size_t comma = std::min(rest.find_first_of(",;"), rest.size());
      if (lax_method(rest.substr(0, comma)) == method) return true;
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

// A request that is harmless by its own method and would not be by another somebody may read into
// it: `method` is that other.
void reject_if_obeyed(Reading& plain, const RequestView& request, const Target& target,
                      Method method, std::string_view why) {
  if (plain.request_class != RequestClass::kPassThrough) return;
  Reading obeyed = PathReader(request, target, method).read();
  if (obeyed.request_class == RequestClass::kPassThrough) return;
  plain = std::move(obeyed);
  plain.become(RequestClass::kRejected, why);
}

Classification conclude(Reading reading) {
  Classification result;
  result.request_class = reading.request_class;
  result.version = reading.walk.operation.version;
  result.needs_body = reading.needs_body;
  result.reason = std::move(reading.reason);
  Operation& operation = reading.walk.operation;
  const bool known = reading.request_class == RequestClass::kRejected && !operation.action.empty();
  if (reading.request_class == RequestClass::kGuarded || known) {
    result.operation = std::move(operation);
  } else if (reading.request_class == RequestClass::kPassThrough && result.reason.empty()) {
    result.reason = "nothing in it destroys or recalls";
  }
  return result;
}

}  // namespace

Classification classify(const RequestView& request) {
  const Target target = split_target(request.target);
  const Method method = known_method(request.method);
  Reading reading = PathReader(request, target, method).read();
  if (method == Method::kOther) {
    const Method lax = lax_method(request.method);
    if (lax != Method::kOther) {
      reject_if_obeyed(reading, request, target, lax,
                       "the method is not spelled as HTTP spells it");
    }
  }
  for (const Method other : {Method::kPost, Method::kDelete}) {
    if (other == method || !overrides_to(request.headers, other)) continue;
    reject_if_obeyed(reading, request, target, other, "a method override would make it guarded");
  }
  if (target.fragment && reading.request_class == RequestClass::kPassThrough) {
    // RFC 9112, 3.2: no target has one, so nobody can tell what was meant.
    reading.become(RequestClass::kRejected, "the target holds a '#'");
  }
  return conclude(std::move(reading));
}

std::string_view to_string(RequestClass request_class) {
  switch (request_class) {
    case RequestClass::kPassThrough:
      return "passthrough";
    case RequestClass::kGuarded:
      return "guarded";
    case RequestClass::kBatch:
      return "batch";
    case RequestClass::kRejected:
      return "rejected";
  }
  return "rejected";
}

std::string_view to_string(MailboxKind kind) {
  switch (kind) {
    case MailboxKind::kNone:
      return "none";
    case MailboxKind::kMe:
      return "me";
    case MailboxKind::kUser:
      return "user";
    case MailboxKind::kGroup:
      return "group";
  }
  return "none";
}

}  // namespace holdfast::graph
