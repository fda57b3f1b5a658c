// Where a call really comes from, when load balancers stand in between.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "approval/network.h"
#include "http/message.h"

namespace holdfast::proxy {

// The peer's address; or, where the peer is in `trusted`, the rightmost address of X-Forwarded-For
// that is not, over all headers of that name. What stands left of that anybody could have written.
// Where every hop is trusted, the first one counts; without the header, the peer.
//
// An entry is an address, or one with a port: 192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1],
// [2001:db8::1]:443. Empty, for unknown, where the search meets anything else: a trusted balancer
// does not know who its client is, and its own address must not pass for the client's.
std::string source_address(const http::Peer& peer, const http::Headers& headers,
                           const std::vector<approval::Network>& trusted);

// Whose share a call from `source`, its source_address(), takes of what clients share out among
// them: the address, or the /64 of an IPv6 one. Empty, nobody's, where that is a load balancer or
// not known: many clients come from there.
std::string share_group(std::string_view source, const std::vector<approval::Network>& trusted);

// Whether what is for operators only may be answered to a request from `source`, its
// source_address(): one in `allowed`, whose way here is known. Behind a balancer that is not
// trusted, every client seems to come from the balancer.
bool is_for_operators(const http::Request& request, std::string_view source,
                      const std::vector<approval::Network>& allowed,
                      const std::vector<approval::Network>& trusted);

}  // namespace holdfast::proxy
