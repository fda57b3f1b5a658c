-- What another process ended is held against the log, too: `holdfast verify` reads it as holdfast_audit.

SET LOCAL ROLE holdfast_owner;

GRANT SELECT ON holdfast.settled_operations TO holdfast_audit;
