// Reads canonical JSON (base/json.h) without building anything: one pass that checks every byte and
// shows a visitor the members that may matter. Many times faster than parsing.
//
//   Status status = scan_canonical(entry, [&](std::string_view parent, std::string_view name,
//                                             std::string_view value) { … });
//
// Pure; safe from any thread.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast {

// Told of each member of the top-level object (parent is empty), and then of each member of an
// object that is such a member's value (parent is that member's name). `value` is its JSON text.
class MemberVisitor {
 public:
  virtual void member(std::string_view parent, std::string_view name, std::string_view value) = 0;

 protected:
  ~MemberVisitor() = default;
};

// kInvalid: the text is not one JSON object as canonical_json() writes it; the message says at
// which byte and why. The visitor may have been told of members before that.
Status scan_canonical(std::string_view text, MemberVisitor& visitor);

// The text of a JSON string without escapes; empty for other values, and for strings with escapes,
// which no identifier, time or word of a record has.
std::string_view plain_text(std::string_view value);

template <std::invocable<std::string_view, std::string_view, std::string_view> Function>
Status scan_canonical(std::string_view text, Function function) {
  struct Adapter final : MemberVisitor {
    explicit Adapter(Function& called) : called_function(called) {}
    void member(std::string_view parent, std::string_view name, std::string_view value) override {
      called_function(parent, name, value);
    }
    Function& called_function;
  };
  Adapter adapter(function);
  return scan_canonical(text, static_cast<MemberVisitor&>(adapter));
}

}  // namespace holdfast
