// Which header fields travel on: an intermediary's duties (RFC 9110, 7.6), and Holdfast's own.
// Pure.
#pragma once

#include "audit/audit_log.h"
#include "http/message.h"
#include "proxy/call.h"

namespace holdfast::proxy {

// The head of any request that goes to Graph: without the client's Host, hop-by-hop and Holdfast-*
// fields, and those that ask for another method, target or host; with Via.
http::RequestHead forwarded_head(http::RequestHead head);

// The same for a request that is passed through: also asking for an answer that is not compressed,
// so that the links in it can be kept inside, unless it is for a file's bytes.
http::RequestHead passed_head(http::RequestHead head);

// Whether the target names the bytes of a message or a file, which are no JSON of Graph's own even
// where they are JSON: `root:/a.json:/content` does. `root:/a/content`, whose path no second colon
// ends, is what Graph says of a file that is called so.
bool asks_for_bytes(std::string_view target);

// Whether an OPTIONS request has reached the last server that it is meant for (RFC 9110, 7.6.2).
bool ends_here(const http::RequestHead& head);
// The answer to it.
http::Response offered_methods();

// A guarded call as it will be sent, which is what the receipt binds: also without the approval
// headers, which Graph must not see; with a client-request-id, so that the record joins Graph's
// activity log; and asking for an answer that is not compressed, so that it can be recorded.
// The call's content must have been read.
audit::OutboundRequest outbound_request(const Call& call);

// Graph's answer as the client gets it: all but what concerns the connection to Graph. No Via:
// a gateway need not add one to answers, and Graph's own are handed on as they are.
void strip_connection_fields(http::Response& response);

}  // namespace holdfast::proxy
