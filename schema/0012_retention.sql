-- Legal holds, and the end of old records: `holdfast retention` drops whole partitions of the log.
-- Hashes, tiles, checkpoints and evidence stay, so that every proof still verifies.
-- docs/retention.md tells what it is for, docs/audit_format.md what the records of it mean.
--
-- A role of its own drops: neither proxies nor the audit service can. It can do so only through
-- drop_partition(), which holds each partition against a floor that the database's owner has set,
-- against the tree, and against the legal holds that officers have placed.

RESET ROLE;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_retention') THEN
    CREATE ROLE holdfast_retention LOGIN;
  END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO holdfast_retention', current_database());
END $$;
SET LOCAL ROLE holdfast_owner;
GRANT USAGE ON SCHEMA holdfast TO holdfast_retention;

-- Records of the role `retention` are appended by the functions here alone. Not checked against old
-- rows, which satisfy a narrower constraint.
ALTER TABLE holdfast.log DROP CONSTRAINT log_role;
ALTER TABLE holdfast.log ADD CONSTRAINT log_role CHECK (
  role IN ('proxy', 'audit', 'retention')
  AND substring(entry FROM octet_length(entry) - octet_length(role) - 10)
      = convert_to('"role":"' || role || '"}}', 'UTF8')) NOT VALID;

-- What the owner of the database allows.
CREATE TABLE holdfast.retention_policy (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
  floor_age interval,        -- No record younger than this is dropped; null: none at all.
  anchored boolean NOT NULL  -- None is that nobody outside the database vouches for.
);
INSERT INTO holdfast.retention_policy (anchored) VALUES (true);

-- The indexes whose records are gone.
CREATE TABLE holdfast.dropped_ranges (
  first bigint PRIMARY KEY,
  until bigint NOT NULL,
  record_index bigint NOT NULL,  -- Of the record that says so.
  dropped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT dropped_ranges_order CHECK (first >= 0 AND first < until)
);
CREATE TRIGGER dropped_ranges_refuse_change
  BEFORE UPDATE OR DELETE OR TRUNCATE ON holdfast.dropped_ranges
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
ALTER TABLE holdfast.dropped_ranges ENABLE ALWAYS TRIGGER dropped_ranges_refuse_change;

-- Legal holds. A hold changes by the `system` record that tells of it, in the statement that
-- appends it. Each change takes two people: a hold counts from the first one's record on, its end
-- from the second one's.
CREATE TABLE holdfast.holds (
  id uuid PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY,  -- In the order of placing.
  state text NOT NULL CHECK (state IN ('placed', 'held', 'lifting', 'lifted')),
  mailboxes text[] NOT NULL,      -- Names of the mailboxes, as search has them.
  waits_on text,                  -- Who took the step that somebody else has to follow.
  placed_index bigint NOT NULL,   -- Of the record that placed it,
  changed_index bigint NOT NULL,  -- and of the one that changed it last.
  content jsonb NOT NULL,         -- The first record's `system.hold`.
  history jsonb NOT NULL          -- Its steps, oldest first.
);
CREATE INDEX holds_number ON holdfast.holds (number);

-- What a step makes of a hold; null: nothing.
CREATE FUNCTION holdfast.hold_state_after(hold holdfast.holds, event text, who text) RETURNS text
  LANGUAGE sql IMMUTABLE
RETURN CASE
  WHEN event = 'hold_confirmed' AND hold.state = 'placed' AND hold.waits_on <> who THEN 'held'
  WHEN event = 'hold_confirmed' AND hold.state = 'lifting' THEN 'held'
  WHEN event = 'hold_lift_asked' AND hold.state IN ('placed', 'held') THEN 'lifting'
  WHEN event = 'hold_lifted' AND hold.state = 'lifting' AND hold.waits_on <> who THEN 'lifted' END;

-- What a batch's records of holds say, done; one that comes too late, or breaks the rule of two
-- people, changes nothing. Called by append_audit alone, while it holds the log's head, so that
-- drop_partition() sees every hold that is in the log before its own record.
CREATE FUNCTION holdfast.take_hold_changes(
  first bigint, entries bytea[], kinds text[], refusals text[])
  RETURNS void
  LANGUAGE plpgsql
AS $$
DECLARE
  placed bigint := first - 1;
  document jsonb;
  told jsonb;
  step jsonb;
  who text;
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    CONTINUE WHEN refusals[i] IS NOT NULL;
    placed := placed + 1;
    CONTINUE WHEN kinds[i] <> 'system';
    document := convert_from(entries[i], 'UTF8')::jsonb;
    told := document -> 'system';
    who := told #>> '{by,person}';
    CONTINUE WHEN starts_with(told ->> 'event', 'hold_') IS NOT TRUE;
    step := jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
      'event', told ->> 'event', 'at', holdfast.record_time(clock_timestamp()),
      'by', told -> 'by', 'reason', told ->> 'reason', 'record', document ->> 'id')));
    IF told ->> 'event' = 'hold_placed' THEN
      INSERT INTO holdfast.holds (id, state, mailboxes, waits_on, placed_index, changed_index,
                                  content, history)
        VALUES ((told #>> '{hold,id}')::uuid, 'placed',
          holdfast.search_names(told #> '{hold,mailboxes}'), who, placed, placed,
          told -> 'hold', step);
    ELSE
      UPDATE holdfast.holds h
        SET state = holdfast.hold_state_after(h, told ->> 'event', who),
            waits_on = CASE told ->> 'event' WHEN 'hold_lift_asked' THEN who END,
            changed_index = placed, history = h.history || step
        WHERE h.id = (told #>> '{hold,id}')::uuid
          AND holdfast.hold_state_after(h, told ->> 'event', who) IS NOT NULL;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION holdfast.hold_document(hold holdfast.holds) RETURNS jsonb
  LANGUAGE sql STABLE
RETURN hold.content || jsonb_build_object('state', hold.state, 'waits_on', hold.waits_on,
                                          'history', hold.history);

-- Holds newest first: the one with that id; without one, those that are not lifted, or all.
CREATE FUNCTION holdfast.list_holds(wanted uuid, ended_too boolean, at_most integer)
  RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT holdfast.hold_document(h) FROM holdfast.holds h
    WHERE CASE WHEN wanted IS NOT NULL THEN h.id = wanted
      ELSE ended_too OR h.state <> 'lifted' END
    ORDER BY h.number DESC LIMIT at_most
$$;

CREATE OR REPLACE FUNCTION holdfast.append_audit(
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
    PERFORM holdfast.take_hold_changes(done.first, entries, kinds, done.refusals);
  END IF;
  RETURN done;
END $$;

-- Every name that records know these mailboxes by. `me` is everybody's.
CREATE FUNCTION holdfast.names_of_mailboxes(names text[]) RETURNS text[]
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(DISTINCT n.name) FROM (
    SELECT unnest(names) AS name
    UNION ALL
    SELECT unnest(r.mailboxes) FROM holdfast.record_search r WHERE r.mailboxes && names) n
    WHERE n.name <> 'me'
$$;

-- The hold that keeps the records `first` to `until` - 1: they are of its mailboxes or by their
-- owners, or cannot be read and may be of any, or one of them placed it. Null: none does.
CREATE FUNCTION holdfast.hold_on(first bigint, until bigint) RETURNS uuid
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  hold holdfast.holds;
  names text[];
BEGIN
  FOR hold IN SELECT h.* FROM holdfast.holds h WHERE h.state <> 'lifted' ORDER BY h.number LOOP
    names := holdfast.names_of_mailboxes(hold.mailboxes);
    IF (hold.placed_index >= first AND hold.placed_index < until)
       OR EXISTS (SELECT FROM holdfast.record_search r
                    WHERE r.index >= first AND r.index < until
                      AND (r.mailboxes && names OR r.actors && names OR r.malformed)) THEN
      RETURN hold.id;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

-- Whether what `first` to `until` - 1 tells of is over: every operation has its outcome, every
-- approval has been used or has run out, and every review is closed. Null: it is; else what is not.
CREATE FUNCTION holdfast.still_open(first bigint, until bigint) RETURNS text
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM holdfast.open_operations o
               WHERE o.intent_index >= first AND o.intent_index < until) THEN
    RETURN 'it holds the intent of an operation that has no outcome yet';
  END IF;
  IF EXISTS (SELECT FROM holdfast.approvals a
               JOIN holdfast.approval_history h ON h.code = a.code
               JOIN holdfast.record_search r ON r.id = h.record
               WHERE holdfast.approval_state(a, clock_timestamp())
                     IN ('PENDING', 'APPROVED', 'CLAIMED')
                 AND r.index >= first AND r.index < until) THEN
    RETURN 'it holds a record of an approval that is still open';
  END IF;
  IF EXISTS (SELECT FROM holdfast.reviews v
               JOIN holdfast.review_history h ON h.code = v.code
               JOIN holdfast.record_search r ON r.id = h.record
               WHERE v.closed_at IS NULL AND r.index >= first AND r.index < until) THEN
    RETURN 'it holds the intent of a call whose review is still open';
  END IF;
  RETURN NULL;
END $$;

-- When the newest of the records became old, as far as it can be known: what its writer says, and
-- when a checkpoint was first signed over it, on this database's clock. Null: none is over it.
CREATE FUNCTION holdfast.newest_of(first bigint, until bigint) RETURNS timestamptz
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT greatest(c.signed, (
      SELECT max(r.time) FROM holdfast.record_search r
        WHERE r.index >= newest_of.first AND r.index < newest_of.until))
    FROM (SELECT t.signed FROM holdfast.tree_checkpoints t WHERE t.size >= newest_of.until
            ORDER BY t.size, t.ordinal LIMIT 1) c
$$;

-- Why the partition of `first` to `until` - 1 must stay; null: it may go.
CREATE FUNCTION holdfast.retention_obstacle(first bigint, until bigint, age interval) RETURNS text
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  policy holdfast.retention_policy;
  newest CONSTANT timestamptz := holdfast.newest_of(first, until);
  hold uuid;
BEGIN
  SELECT p.* INTO policy FROM holdfast.retention_policy p;
  IF until > (SELECT h.next_index FROM holdfast.log_head h) THEN
    RETURN 'it is not full';
  END IF;
  IF policy.floor_age IS NULL THEN
    RETURN 'the owner of the database has set no floor (migrate.retention.floor)';
  END IF;
  IF age IS NULL OR age < policy.floor_age THEN
    RETURN 'the age asked for is under the floor that the owner of the database has set';
  END IF;
  IF first % 256 <> 0 OR until % 256 <> 0 OR newest IS NULL
     OR (until - first) / 256 <> (SELECT count(*) FROM holdfast.tree_tiles t
                                    WHERE t.level = 0 AND t.index >= first / 256
                                      AND t.index < until / 256) THEN
    RETURN 'no signed checkpoint covers it with whole tiles';
  END IF;
  IF newest > clock_timestamp() - age THEN
    RETURN 'its newest record is younger';
  END IF;
  IF policy.anchored AND NOT EXISTS (
       SELECT FROM holdfast.anchor_evidence e WHERE e.size >= until) THEN
    RETURN 'no witness, time-stamp authority or sink has vouched for a checkpoint over it';
  END IF;
  IF until > (SELECT s.derived FROM holdfast.search_state s) THEN
    RETURN 'the search table does not reach its end';
  END IF;
  hold := holdfast.hold_on(first, until);
  IF hold IS NOT NULL THEN
    RETURN 'legal hold ' || hold;
  END IF;
  RETURN holdfast.still_open(first, until);
END $$;

-- The log's partitions that hold records.
CREATE FUNCTION holdfast.log_partitions()
  RETURNS TABLE (name text, first bigint, until bigint)
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p.name, p.bounds[1]::bigint, p.bounds[2]::bigint
    FROM (SELECT c.relname::text AS name, regexp_match(pg_get_expr(c.relpartbound, c.oid),
                   'FROM \(''(\d+)''\) TO \(''(\d+)''\)') AS bounds
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'holdfast.log'::regclass) p
    WHERE p.bounds[1]::bigint < (SELECT h.next_index FROM holdfast.log_head h)
    ORDER BY 2
$$;

-- What is gone already, and `first` to `until` - 1 with it, joined where they touch.
CREATE FUNCTION holdfast.ranges_with(first bigint, until bigint) RETURNS jsonb
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_agg(jsonb_build_array(i.first, i.until) ORDER BY i.first) FROM (
    SELECT min(m.first) AS first, max(m.until) AS until FROM (
      SELECT s.first, s.until, sum(s.begins) OVER (ORDER BY s.first) AS island FROM (
        SELECT r.first, r.until,
               (lag(r.until) OVER (ORDER BY r.first) IS DISTINCT FROM r.first)::integer AS begins
          FROM (SELECT d.first, d.until FROM holdfast.dropped_ranges d
                UNION ALL SELECT ranges_with.first, ranges_with.until) r) s) m
      GROUP BY m.island) i
$$;

-- The partitions, oldest first; what a record that drops one must say of it is there too.
CREATE FUNCTION holdfast.retention_plan(age interval) RETURNS SETOF jsonb
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  partition record;
BEGIN
  FOR partition IN SELECT * FROM holdfast.log_partitions() LOOP
    RETURN NEXT jsonb_build_object(
      'partition', partition.name, 'first', partition.first, 'until', partition.until,
      'newest', holdfast.record_time(holdfast.newest_of(partition.first, partition.until)),
      'obstacle', holdfast.retention_obstacle(partition.first, partition.until, age),
      'ranges', holdfast.ranges_with(partition.first, partition.until),
      'checkpoint', (
        SELECT jsonb_build_object('size', c.size, 'root', encode(c.root, 'base64'))
          FROM holdfast.tree_checkpoints c WHERE c.size >= partition.until
          ORDER BY c.size, c.ordinal LIMIT 1));
  END LOOP;
END $$;

CREATE FUNCTION holdfast.retention_state() RETURNS jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object(
      'floor_s', extract(epoch FROM p.floor_age)::bigint, 'anchored', p.anchored,
      'dropped', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('first', d.first, 'until', d.until,
                 'record', d.record_index, 'at', holdfast.record_time(d.dropped_at))
                 ORDER BY d.first), '[]')
          FROM holdfast.dropped_ranges d))
    FROM holdfast.retention_policy p
$$;

-- Appends a record of the role `retention`. Returns its index; the log's head is held until the end
-- of the transaction.
CREATE FUNCTION holdfast.append_retention(entry bytea, leaf_hash bytea) RETURNS bigint
  LANGUAGE plpgsql
AS $$
DECLARE
  placed bigint;
  room bigint;
BEGIN
  UPDATE holdfast.log_head h SET next_index = h.next_index + 1
    RETURNING h.next_index - 1, h.partitions_end - h.next_index INTO placed, room;
  IF room < 0 THEN
    RAISE EXCEPTION 'the log has no partition for index %', placed USING ERRCODE = 'HF003';
  END IF;
  INSERT INTO holdfast.log (index, entry, leaf_hash, kind, role)
    VALUES (placed, entry, leaf_hash, 'system', 'retention');
  RETURN placed;
END $$;

-- Sets what the record says: the floor. For the owner of the database, so granted to nobody.
CREATE FUNCTION holdfast.set_retention_policy(entry bytea, leaf_hash bytea) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  content CONSTANT jsonb := convert_from(entry, 'UTF8')::jsonb -> 'system';
BEGIN
  IF content ->> 'event' IS DISTINCT FROM 'retention_policy' THEN
    RAISE EXCEPTION 'the record is none of a retention policy' USING ERRCODE = 'HF030';
  END IF;
  UPDATE holdfast.retention_policy
    SET floor_age = make_interval(secs => (content ->> 'floor_s')::bigint),
        anchored = (content ->> 'anchored')::boolean;
  RETURN holdfast.append_retention(entry, leaf_hash);
END $$;

-- Appends the record and takes the partition away. Appends wait from the first of these locks to
-- the commit, so none is waited for long: lock_not_available, and the caller tries again. HF031: a
-- hold was changed since `holds_seen`.
CREATE FUNCTION holdfast.detach_partition(
  partition_name text, entry bytea, leaf_hash bytea, holds_seen bigint)
  RETURNS bigint
  LANGUAGE plpgsql
AS $$
DECLARE
  placed bigint;
BEGIN
  PERFORM set_config('lock_timeout', '500ms', true);
  -- Before the log's head, as where partitions are made.
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.ensure_partitions', 0));
  PERFORM FROM holdfast.log_head FOR UPDATE;
  LOCK TABLE holdfast.log IN ACCESS EXCLUSIVE MODE;
  IF holds_seen IS DISTINCT FROM (SELECT max(h.changed_index) FROM holdfast.holds h) THEN
    RAISE EXCEPTION 'a legal hold was changed meanwhile' USING ERRCODE = 'HF031';
  END IF;
  placed := holdfast.append_retention(entry, leaf_hash);
  EXECUTE format('ALTER TABLE holdfast.log DETACH PARTITION holdfast.%I', partition_name);
  EXECUTE format('DROP TABLE holdfast.%I', partition_name);
  RETURN placed;
END $$;

-- Drops the partition that the record names, and with it what is derived from its records, in one
-- transaction with the record. Returns the record's index. HF030: it may not go, and why, or the
-- record does not say what it must, or the tree does not hold the records' hashes. HF031: not now.
CREATE FUNCTION holdfast.drop_partition(entry bytea, leaf_hash bytea) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET jit = off
AS $$
DECLARE
  content CONSTANT jsonb := convert_from(entry, 'UTF8')::jsonb -> 'system';
  begin_at CONSTANT bigint := content ->> 'first';
  end_at CONSTANT bigint := content ->> 'until';
  partition text;
  obstacle text;
  holds_seen bigint;
  placed bigint;
BEGIN
  IF session_user <> 'holdfast_retention' THEN
    RAISE EXCEPTION 'drop_partition is for holdfast_retention'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.retention', 0)) THEN
    RAISE EXCEPTION 'somebody else drops a partition' USING ERRCODE = 'HF031';
  END IF;
  SELECT p.name INTO partition FROM holdfast.log_partitions() p
    WHERE p.first = begin_at AND p.until = end_at;
  IF NOT FOUND OR content ->> 'event' IS DISTINCT FROM 'partition_dropped'
     OR content -> 'ranges' IS DISTINCT FROM holdfast.ranges_with(begin_at, end_at)
     OR NOT EXISTS (SELECT FROM holdfast.tree_checkpoints c
                      WHERE c.size = (content #>> '{checkpoint,size}')::bigint AND c.size >= end_at
                        AND encode(c.root, 'base64') = content #>> '{checkpoint,root}') THEN
    RAISE EXCEPTION 'the record does not say what goes and what stays' USING ERRCODE = 'HF030';
  END IF;
  SELECT max(h.changed_index) INTO holds_seen FROM holdfast.holds h;
  obstacle := holdfast.retention_obstacle(
    begin_at, end_at, make_interval(secs => (content ->> 'age_s')::bigint));
  IF obstacle IS NOT NULL THEN
    RAISE EXCEPTION 'the records % to % stay: %', begin_at, end_at - 1, obstacle
      USING ERRCODE = 'HF030';
  END IF;
  IF EXISTS (
       SELECT FROM (SELECT l.index / 256 AS tile,
                           string_agg(l.leaf_hash, ''::bytea ORDER BY l.index) AS hashes
                      FROM holdfast.log l
                      WHERE l.index >= begin_at AND l.index < end_at
                      GROUP BY 1) g
         FULL JOIN (SELECT t.index AS tile, t.hashes FROM holdfast.tree_tiles t
                      WHERE t.level = 0 AND t.index >= begin_at / 256
                        AND t.index < end_at / 256) t USING (tile)
         WHERE g.hashes IS DISTINCT FROM t.hashes) THEN
    RAISE EXCEPTION 'the tree does not hold the hashes of the records % to %', begin_at, end_at - 1
      USING ERRCODE = 'HF030';
  END IF;
  DELETE FROM holdfast.record_search r
    WHERE r.index >= begin_at AND r.index < end_at;
  DELETE FROM holdfast.unsettled u
    WHERE u.outcome_index >= begin_at AND u.outcome_index < end_at;
  FOR attempt IN 1 .. 20 LOOP
    BEGIN
      placed := holdfast.detach_partition(partition, entry, leaf_hash, holds_seen);
      EXIT;
    EXCEPTION WHEN lock_not_available THEN
      IF attempt = 20 THEN
        RAISE EXCEPTION 'the log was being read or written all the time' USING ERRCODE = 'HF031';
      END IF;
      PERFORM pg_sleep(0.2);
    END;
  END LOOP;
  DELETE FROM holdfast.holds h
    WHERE h.state = 'lifted' AND h.changed_index >= begin_at AND h.changed_index < end_at;
  INSERT INTO holdfast.dropped_ranges (first, until, record_index)
    VALUES (begin_at, end_at, placed);
  RETURN placed;
END $$;

REVOKE EXECUTE ON FUNCTION
  holdfast.hold_state_after(holdfast.holds, text, text),
  holdfast.take_hold_changes(bigint, bytea[], text[], text[]),
  holdfast.hold_document(holdfast.holds), holdfast.list_holds(uuid, boolean, integer),
  holdfast.names_of_mailboxes(text[]), holdfast.hold_on(bigint, bigint),
  holdfast.still_open(bigint, bigint), holdfast.newest_of(bigint, bigint),
  holdfast.retention_obstacle(bigint, bigint, interval), holdfast.log_partitions(),
  holdfast.ranges_with(bigint, bigint), holdfast.retention_plan(interval),
  holdfast.retention_state(), holdfast.append_retention(bytea, bytea),
  holdfast.set_retention_policy(bytea, bytea),
  holdfast.detach_partition(text, bytea, bytea, bigint), holdfast.drop_partition(bytea, bytea)
  FROM PUBLIC;
GRANT SELECT ON holdfast.dropped_ranges, holdfast.retention_policy, holdfast.holds
  TO holdfast_audit;
GRANT EXECUTE ON FUNCTION holdfast.list_holds(uuid, boolean, integer),
  holdfast.record_time(timestamptz) TO holdfast_audit;
GRANT EXECUTE ON FUNCTION holdfast.retention_plan(interval), holdfast.retention_state()
  TO holdfast_retention;
GRANT EXECUTE ON FUNCTION holdfast.drop_partition(bytea, bytea) TO holdfast_retention;
