-- Appending: the functions that are the only way into the log.

SET LOCAL ROLE holdfast_owner;

-- What became of a batch. Entries that were not refused have the indexes from `first` on, in order.
CREATE TYPE holdfast.appended AS (
  first bigint,    -- NULL: all were refused.
  refusals text[]  -- One for each entry, NULL where it was appended; NULL: none was refused.
);

-- Appends a batch in one statement. What refuses single entries:
--   intents    lease_expired, already_open, limit and a rule's id (it is spent)
--   outcomes   settled (somebody else ended the operation), closed (not open: ended already, or never
--              begun), not_expired (another writer's, still alive)
--   all        approval (not in the state that the entry's step needs)
-- Errors that refuse the whole batch: HF001 another process holds the writer's epoch, HF002 malformed
-- batch, HF003 no partition, 42501 a kind not permitted.
--
-- Locks: the writer's row, other writers' rows (settling only), operations, limits in the order of
-- their keys, approvals (both only where there are any), the log's head last. Called by append_proxy
-- and append_audit alone.
--
-- A batch costs about as much as 25 entries: what is done once for each is kept to few statements.
CREATE FUNCTION holdfast.append_entries(
  permitted text[], writer uuid, writer_epoch bigint,
  entries bytea[], leaf_hashes bytea[], kinds text[], operation_ids uuid[],
  approval_steps text[], limited boolean[])
  RETURNS holdfast.appended
  LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  role_name CONSTANT text := holdfast.session_role();
  size CONSTANT integer := coalesce(cardinality(entries), 0);
  lease timestamptz;
  room bigint;
  done holdfast.appended;
BEGIN
  IF size NOT BETWEEN 1 AND 512 OR (size = ALL (ARRAY[cardinality(leaf_hashes),
       cardinality(kinds), cardinality(operation_ids),
       coalesce(cardinality(approval_steps), size),
       coalesce(cardinality(limited), size)])) IS NOT TRUE THEN
    RAISE EXCEPTION 'a batch is 1 to 512 entries with as many of everything else'
      USING ERRCODE = 'HF002';
  END IF;
  IF NOT kinds <@ permitted THEN
    RAISE EXCEPTION 'the role % may not write one of these kinds', session_user
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT w.lease_until INTO lease FROM holdfast.writers w
    WHERE w.id = append_entries.writer AND w.epoch = writer_epoch AND w.role = role_name
    FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the writer % is not at epoch %', writer, writer_epoch USING ERRCODE = 'HF001';
  END IF;

  IF 'intent' = ANY (kinds) THEN
    done.refusals := holdfast.refused_intents(kinds, operation_ids, lease);
  END IF;
  IF 'outcome' = ANY (kinds) THEN
    done.refusals := holdfast.refused_outcomes(append_entries.writer, role_name, entries, kinds,
                                               operation_ids, done.refusals);
  END IF;
  IF limited IS NOT NULL THEN
    done.refusals := holdfast.take_limits(entries, kinds, operation_ids, limited, done.refusals);
  END IF;
  IF approval_steps IS NOT NULL OR 'reconciliation' = ANY (kinds) THEN
    done.refusals := holdfast.take_approval_steps(entries, kinds, approval_steps, done.refusals);
  END IF;
  IF done.refusals IS NOT NULL THEN
    IF limited IS NOT NULL THEN
      PERFORM holdfast.give_back_limits(kinds, operation_ids, limited, done.refusals);
    END IF;
    SELECT array_agg(g.entry ORDER BY g.ordinal), array_agg(g.leaf_hash ORDER BY g.ordinal),
           array_agg(g.kind ORDER BY g.ordinal), array_agg(g.operation ORDER BY g.ordinal)
      INTO entries, leaf_hashes, kinds, operation_ids
      FROM unnest(entries, leaf_hashes, kinds, operation_ids, done.refusals)
        WITH ORDINALITY AS g (entry, leaf_hash, kind, operation, reason, ordinal)
      WHERE g.reason IS NULL;
    IF entries IS NULL THEN
      RETURN done;
    END IF;
  END IF;

  UPDATE holdfast.log_head h SET next_index = h.next_index + cardinality(entries)
    RETURNING h.next_index - cardinality(entries), h.partitions_end - h.next_index
    INTO done.first, room;
  IF room < 0 THEN
    RAISE EXCEPTION 'the log has no partition for index %', done.first USING ERRCODE = 'HF003';
  END IF;
  IF 'intent' = ANY (kinds) THEN
    INSERT INTO holdfast.open_operations (operation_id, writer, intent_index)
      SELECT g.operation, append_entries.writer, done.first + g.ordinal - 1
        FROM unnest(kinds, operation_ids) WITH ORDINALITY AS g (kind, operation, ordinal)
        WHERE g.kind = 'intent';
  END IF;
  INSERT INTO holdfast.log (index, entry, leaf_hash, kind, role)
    SELECT done.first + g.ordinal - 1, g.entry, g.leaf_hash, g.kind, role_name
      FROM unnest(entries, leaf_hashes, kinds)
        WITH ORDINALITY AS g (entry, leaf_hash, kind, ordinal);
  RETURN done;
END $$;

-- The refusals of a batch's intents, NULL when there are none.
CREATE FUNCTION holdfast.refused_intents(kinds text[], operation_ids uuid[], lease timestamptz)
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  refusals text[];
  expired CONSTANT boolean := clock_timestamp() >= lease;  -- After the writer's row is locked.
  fresh boolean;
BEGIN
  SELECT count(*) = count(DISTINCT g.operation) AND count(o.operation_id) = 0 INTO fresh
    FROM unnest(kinds, operation_ids) AS g (kind, operation)
    LEFT JOIN holdfast.open_operations o ON o.operation_id = g.operation
    WHERE g.kind = 'intent';
  IF fresh AND NOT expired THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(CASE
      WHEN g.kind <> 'intent' THEN NULL
      WHEN expired THEN 'lease_expired'
      WHEN g.operation IS NULL OR o.operation_id IS NOT NULL OR g.turn > 1 THEN 'already_open'
    END ORDER BY g.ordinal) INTO refusals
    FROM (SELECT u.*, row_number() OVER (PARTITION BY u.kind, u.operation ORDER BY u.ordinal) AS turn
            FROM unnest(kinds, operation_ids) WITH ORDINALITY AS u (kind, operation, ordinal)) g
    LEFT JOIN holdfast.open_operations o ON o.operation_id = g.operation;
  RETURN refusals;
END $$;

-- Ends the operations of a batch's outcomes, and returns the refusals so far with those of outcomes
-- that ended nothing.
CREATE FUNCTION holdfast.refused_outcomes(
  writer uuid, role_name text, entries bytea[], kinds text[], operation_ids uuid[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  ended uuid[];
BEGIN
  IF role_name = 'audit' THEN
    ended := holdfast.settle_expired(entries, kinds, operation_ids);
  ELSE
    WITH gone AS (
      DELETE FROM holdfast.open_operations o
        USING unnest(kinds, operation_ids) AS g (kind, operation)
        WHERE g.kind = 'outcome' AND o.operation_id = g.operation
          AND o.writer = refused_outcomes.writer
        RETURNING o.operation_id)
      SELECT coalesce(array_agg(gone.operation_id), '{}') INTO ended FROM gone;
  END IF;
  IF cardinality(ended) = cardinality(array_positions(kinds, 'outcome')) THEN
    RETURN refusals;
  END IF;
  RETURN (
    SELECT array_agg(CASE
        WHEN g.kind <> 'outcome' THEN g.reason
        WHEN e.operation IS NOT NULL AND g.turn = 1 THEN NULL
        WHEN s.operation_id IS NOT NULL AND e.operation IS NULL THEN 'settled'
        WHEN o.operation_id IS NOT NULL THEN 'not_expired'
        ELSE 'closed'
      END ORDER BY g.ordinal)
      FROM (SELECT u.*,
                   row_number() OVER (PARTITION BY u.kind, u.operation ORDER BY u.ordinal) AS turn
              FROM unnest(kinds, operation_ids, refusals)
                WITH ORDINALITY AS u (kind, operation, reason, ordinal)) g
      LEFT JOIN unnest(ended) AS e (operation) ON e.operation = g.operation
      LEFT JOIN holdfast.settled_operations s ON s.operation_id = g.operation
      LEFT JOIN holdfast.open_operations o ON o.operation_id = g.operation);
END $$;

-- Ends operations of writers whose lease has run out; returns which. A writer that is appending at
-- this moment is alive, so its row is skipped and not waited for.
CREATE FUNCTION holdfast.settle_expired(entries bytea[], kinds text[], operation_ids uuid[])
  RETURNS uuid[]
  LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  outcomes CONSTANT uuid[] := ARRAY(
    SELECT g.operation FROM unnest(kinds, operation_ids) AS g (kind, operation)
      WHERE g.kind = 'outcome');
  expired uuid[];
  ended uuid[];
BEGIN
  IF EXISTS (SELECT FROM unnest(entries, kinds) AS g (entry, kind)
             WHERE g.kind = 'outcome'
               AND convert_from(g.entry, 'UTF8')::json #>> '{outcome,result}'
                   IS DISTINCT FROM 'unknown') THEN
    RAISE EXCEPTION 'the operation of another writer can only be settled as unknown'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT array_agg(w.id) INTO expired FROM (
    SELECT w.id FROM holdfast.writers w
      WHERE w.id IN (SELECT o.writer FROM holdfast.open_operations o
                     WHERE o.operation_id = ANY (outcomes))
        AND w.lease_until < clock_timestamp()
      ORDER BY w.id FOR UPDATE SKIP LOCKED) w;
  WITH gone AS (
    DELETE FROM holdfast.open_operations o
      WHERE o.operation_id = ANY (outcomes) AND o.writer = ANY (expired)
      RETURNING o.operation_id, o.writer),
  noted AS (
    INSERT INTO holdfast.settled_operations (operation_id, writer)
      SELECT gone.operation_id, gone.writer FROM gone RETURNING operation_id)
    SELECT coalesce(array_agg(noted.operation_id), '{}') INTO ended FROM noted;
  RETURN ended;
END $$;

-- The entry point of `holdfast proxy`.
CREATE FUNCTION holdfast.append_proxy(
  writer uuid, writer_epoch bigint, entries bytea[], leaf_hashes bytea[], kinds text[],
  operation_ids uuid[], approval_steps text[] DEFAULT NULL, limited boolean[] DEFAULT NULL)
  RETURNS holdfast.appended
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  -- open_operations is small but churns; a scan over its dead rows must never be chosen. What that
  -- setting does to estimated costs would start the compiler for every batch.
  SET enable_seqscan = off
  SET jit = off
AS $$
BEGIN
  IF session_user <> 'holdfast_proxy' THEN
    RAISE EXCEPTION 'append_proxy is for holdfast_proxy' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN holdfast.append_entries(
    '{decision,intent,outcome,reconciliation,rules,system}', writer, writer_epoch, entries,
    leaf_hashes, kinds, operation_ids, approval_steps, limited);
END $$;

-- The entry point of `holdfast audit`, which takes no limits and makes and ends tokens.
CREATE FUNCTION holdfast.append_audit(
  writer uuid, writer_epoch bigint, entries bytea[], leaf_hashes bytea[], kinds text[],
  operation_ids uuid[], approval_steps text[] DEFAULT NULL)
  RETURNS holdfast.appended
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off
  SET jit = off
AS $$
DECLARE
  done holdfast.appended;
BEGIN
  IF session_user <> 'holdfast_audit' THEN
    RAISE EXCEPTION 'append_audit is for holdfast_audit' USING ERRCODE = 'insufficient_privilege';
  END IF;
  done := holdfast.append_entries(
    '{outcome,reconciliation,approval,access,rules,system}', writer, writer_epoch, entries,
    leaf_hashes, kinds, operation_ids, approval_steps, NULL);
  IF 'system' = ANY (kinds) THEN
    PERFORM holdfast.take_token_changes(entries, kinds, done.refusals);
  END IF;
  RETURN done;
END $$;

GRANT EXECUTE ON FUNCTION
  holdfast.append_proxy(uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[])
  TO holdfast_proxy;
GRANT EXECUTE ON FUNCTION
  holdfast.append_audit(uuid, bigint, bytea[], bytea[], text[], uuid[], text[])
  TO holdfast_audit;
