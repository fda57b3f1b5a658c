// What an audit log's health looks like to whoever watches metrics.
#pragma once

#include "audit/audit_log.h"
#include "base/metrics.h"

namespace holdfast::audit {

// The log must outlive every later use of the metrics.
void expose_health(const AuditLog& log, Metrics& metrics);

}  // namespace holdfast::audit
