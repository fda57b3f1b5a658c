// Links that stay inside: in an answer of Graph, the links that a client follows (the next page,
// the next delta, the context) are absolute to Graph. A client that followed them would leave the
// proxy, so their origin, and nothing else of the answer, is exchanged on the way. Pure.
//
//   LinkRewriter rewriter({.graph = {"https://graph.microsoft.com"}, .outside = "https://proxy"},
//                         LinkRewriter::Content::kPlain);
//   for each block:  if (rewriter.take(block, out)) send(block); else send(out);
//   at the end:      send(rewriter.finish());
//
// What counts as a link is the text value of an OData control annotation that leads somewhere:
// `@odata.nextLink`, `@odata.deltaLink`, `@odata.context` and the read, edit, media, navigation and
// association links, also bound to a property (`messages@odata.nextLink`), at any depth; and in the
// answer to a $batch the members `Location` and `Content-Location` of each part's headers. Not
// `@odata.id`: clients send it back in request bodies, where Graph would not know it. Keys and
// links are read as JSON means them, whatever is escaped. Values of other members are never
// touched, whatever they look like.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::graph {

struct LinkOrigins {
  // Graph's origin, lower-case and without a path, in every spelling: with the default port too.
  std::vector<std::string> graph;
  // What replaces it. No byte of it needs escaping in JSON.
  std::string outside;
};

// A link by itself, such as a Location header's value: exchanged as in a body, or as it was.
std::string inside_link(std::string_view link, const LinkOrigins& origins);

// Reads a JSON text in pieces of any size. Memory is bounded, whatever it reads. What is not JSON
// is handed on unchanged from where that shows, and so is what nests deeper than 256 levels.
class LinkRewriter {
 public:
  enum class Content { kPlain, kBatch };

  LinkRewriter(LinkOrigins origins, Content content);

  // True: the bytes go on as they are. False: what was appended to `out`, perhaps nothing yet, goes
  // on instead of them. Never holds back more than the start of one link.
  [[nodiscard]] bool take(std::string_view bytes, std::string& out);

  // The text has ended: what is still held back.
  std::string finish();

 private:
  enum class State {
    kStart,         // The very first byte, where a byte order mark may stand.
    kMark,          // Within that mark.
    kValue,         // A value must follow,
    kFirstElement,  // or the end of the array,
    kFirstKey,      // a key or the end of the object,
    kKey,           // a key,
    kColon,         // the colon behind it,
    kBehindValue,   // a comma or the end of the container.
    kText,          // Within a string.
    kEscape,        // Behind a backslash in it,
    kUnicode,       // and behind its u.
    kScalar,        // Within a number, true, false or null.
    kEnded,         // Behind the whole value.
    kLost,          // Not JSON.
  };
  enum class Role { kKey, kLink, kOther };                    // Of the string being read.
  enum class Meaning { kNone, kLink, kResponses, kHeaders };  // Of the key just read.

  static constexpr std::size_t kDepthMax = 256;
  static constexpr std::size_t kNameMax = 32;

  // Each takes bytes from `at` on and returns how far it came.
  std::size_t pass(std::string_view bytes, std::size_t at);
  std::size_t pass_text(std::string_view bytes, std::size_t at);
  std::size_t pass_key(std::string_view bytes, std::size_t at);

  void step(char c);
  void step_mark(char c);
  bool step_structure(char c);
  bool begin_value(char c);
  void open(bool object);
  bool close(bool object);
  void end_value();
  void begin_text(Role role);
  void step_text(char c);
  void step_escape(char c);
  void step_unicode(char c);
  void end_text();
  void take_character(char c);
  void match_link(char c);
  void release(bool matched);
  Meaning meaning_of(std::string_view key) const;

  const LinkOrigins origins_;
  const Content content_;
  State state_ = State::kStart;
  std::bitset<kDepthMax> is_object_;  // Of each open container.
  std::size_t depth_ = 0;
  std::size_t mark_bytes_ = 0;

  Role role_ = Role::kOther;
  Meaning meaning_ = Meaning::kNone;
  unsigned unicode_ = 0;
  int unicode_digits_ = 0;
  std::array<char, kNameMax> name_{};  // The key, or its last part from '@' on.
  std::size_t name_size_ = 0;          // Beyond kNameMax: too long to mean anything here.

  bool in_responses_ = false;  // Within the array of a batch's responses,
  bool in_headers_ = false;    // and within the headers of one.

  bool holding_ = false;     // A link's start is held back until it is known where it leads.
  std::string held_;         // As it came.
  std::string seen_;         // What that means, in lower case.
  std::size_t seen_at_ = 0;  // Where in held_ the character being read began.
  std::string* out_ = nullptr;
  bool changed_ = false;
};

}  // namespace holdfast::graph
