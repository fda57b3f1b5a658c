// What the compiler must refuse: every way to send a guarded request whose intent is not committed.

#include <gtest/gtest.h>

#include <type_traits>
#include <utility>

#include "audit/audit_log.h"

namespace holdfast::audit {
namespace {

template <typename T>
concept GivesRequestWithoutBeingSpent = requires(T& receipt) { receipt.take_request(); };

TEST(Receipt, ComesFromALogOnlyAndIsSpentOnce) {
  static_assert(!std::is_default_constructible_v<Receipt>);
  static_assert(!std::is_constructible_v<Receipt, Uuid, RecordRef, OutboundRequest>);
  static_assert(!std::is_convertible_v<OutboundRequest, Receipt>);
  static_assert(!std::is_copy_constructible_v<Receipt>);
  static_assert(!std::is_copy_assignable_v<Receipt>);
  static_assert(!GivesRequestWithoutBeingSpent<Receipt>);
  static_assert(std::is_move_constructible_v<Receipt>);
}

}  // namespace
}  // namespace holdfast::audit
