-- Search comes before its indexes. They were left alone only once search was seconds behind the log;
-- at the pace that the log can be written, what they take is what appending and search need.

SET LOCAL ROLE holdfast_owner;

-- As in 0018_search_recent.sql, where the comment on it is; but search counts as far behind as soon
-- as it lacks half of a batch.
CREATE OR REPLACE FUNCTION holdfast.index_search(batch integer) RETURNS bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  first bigint;
  until bigint;
  behind bigint;  -- So many records are not in search yet.
BEGIN
  IF batch IS NULL OR batch < 1 THEN
    RAISE EXCEPTION 'index_search: batch must be at least 1' USING ERRCODE = '22023';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.index_search', 0)) THEN
    RETURN 0;
  END IF;
  SELECT least(i.indexed, s.derived), least(s.derived, i.indexed + batch),
         h.next_index - s.derived
    INTO STRICT first, until, behind
    FROM holdfast.search_index_state i, holdfast.search_state s, holdfast.log_head h;
  IF 2 * behind > batch THEN
    RETURN 0;
  END IF;
  WITH moved AS (
    DELETE FROM holdfast.record_search_recent r WHERE r.index >= first AND r.index < until
      RETURNING r.*)
  INSERT INTO holdfast.record_search SELECT m.* FROM moved m ORDER BY m.index;
  UPDATE holdfast.search_index_state SET indexed = until WHERE indexed <> until;
  RETURN until - first;
END $$;
