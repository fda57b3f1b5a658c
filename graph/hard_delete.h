// The hard deletes that are no action named in the path: what the query or the body asks for.
//
// Pure functions, linear in their input.
#pragma once

#include <string_view>

namespace holdfast::graph {

enum class Asked {
  kHarder,     // It destroys.
  kSofter,     // It plainly does something that can be undone.
  kAmbiguous,  // Readers could disagree, or nobody could read it.
  kUnsaid,     // It does not say; what the default is, Graph decides.
};

// disposalType in the raw query of DELETE /admin/exchange/mailboxes/{id}/…
Asked disposal_asked(std::string_view query);

// The string member `name` (any case) of a JSON body, compared with `harder` (any case).
Asked body_asks(std::string_view body, std::string_view name, std::string_view harder);

}  // namespace holdfast::graph
