// What Microsoft Graph says of eDiscovery's legal holds, and the list file that is made of it.
// Pure.
//
// Nothing is guessed: what is not as Graph documents it is an error, so that nobody is taken for
// free of holds because an answer was odd.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/origin.h"

namespace holdfast::officers {

// A part of a collection.
struct HoldPage {
  std::vector<nlohmann::json> values;
  std::string next;  // Where the next part is, in origin form; empty: this is the last.
};

// The body of a 200. kInvalid: it is no page, or its @odata.nextLink does not stay at `graph`.
Result<HoldPage> read_hold_page(std::string_view body, const http::Origin& graph);

inline constexpr std::size_t kAddressBytesMax = 320;  // RFC 3696.

// Whether that is an address or a user principal name, as one word that a list can hold.
bool is_address(std::string_view text);

// The id of a case or of a hold. kInvalid: it has none.
Result<std::string> id_in(const nlohmann::json& value);

// Whether the case is closed, which has ended its holds. One that is closing is not.
bool is_closed_case(const nlohmann::json& value);

// The mailbox of a userSource, ASCII lower case; nullopt: only its site is on hold. Whatever the
// hold's and the source's state is, a source that is there counts. kInvalid: what is held has no
// address.
Result<std::optional<std::string>> held_mailbox(const nlohmann::json& source);

// The list file of them; the same mailboxes make the same bytes.
std::string hold_list(const std::set<std::string>& mailboxes);

}  // namespace holdfast::officers
