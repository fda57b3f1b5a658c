-- What became of operations that are not open: `holdfast verify` holds what another process ended against
-- the log, which it reads as holdfast_audit; and a proxy that brings an outcome late learns whether the
-- log has it, of which nothing but the log itself is proof.

SET LOCAL ROLE holdfast_owner;

GRANT SELECT ON holdfast.settled_operations TO holdfast_audit;

-- The outcomes that the log has of these operations. Of records that search has not indexed, only the
-- newest 100,000 are looked through: where nobody derives search, it must end all the same. An outcome's
-- first "operation_id" is its own: what is before it in an entry has no member of that name.
CREATE FUNCTION holdfast.outcomes_of(operations uuid[])
  RETURNS TABLE (operation_id uuid, leaf_hash bytea)
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  -- The log must never be read from its beginning.
  SET enable_seqscan = off
  SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  member CONSTANT bytea := '"operation_id":"';
  first bigint;
BEGIN
  SELECT greatest(i.indexed, h.next_index - 100000) INTO STRICT first
    FROM holdfast.search_index_state i, holdfast.log_head h;
  RETURN QUERY
    SELECT s.operation_id, s.leaf_hash FROM (
        SELECT r.operation_id, (SELECT l.leaf_hash FROM holdfast.log l
                                  WHERE l.index = r.index AND l.kind = 'outcome') AS leaf_hash
          FROM ONLY holdfast.record_search r
          WHERE r.operation_id = ANY (operations) AND r.kind = 'outcome'
          OFFSET 0) s  -- Reads an entry once.
      WHERE s.leaf_hash IS NOT NULL
    UNION ALL
    SELECT o.operation, l.leaf_hash
      FROM holdfast.log l JOIN unnest(operations) AS o (operation)
        ON substring(l.entry FROM position(member IN l.entry) + octet_length(member) FOR 36)
           = convert_to(o.operation::text, 'UTF8')
      WHERE l.index >= first AND l.kind = 'outcome';
END $$;

REVOKE EXECUTE ON FUNCTION holdfast.outcomes_of(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION holdfast.outcomes_of(uuid[]) TO holdfast_proxy;
