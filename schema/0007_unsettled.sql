-- Operations whose outcome is unknown and that no reconciliation has settled. Derived from the log
-- together with the search table, and rebuilt with it.

SET LOCAL ROLE holdfast_owner;

CREATE TABLE holdfast.unsettled (
  operation_id uuid PRIMARY KEY,
  outcome_index bigint NOT NULL UNIQUE,
  since timestamptz NOT NULL,                          -- The outcome's own time.
  seen timestamptz NOT NULL DEFAULT clock_timestamp()  -- When it came here, on the database's clock.
);

-- Takes the search table's records `first` to `until` - 1 into account.
CREATE FUNCTION holdfast.derive_unsettled(first bigint, until bigint) RETURNS void
  LANGUAGE sql
  SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO holdfast.unsettled (operation_id, outcome_index, since)
    SELECT r.operation_id, r.index, r.time FROM holdfast.record_search r
      WHERE r.result = 'unknown' AND r.index >= first AND r.index < until
        AND r.kind = 'outcome' AND r.operation_id IS NOT NULL
    ON CONFLICT DO NOTHING;
  -- A process that comes late and does not know either settles nothing: indeterminate.
  DELETE FROM holdfast.unsettled u USING holdfast.record_search r
    WHERE r.result IN ('executed', 'not_executed') AND r.index >= first AND r.index < until
      AND r.kind = 'reconciliation' AND r.operation_id = u.operation_id
      AND r.index > u.outcome_index;
$$;

-- Everything that follows from the search table's records `first` to `until` - 1.
CREATE FUNCTION holdfast.derive_books(first bigint, until bigint) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM holdfast.derive_unsettled(first, until);
END $$;

CREATE OR REPLACE FUNCTION holdfast.derive_search(batch integer) RETURNS bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  first bigint;
  until bigint;
BEGIN
  IF batch IS NULL OR batch < 1 THEN
    RAISE EXCEPTION 'derive_search: batch must be at least 1' USING ERRCODE = '22023';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.derive_search', 0)) THEN
    RETURN 0;
  END IF;
  SELECT derived INTO STRICT first FROM holdfast.search_state;
  SELECT least(next_index, first + batch) INTO STRICT until FROM holdfast.log_head;
  INSERT INTO holdfast.record_search
    SELECT (derived.row).*
    FROM (SELECT holdfast.search_row(index, entry) AS row
          FROM holdfast.log WHERE index >= first AND index < until
          OFFSET 0) AS derived;  -- Calls search_row() once a row, not once a column.
  PERFORM holdfast.derive_books(first, until);
  UPDATE holdfast.search_state SET derived = until;
  RETURN until - first;
END $$;

CREATE OR REPLACE FUNCTION holdfast.rebuild_search() RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.derive_search', 0));
  TRUNCATE holdfast.record_search, holdfast.unsettled;
  UPDATE holdfast.search_state SET derived = 0;
END $$;

SELECT holdfast.derive_unsettled(0, derived) FROM holdfast.search_state;

REVOKE ALL ON FUNCTION holdfast.derive_unsettled(bigint, bigint),
  holdfast.derive_books(bigint, bigint) FROM PUBLIC;
GRANT SELECT ON holdfast.unsettled TO holdfast_audit;
