-- Limits: how often calls may pass under a rule, counted in the statement that appends their intents.
--
-- An intent names the limits it takes in its member decision.limits, and `limited` says beside the
-- entry that it does. Uses are counted over the time that went by (a sliding window), exactly: one
-- batch at a time holds a limit's key, from before it counts until it commits. A spent limit refuses
-- its own entry and nobody else's. The outcome of a call that was never sent gives back what the
-- intent took.

SET LOCAL ROLE holdfast_owner;

CREATE TABLE holdfast.limit_uses (
  key text NOT NULL,           -- Of which rule, and by whom or of which mailbox.
  at timestamptz NOT NULL,
  operation_id uuid NOT NULL,
  mailbox text NOT NULL,
  until timestamptz NOT NULL,  -- It counts no longer then.
  PRIMARY KEY (key, at, operation_id)
);
CREATE INDEX limit_uses_operation ON holdfast.limit_uses (operation_id);

-- The rule whose limit an intent would exceed; NULL: none, and all of them are taken.
CREATE FUNCTION holdfast.take_limits_of(limits jsonb, operation uuid, now timestamptz) RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  l jsonb;
  used bigint;
  others bigint;  -- Mailboxes but the one that this call is about.
BEGIN
  FOR l IN SELECT value FROM jsonb_array_elements(limits) LOOP
    DELETE FROM holdfast.limit_uses u WHERE u.key = l ->> 'key' AND u.until <= now;
    SELECT count(*), count(DISTINCT u.mailbox) FILTER (WHERE u.mailbox <> l ->> 'mailbox')
      INTO used, others FROM holdfast.limit_uses u
      WHERE u.key = l ->> 'key' AND u.at > now - make_interval(secs => (l ->> 'per_s')::bigint);
    IF used >= (l ->> 'count')::bigint OR others >= (l ->> 'distinct_mailboxes')::bigint THEN
      RETURN l ->> 'rule';
    END IF;
  END LOOP;
  INSERT INTO holdfast.limit_uses (key, at, operation_id, mailbox, until)
    SELECT t.value ->> 'key', now, operation, t.value ->> 'mailbox',
           now + make_interval(secs => (t.value ->> 'per_s')::bigint)
      FROM jsonb_array_elements(limits) t;
  RETURN NULL;
END $$;

-- Takes the limits of a batch, in its order, and returns the refusals so far with those of the
-- intents that would exceed one.
CREATE FUNCTION holdfast.take_limits(
  entries bytea[], kinds text[], operation_ids uuid[], limited boolean[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  documents jsonb[] := array_fill(NULL::jsonb, ARRAY[cardinality(kinds)]);
  lock_key bigint;
  exceeded text;
  now timestamptz;
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    IF limited[i] AND refusals[i] IS NULL THEN
      documents[i] := convert_from(entries[i], 'UTF8')::jsonb;
    END IF;
  END LOOP;
  FOR lock_key IN
    SELECT DISTINCT hashtextextended('holdfast.limit ' || (l.value ->> 'key'), 0) AS key
      FROM unnest(documents, kinds) AS g (document, kind),
           jsonb_array_elements(g.document #> '{decision,limits}') l
      WHERE g.kind = 'intent' ORDER BY key LOOP
    PERFORM pg_advisory_xact_lock(lock_key);
  END LOOP;
  now := clock_timestamp();
  FOR i IN 1 .. cardinality(kinds) LOOP
    IF documents[i] IS NULL THEN
      CONTINUE;
    END IF;
    IF kinds[i] = 'outcome' THEN
      DELETE FROM holdfast.limit_uses u
        WHERE u.operation_id = operation_ids[i]
          AND documents[i] #>> '{outcome,result}' = 'not_sent';
    ELSIF kinds[i] = 'intent' THEN
      exceeded := holdfast.take_limits_of(documents[i] #> '{decision,limits}', operation_ids[i], now);
      IF exceeded IS NOT NULL THEN
        refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
        refusals[i] := 'limit ' || exceeded;
      END IF;
    END IF;
  END LOOP;
  RETURN refusals;
END $$;

-- The append functions, now with limits. Processes that know nothing of them may still call them.
DROP FUNCTION holdfast.append_proxy(uuid, bigint, bytea[], bytea[], text[], uuid[], text[]);
DROP FUNCTION holdfast.append_entries(
  text[], uuid, bigint, bytea[], bytea[], text[], uuid[], text[]);

-- Appends a batch in one statement: one result row per entry, in order, with its index or the
-- reason why it alone was refused: lease_expired, already_open (intents); settled (somebody else
-- ended the operation), closed (not open: ended already, or never begun), not_expired (another
-- writer's, still alive; outcomes), approval (not in the state that the entry's step needs), limit and a rule's id (spent). Errors that refuse the whole batch: HF001 another process
-- holds the writer's epoch, HF002 malformed batch, HF003 no partition, 42501 a kind not permitted.
--
-- Locks: the writer's row, other writers' rows (settling only), operations, limits in the order of
-- their keys, approvals (both only where there are any), the log's head last. Called by append_proxy and append_audit alone.
CREATE FUNCTION holdfast.append_entries(
  permitted text[], writer uuid, writer_epoch bigint,
  entries bytea[], leaf_hashes bytea[], kinds text[], operation_ids uuid[],
  approval_steps text[], limited boolean[] DEFAULT NULL)
  RETURNS TABLE (ordinal integer, index bigint, refusal text)
  LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  role_name text := holdfast.session_role();
  size integer := coalesce(cardinality(entries), 0);
  lease timestamptz;
  intents uuid[];
  outcomes uuid[];
  refusals text[];  -- One for each entry; NULL where accepted. NULL: none refused.
  accepted bigint := size;
  first bigint;
  room bigint;
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

  SELECT coalesce(array_agg(g.operation) FILTER (WHERE g.kind = 'intent'), '{}'),
         coalesce(array_agg(g.operation) FILTER (WHERE g.kind = 'outcome'), '{}')
    INTO intents, outcomes FROM unnest(kinds, operation_ids) AS g (kind, operation);
  IF cardinality(intents) > 0 THEN
    refusals := holdfast.refused_intents(intents, kinds, operation_ids, lease);
  END IF;
  IF cardinality(outcomes) > 0 THEN
    refusals := holdfast.refused_outcomes(append_entries.writer, role_name, outcomes, entries,
                                          kinds, operation_ids, refusals);
  END IF;
  IF limited IS NOT NULL THEN
    refusals := holdfast.take_limits(entries, kinds, operation_ids, limited, refusals);
  END IF;
  IF approval_steps IS NOT NULL OR 'reconciliation' = ANY (kinds) THEN
    refusals := holdfast.take_approval_steps(entries, kinds, approval_steps, refusals);
  END IF;
  IF limited IS NOT NULL AND refusals IS NOT NULL THEN
    -- What is refused after all has taken nothing.
    DELETE FROM holdfast.limit_uses u USING unnest(operation_ids, kinds, refusals, limited)
        AS g (operation, kind, reason, is_limited)
      WHERE g.is_limited AND g.kind = 'intent' AND g.reason IS NOT NULL
        AND g.reason <> 'already_open' AND u.operation_id = g.operation;
  END IF;
  IF refusals IS NOT NULL THEN
    SELECT count(*) INTO accepted FROM unnest(refusals) AS g (reason) WHERE g.reason IS NULL;
  END IF;

  IF accepted > 0 THEN
    UPDATE holdfast.log_head h SET next_index = h.next_index + accepted
      RETURNING h.next_index - accepted, h.partitions_end - h.next_index INTO first, room;
    IF room < 0 THEN
      RAISE EXCEPTION 'the log has no partition for index %', first USING ERRCODE = 'HF003';
    END IF;
    IF cardinality(intents) > 0 THEN
      INSERT INTO holdfast.open_operations (operation_id, writer, intent_index)
        SELECT p.operation, append_entries.writer, p.position FROM (
          SELECT g.kind, g.operation, first - 1 + row_number() OVER (ORDER BY g.ordinal) AS position
            FROM unnest(kinds, operation_ids, refusals)
              WITH ORDINALITY AS g (kind, operation, reason, ordinal)
            WHERE g.reason IS NULL) p
          WHERE p.kind = 'intent';
    END IF;
    INSERT INTO holdfast.log (index, entry, leaf_hash, kind, role)
      SELECT first - 1 + row_number() OVER (ORDER BY g.ordinal), g.entry, g.leaf_hash, g.kind,
             role_name
        FROM unnest(entries, leaf_hashes, kinds, refusals)
          WITH ORDINALITY AS g (entry, leaf_hash, kind, reason, ordinal)
        WHERE g.reason IS NULL;
  END IF;
  RETURN QUERY
    SELECT g.ordinal::integer,
           CASE WHEN g.reason IS NULL THEN
             first - 1 + count(*) FILTER (WHERE g.reason IS NULL) OVER (ORDER BY g.ordinal) END,
           g.reason
      FROM unnest(kinds, refusals) WITH ORDINALITY AS g (kind, reason, ordinal)
      ORDER BY g.ordinal;
END $$;

-- The entry point of `holdfast proxy`.
CREATE FUNCTION holdfast.append_proxy(
  writer uuid, writer_epoch bigint, entries bytea[], leaf_hashes bytea[], kinds text[],
  operation_ids uuid[], approval_steps text[] DEFAULT NULL, limited boolean[] DEFAULT NULL)
  RETURNS TABLE (ordinal integer, index bigint, refusal text)
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
  RETURN QUERY SELECT * FROM holdfast.append_entries(
    '{decision,intent,outcome,reconciliation,rules,system}', writer, writer_epoch, entries,
    leaf_hashes, kinds, operation_ids, approval_steps, limited);
END $$;

REVOKE EXECUTE ON FUNCTION
  holdfast.append_proxy(uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[])
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  holdfast.append_proxy(uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[])
  TO holdfast_proxy;
