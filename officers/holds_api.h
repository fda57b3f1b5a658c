// Legal holds over HTTP: what there are, a new one, and the steps that two people take to confirm
// and to lift one. Listing is recorded as reading is; the steps by the records that take them.
#pragma once

#include <string_view>

#include "officers/access.h"
#include "officers/api.h"

namespace holdfast::officers {

inline constexpr std::string_view kHolds = "/api/v1/holds";
inline constexpr std::string_view kConfirmHold = "/api/v1/holds/{id}/confirm";
inline constexpr std::string_view kLiftHold = "/api/v1/holds/{id}/lift";

// Both must live until the task is done. Any officer may list; steps take the role approver (403)
// and a sign-in, as approving does; placing one may also be done by an API token.
Task<http::Response> answer_holds(const ApiServices& services, const Asked& asked);

}  // namespace holdfast::officers
