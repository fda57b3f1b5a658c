// Where a call really comes from, when load balancers stand in between.
#pragma once

#include <string>
#include <vector>

#include "approval/network.h"
#include "http/message.h"

namespace holdfast::proxy {

// The TCP peer's address; or, where the peer is in `trusted`, the rightmost address of
// X-Forwarded-For that is not. What stands left of that anybody could have written. An entry that
// is not an address ends the search: then the hop that reported it counts.
std::string source_address(const http::Peer& peer, const http::Headers& headers,
                           const std::vector<approval::Network>& trusted);

}  // namespace holdfast::proxy
