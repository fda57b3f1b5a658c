// What a webhook sends: a notice of an approval as a document in the receiver's format, and the
// signature that goes with it. docs/approvals.md describes both.
//
// What an officer needs to know whether to look: never a message's content, never a way to decide.
// The app that asked is told no more than it could read at the proxy: not who decided. Text that
// came from callers cannot become a link, a mention or markup. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "approval/notices_postgres.h"
#include "officers/webhook_file.h"

namespace holdfast::officers {

// Where links lead: scheme, host and port; empty: there are none.
struct NoticeLinks {
  std::string audit;  // Officers', at the audit service;
  std::string proxy;  // the apps', at the proxy.
};

// Whether that receiver is to be told of it.
bool is_for(const approval::Notice& notice, const WebhookTarget& target);

std::string notice_document(const approval::Notice& notice, const WebhookTarget& target,
                            const NoticeLinks& links);

// The value of Holdfast-Signature: t=<seconds since 1970>,v1=<HMAC-SHA-256 of "<t>.<body>" in hex>.
std::string notice_signature(std::string_view secret, std::int64_t time_s, std::string_view body);

}  // namespace holdfast::officers
