-- The audit log: roles, the append-only table, and the functions that are the only way to write it.
--
-- Runs once, as a database administrator; everything it makes belongs to holdfast_owner, which
-- nobody can log in as. The roles that run Holdfast may call functions here and, for holdfast_audit,
-- read; they may not write any table. docs/audit_format.md describes what the log means.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_owner') THEN
    CREATE ROLE holdfast_owner NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_proxy') THEN
    CREATE ROLE holdfast_proxy LOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_audit') THEN
    CREATE ROLE holdfast_audit LOGIN;
  END IF;
  IF NOT pg_has_role(current_user, 'holdfast_owner', 'MEMBER') THEN
    EXECUTE format('GRANT holdfast_owner TO %I', current_user);
  END IF;
  -- For trusted extensions that later migrations ask for.
  EXECUTE format('GRANT CREATE ON DATABASE %I TO holdfast_owner', current_database());
END $$;

CREATE SCHEMA holdfast AUTHORIZATION holdfast_owner;
SET LOCAL ROLE holdfast_owner;
REVOKE ALL ON SCHEMA holdfast FROM PUBLIC;
GRANT USAGE ON SCHEMA holdfast TO holdfast_proxy, holdfast_audit;
-- PostgreSQL lets everybody execute a new function unless told otherwise before it is made.
ALTER DEFAULT PRIVILEGES FOR ROLE holdfast_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE holdfast.migrations (
  name text PRIMARY KEY,
  sha256 bytea NOT NULL,
  applied timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The log. The bytes "kind":"…" may also occur deeper in an entry, so the kind is read out of the
-- parsed entry, at 6 microseconds. Intents and outcomes, which are most of the log, are cut behind the
-- first such bytes instead, at 3: only at the top level is either part, closed again, an object of its
-- own, and together they are the whole entry. The writer is an entry's last member and its role the
-- writer's last, so the final bytes settle that.
CREATE TABLE holdfast.log (
  index bigint NOT NULL,
  entry bytea NOT NULL,
  leaf_hash bytea NOT NULL,
  kind text NOT NULL,
  role text NOT NULL,
  PRIMARY KEY (index),
  CONSTRAINT log_index CHECK (index >= 0),
  CONSTRAINT log_entry_size CHECK (octet_length(entry) <= 65536),
  CONSTRAINT log_leaf_hash CHECK (leaf_hash = sha256('\x00'::bytea || entry)),
  CONSTRAINT log_kind CHECK (
    CASE WHEN kind IN ('intent', 'outcome') THEN
      convert_from(
        substring(entry FOR nullif(position(convert_to('"kind":"' || kind || '",', 'UTF8') IN entry), 0)
                            + octet_length(kind) + 8) || '}'::bytea, 'UTF8')::json IS NOT NULL
      AND convert_from(
        '{'::bytea ||
        substring(entry FROM position(convert_to('"kind":"' || kind || '",', 'UTF8') IN entry)
                             + octet_length(kind) + 10), 'UTF8')::json IS NOT NULL
    ELSE (convert_from(entry, 'UTF8')::json ->> 'kind' = kind) IS TRUE END),
  CONSTRAINT log_role CHECK (
    (role = 'proxy' AND substring(entry FROM octet_length(entry) - 15) = '"role":"proxy"}}'::bytea)
    OR
    (role = 'audit' AND substring(entry FROM octet_length(entry) - 15) = '"role":"audit"}}'::bytea))
) PARTITION BY RANGE (index);

CREATE FUNCTION holdfast.refuse_change() RETURNS trigger
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only: % of % refused', tg_op, tg_table_name
    USING ERRCODE = 'HF010';
END $$;

-- These see statements on the whole log. Partitions do not inherit them, and can be addressed by
-- name; each has its own (see ensure_partitions), for statements, which may touch no row, and for
-- rows, which a statement on the whole log may reach.
CREATE TRIGGER log_refuse_change BEFORE UPDATE OR DELETE ON holdfast.log
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER log_refuse_truncate BEFORE TRUNCATE ON holdfast.log
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
ALTER TABLE holdfast.log ENABLE ALWAYS TRIGGER log_refuse_change;
ALTER TABLE holdfast.log ENABLE ALWAYS TRIGGER log_refuse_truncate;

-- Where the next entry goes. Its one row is what puts all writers in one order.
CREATE TABLE holdfast.log_head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  next_index bigint NOT NULL,
  partitions_end bigint NOT NULL  -- The first index that no partition holds.
) WITH (fillfactor = 10);
INSERT INTO holdfast.log_head (next_index, partitions_end) VALUES (0, 0);

-- The processes that write. An epoch is one connection's right to write as that writer.
CREATE TABLE holdfast.writers (
  id uuid PRIMARY KEY,
  role text NOT NULL,
  epoch bigint NOT NULL,
  lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Intents without their terminal record.
CREATE TABLE holdfast.open_operations (
  operation_id uuid PRIMARY KEY,
  writer uuid NOT NULL,
  intent_index bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- Operations whose terminal record another process wrote, so that their own writer's late result
-- is told from one that is in the log already.
CREATE TABLE holdfast.settled_operations (
  operation_id uuid PRIMARY KEY,
  writer uuid NOT NULL
);

-- Makes partitions until a whole spare one follows the one in use. Each is complete, with its
-- triggers, before it becomes part of the log.
CREATE FUNCTION holdfast.ensure_partitions() RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  span CONSTANT bigint := 4194304;  -- 2^22
  next bigint;
  until bigint;
  partition text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.ensure_partitions', 0));
  SELECT h.next_index, h.partitions_end INTO next, until FROM holdfast.log_head h;
  WHILE until < (next / span + 2) * span LOOP
    partition := 'log_' || lpad((until / span)::text, 6, '0');
    EXECUTE format('CREATE TABLE holdfast.%I (LIKE holdfast.log INCLUDING ALL)', partition);
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON holdfast.%I FOR EACH ROW '
      'EXECUTE FUNCTION holdfast.refuse_change()', partition || '_refuse_change', partition);
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON holdfast.%I FOR EACH STATEMENT '
      'EXECUTE FUNCTION holdfast.refuse_change()', partition || '_refuse_statement', partition);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON holdfast.%I FOR EACH STATEMENT '
      'EXECUTE FUNCTION holdfast.refuse_change()', partition || '_refuse_truncate', partition);
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER %I',
      partition, partition || '_refuse_change');
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER %I',
      partition, partition || '_refuse_statement');
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER %I',
      partition, partition || '_refuse_truncate');
    EXECUTE format('ALTER TABLE holdfast.log ATTACH PARTITION holdfast.%I '
      'FOR VALUES FROM (%s) TO (%s)', partition, until, until + span);
    until := until + span;
    UPDATE holdfast.log_head SET partitions_end = until;
  END LOOP;
  RETURN until;
END $$;

-- The short name of the role that is logged in, as entries carry it.
CREATE FUNCTION holdfast.session_role() RETURNS text
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  CASE session_user
    WHEN 'holdfast_proxy' THEN RETURN 'proxy';
    WHEN 'holdfast_audit' THEN RETURN 'audit';
    ELSE RAISE EXCEPTION 'the role % does not write the audit log', session_user
      USING ERRCODE = 'insufficient_privilege';
  END CASE;
END $$;

-- Appends a batch in one statement: one result row per entry, in order, with its index or the
-- reason why it alone was refused: lease_expired, already_open (intents); settled (somebody else
-- ended the operation), closed (not open: ended already, or never begun), not_expired (another
-- writer's, still alive; outcomes). Errors that refuse the whole batch: HF001 another process
-- holds the writer's epoch, HF002 malformed batch, HF003 no partition, 42501 a kind not permitted.
--
-- Locks: the writer's row, other writers' rows (settling only), operations, the log's head last.
-- Called by append_proxy and append_audit alone; checks on limits and approvals belong before the
-- head is locked.
CREATE FUNCTION holdfast.append_entries(
  permitted text[], writer uuid, writer_epoch bigint,
  entries bytea[], leaf_hashes bytea[], kinds text[], operation_ids uuid[])
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
  IF size NOT BETWEEN 1 AND 512 OR size <> ALL (ARRAY[cardinality(leaf_hashes),
       cardinality(kinds), cardinality(operation_ids)]) THEN
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

-- The refusals of a batch's intents, NULL when there are none.
CREATE FUNCTION holdfast.refused_intents(
  intents uuid[], kinds text[], operation_ids uuid[], lease timestamptz)
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  refusals text[];
  expired boolean := clock_timestamp() >= lease;  -- After the writer's row is locked.
  fresh boolean;
BEGIN
  SELECT count(*) = count(DISTINCT g.operation) AND count(o.operation_id) = 0 INTO fresh
    FROM unnest(intents) AS g (operation)
    LEFT JOIN holdfast.open_operations o ON o.operation_id = g.operation;
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
  writer uuid, role_name text, outcomes uuid[], entries bytea[], kinds text[],
  operation_ids uuid[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  ended uuid[];
BEGIN
  IF role_name = 'audit' THEN
    ended := holdfast.settle_expired(outcomes, entries, kinds);
  ELSE
    WITH gone AS (
      DELETE FROM holdfast.open_operations o
        WHERE o.operation_id = ANY (outcomes) AND o.writer = refused_outcomes.writer
        RETURNING o.operation_id)
      SELECT coalesce(array_agg(gone.operation_id), '{}') INTO ended FROM gone;
  END IF;
  IF cardinality(ended) = cardinality(outcomes) THEN
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
CREATE FUNCTION holdfast.settle_expired(outcomes uuid[], entries bytea[], kinds text[])
  RETURNS uuid[]
  LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
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
  operation_ids uuid[])
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
    leaf_hashes, kinds, operation_ids);
END $$;

-- The entry point of `holdfast audit`.
CREATE FUNCTION holdfast.append_audit(
  writer uuid, writer_epoch bigint, entries bytea[], leaf_hashes bytea[], kinds text[],
  operation_ids uuid[])
  RETURNS TABLE (ordinal integer, index bigint, refusal text)
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off
  SET jit = off
AS $$
BEGIN
  IF session_user <> 'holdfast_audit' THEN
    RAISE EXCEPTION 'append_audit is for holdfast_audit' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN QUERY SELECT * FROM holdfast.append_entries(
    '{outcome,reconciliation,approval,access,rules,system}', writer, writer_epoch, entries,
    leaf_hashes, kinds, operation_ids);
END $$;

-- Takes over a writer: after it returns, no append of an earlier epoch can commit, because it waits
-- for the row that each of them share-locks.
CREATE FUNCTION holdfast.raise_epoch(writer uuid, lease interval) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  role_name text := holdfast.session_role();
  raised bigint;
BEGIN
  IF lease NOT BETWEEN interval '1 second' AND interval '10 minutes' THEN
    RAISE EXCEPTION 'a lease is 1 second to 10 minutes' USING ERRCODE = 'HF002';
  END IF;
  INSERT INTO holdfast.writers AS w (id, role, epoch, lease_until)
    VALUES (writer, role_name, 1, clock_timestamp() + lease)
    ON CONFLICT (id) DO UPDATE
      SET epoch = w.epoch + 1, lease_until = clock_timestamp() + lease
      WHERE w.role = excluded.role
    RETURNING w.epoch INTO raised;
  IF raised IS NULL THEN
    RAISE EXCEPTION 'the writer % belongs to another role', writer
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN raised;
END $$;

-- Extends the lease. Returns how many entries the log has room for, and whether a spare partition
-- follows the one in use.
CREATE FUNCTION holdfast.renew_lease(
  writer uuid, writer_epoch bigint, lease interval, OUT room bigint, OUT spare boolean)
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF lease NOT BETWEEN interval '1 second' AND interval '10 minutes' THEN
    RAISE EXCEPTION 'a lease is 1 second to 10 minutes' USING ERRCODE = 'HF002';
  END IF;
  UPDATE holdfast.writers w SET lease_until = clock_timestamp() + lease
    WHERE w.id = writer AND w.epoch = writer_epoch AND w.role = holdfast.session_role();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the writer % is not at epoch %', writer, writer_epoch USING ERRCODE = 'HF001';
  END IF;
  SELECT h.partitions_end - h.next_index,
         h.partitions_end / 4194304 > h.next_index / 4194304 + 1
    INTO room, spare FROM holdfast.log_head h;
END $$;

-- What this writer has left open, with its intents, for it to settle after a restart.
CREATE FUNCTION holdfast.own_open_operations(writer uuid, writer_epoch bigint)
  RETURNS TABLE (operation_id uuid, intent_index bigint, intent bytea)
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM FROM holdfast.writers w
    WHERE w.id = own_open_operations.writer AND w.epoch = writer_epoch
      AND w.role = holdfast.session_role();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the writer % is not at epoch %', writer, writer_epoch USING ERRCODE = 'HF001';
  END IF;
  RETURN QUERY SELECT o.operation_id, o.intent_index, l.entry
    FROM holdfast.open_operations o JOIN holdfast.log l ON l.index = o.intent_index
    WHERE o.writer = own_open_operations.writer ORDER BY o.intent_index;
END $$;

-- Operations whose writer's lease has run out, oldest first, with their intents.
CREATE FUNCTION holdfast.expired_operations(at_most integer)
  RETURNS TABLE (operation_id uuid, writer uuid, intent_index bigint, intent bytea)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT o.operation_id, o.writer, o.intent_index, l.entry
    FROM holdfast.writers w
    JOIN holdfast.open_operations o ON o.writer = w.id
    JOIN holdfast.log l ON l.index = o.intent_index
    WHERE w.lease_until < clock_timestamp()
    ORDER BY o.intent_index LIMIT at_most
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA holdfast FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  holdfast.raise_epoch(uuid, interval),
  holdfast.renew_lease(uuid, bigint, interval),
  holdfast.own_open_operations(uuid, bigint)
  TO holdfast_proxy, holdfast_audit;
GRANT EXECUTE ON FUNCTION
  holdfast.append_proxy(uuid, bigint, bytea[], bytea[], text[], uuid[]) TO holdfast_proxy;
GRANT EXECUTE ON FUNCTION
  holdfast.append_audit(uuid, bigint, bytea[], bytea[], text[], uuid[]),
  holdfast.ensure_partitions(),
  holdfast.expired_operations(integer)
  TO holdfast_audit;
GRANT SELECT ON holdfast.log, holdfast.log_head TO holdfast_audit;

SELECT holdfast.ensure_partitions();
