#include "audit/log_metrics.h"

namespace holdfast::audit {

void expose_health(const AuditLog& log, Metrics& metrics) {
  metrics.gauge_from("holdfast_audit_log_ready",
                     "1 while records can be committed, else 0: guarded calls are refused.", {},
                     [&log] { return log.health().ready ? 1.0 : 0.0; });
  metrics.gauge_from("holdfast_spool_records", "Outcomes in the spool that the database lacks.", {},
                     [&log] { return static_cast<double>(log.health().spooled); });
  metrics.gauge_from("holdfast_spool_bytes", "Size of the spool.", {},
                     [&log] { return static_cast<double>(log.health().spool_bytes); });
}

}  // namespace holdfast::audit
