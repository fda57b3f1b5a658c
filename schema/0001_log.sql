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

-- Whether the kind is the one that an entry names. The bytes "kind":"…" may also occur deeper in it,
-- so the kind is read out of the parsed entry, at 6 microseconds. Intents and outcomes, which are most
-- of the log, are cut behind the first such bytes instead, at 3: only at the top level is either part,
-- closed again, an object of its own, and together they are the whole entry.
--
-- A function, because PostgreSQL reads the text of a constraint again for every statement.
CREATE FUNCTION holdfast.is_of_kind(entry bytea, kind text) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  at CONSTANT integer := position(convert_to('"kind":"' || kind || '",', 'UTF8') IN entry);
BEGIN
  IF kind NOT IN ('intent', 'outcome') THEN
    RETURN (convert_from(entry, 'UTF8')::json ->> 'kind' = kind) IS TRUE;
  END IF;
  RETURN at > 0
    AND convert_from(substring(entry FOR at + octet_length(kind) + 8) || '}'::bytea, 'UTF8')::json
        IS NOT NULL
    AND convert_from('{'::bytea || substring(entry FROM at + octet_length(kind) + 10), 'UTF8')::json
        IS NOT NULL;
END $$;

-- The log. The writer is an entry's last member and its role the writer's last, so the final bytes
-- settle that.
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
  CONSTRAINT log_kind CHECK (holdfast.is_of_kind(entry, kind)),
  CONSTRAINT log_role CHECK (
    role IN ('proxy', 'audit')
    AND substring(entry FROM octet_length(entry) - 15) = convert_to('"role":"' || role || '"}}', 'UTF8'))
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
  holdfast.ensure_partitions(),
  holdfast.expired_operations(integer)
  TO holdfast_audit;
GRANT SELECT ON holdfast.log, holdfast.log_head TO holdfast_audit;

SELECT holdfast.ensure_partitions();
