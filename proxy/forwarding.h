// Which header fields travel on: an intermediary's duties (RFC 9110, 7.6), and Holdfast's own.
// Pure.
#pragma once

#include "audit/audit_log.h"
#include "http/message.h"
#include "proxy/call.h"

namespace holdfast::proxy {

// The head of a request that is passed through: without hop-by-hop, method-override
// and Holdfast-* fields.
http::RequestHead forwarded_head(http::RequestHead head);

// A guarded call as it will be sent, which is what the receipt binds: also without the approval
// headers, which Graph must not see; with a client-request-id, so that the record joins Graph's
// activity log; and asking for an answer that is not compressed, so that it can be recorded.
// The call's content must have been read.
audit::OutboundRequest outbound_request(const Call& call);

// Graph's answer as the client gets it: all but what concerns the connection to Graph.
void strip_connection_fields(http::Response& response);

}  // namespace holdfast::proxy
