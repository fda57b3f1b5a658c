// Records as the API shows them: the log's own bytes with the index put in front and, where
// personal values are sealed, with these and their documents (docs/audit_format.md). Pure.
#pragma once

#include <string>

#include "audit/queries.h"

namespace holdfast::officers {

// {"index":7,…the entry's members…}; {"index":7,"malformed":true,"entry_base64":"…"} for an entry
// that is no record.
std::string record_json(const audit::FoundRecord& record);

// The answer to a search; `next` is the address of the next page, empty on the last.
std::string page_json(const audit::RecordPage& page, const audit::RecordQuery& query,
                      const std::string& next);

}  // namespace holdfast::officers
