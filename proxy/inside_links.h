// Keeps clients inside: the links of Graph's answers to calls that are passed through lead to the
// proxy, as the client knows it, instead of to Graph. Answers to guarded calls are never touched.
//
// Rewritten are Location and Content-Location, and what graph/links.h calls a link in whole bodies
// that are declared as JSON. Left alone are files (asks_for_bytes(), or Content-Disposition:
// attachment), parts of a body (206), compressed ones, and those whose sender forbids it
// (Cache-Control: no-transform). Pure, but for the body that flows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/links.h"
#include "http/message.h"

namespace holdfast::proxy {

struct LinkSettings {
  std::vector<std::string> graph;  // As graph::LinkOrigins has it.
  std::string outside;             // Where clients find the proxy; empty: as each request says.
};

// kInvalid: `upstream` is no origin, or `public_origin` is neither empty nor one.
Result<LinkSettings> link_settings(const std::string& upstream, const std::string& public_origin);

// For the answer to this request. The Host that a client sends is believed for this one answer to
// the same client and for nothing else. kInvalid: it sent none, as HTTP/1.0 allows, and the
// settings do not say either where clients find the proxy; the message tells the client so.
Result<graph::LinkOrigins> link_origins(const LinkSettings& settings, const http::Request& request);

// Changes the answer to a request with that head. A streamed body has no length known beforehand
// afterwards, and an answer that only describes such a body does not tell its length either.
void keep_links_inside(http::Response& response, const http::RequestHead& asked,
                       const graph::LinkOrigins& origins, graph::LinkRewriter::Content content);

}  // namespace holdfast::proxy
