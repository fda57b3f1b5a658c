// A log as an audit service serves it under /log/, read to be verified.
#pragma once

#include <memory>
#include <string>

#include "audit/log_source.h"
#include "cli/audit_service.h"

namespace holdfast::cli {

// The newest checkpoint's note. kRefused: the service says that the log is not in order; kNotFound:
// it has no checkpoint. Other errors: it cannot be reached or asked.
Result<std::string> fetch_checkpoint_note(const ServiceAccess& access);

// One for each thread.
std::unique_ptr<audit::LogSource> open_service_source(const ServiceAccess& access);

// On a connection of its own.
audit::EvidenceReader open_service_evidence(const ServiceAccess& access);

}  // namespace holdfast::cli
