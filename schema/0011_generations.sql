-- Generations: rules and lists together, numbered, one of them active and the same for all replicas.
--
-- A generation comes into being, takes effect and ends by `rules` records: record and change are one
-- statement. An intent names the generation it was decided by, and is refused where that is not the
-- active one at its commit: so behind the record that makes a generation active, the log holds no
-- intent that was decided by another. The bytes of rules and lists are kept, of every generation.

SET LOCAL ROLE holdfast_owner;

-- The bytes come first; a generation names them by digest.
CREATE TABLE holdfast.rule_files (
  name text NOT NULL,              -- As the rule file names its list; the rule file is `rules`.
  sha256 bytea NOT NULL,
  bytes bytea NOT NULL,
  modified timestamptz NOT NULL,   -- The last time that any proxy's file with these bytes was.
  PRIMARY KEY (name, sha256),
  CONSTRAINT rule_files_sha256 CHECK (sha256 = sha256(bytes))
);

CREATE TABLE holdfast.generations (
  number bigint PRIMARY KEY,
  sha256 text NOT NULL,            -- As records name rules and lists.
  state text NOT NULL CHECK (state IN ('pending', 'active', 'superseded', 'rejected')),
  offered_at timestamptz NOT NULL,
  offer jsonb NOT NULL,            -- The `rules` member of the record that brought it,
  writer uuid NOT NULL,            -- which this proxy wrote.
  decided_at timestamptz,
  decision jsonb,                  -- That of the record that let it take effect, or rejected it.
  recovery jsonb                   -- Who lets it take effect from the database's own console.
);
CREATE UNIQUE INDEX generations_active ON holdfast.generations (state) WHERE state = 'active';
CREATE INDEX generations_sha256 ON holdfast.generations (sha256, number);
CREATE TRIGGER generations_refuse_removal BEFORE DELETE OR TRUNCATE ON holdfast.generations
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
ALTER TABLE holdfast.generations ENABLE ALWAYS TRIGGER generations_refuse_removal;

CREATE TRIGGER rule_files_refuse_removal BEFORE DELETE OR TRUNCATE ON holdfast.rule_files
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
ALTER TABLE holdfast.rule_files ENABLE ALWAYS TRIGGER rule_files_refuse_removal;

-- What each proxy's own files were when it last looked: only another digest is an offer.
CREATE TABLE holdfast.rule_sources (
  writer uuid PRIMARY KEY,
  sha256 text NOT NULL
);

-- Makes a generation the active one. Called by change_generation alone.
CREATE FUNCTION holdfast.activate_generation(wanted bigint) RETURNS void
  LANGUAGE sql
AS $$
  UPDATE holdfast.generations g SET state = 'superseded'
    WHERE g.state = 'active' OR (g.state = 'pending' AND g.number < wanted);
  UPDATE holdfast.generations g SET state = 'active', decided_at = clock_timestamp()
    WHERE g.number = wanted;
$$;

-- Does what one record says, if all is as the record has it. Events: `offered` (it waits) and
-- `activated` (it takes effect at once), of a new generation; `approved`, `rejected`, `recovered`, of
-- one that waits.
CREATE FUNCTION holdfast.change_generation(writer uuid, role_name text, change jsonb)
  RETURNS boolean
  LANGUAGE plpgsql
AS $$
DECLARE
  event CONSTANT text := change ->> 'event';
  wanted CONSTANT bigint := (change ->> 'generation')::bigint;
  active CONSTANT bigint := (SELECT g.number FROM holdfast.generations g WHERE g.state = 'active');
  waiting holdfast.generations;
BEGIN
  IF role_name <> (CASE WHEN event IN ('approved', 'rejected') THEN 'audit' ELSE 'proxy' END)
     OR active IS DISTINCT FROM (change #>> '{before,generation}')::bigint THEN
    RETURN false;
  END IF;
  IF event IN ('offered', 'activated') THEN
    IF wanted <> (SELECT coalesce(max(g.number), 0) + 1 FROM holdfast.generations g)
       OR EXISTS (SELECT FROM jsonb_array_elements(change -> 'files') f WHERE NOT EXISTS (
            SELECT FROM holdfast.rule_files k WHERE k.name = f.value ->> 'name'
              AND k.sha256 = decode(f.value ->> 'sha256', 'hex'))) THEN
      RETURN false;
    END IF;
    INSERT INTO holdfast.generations (number, sha256, state, offered_at, offer, writer)
      VALUES (wanted, change ->> 'sha256', 'pending', clock_timestamp(), change,
              change_generation.writer);
    INSERT INTO holdfast.rule_sources AS s (writer, sha256)
      VALUES (change_generation.writer, change ->> 'sha256')
      ON CONFLICT ON CONSTRAINT rule_sources_pkey DO UPDATE SET sha256 = excluded.sha256;
    IF event = 'activated' THEN
      PERFORM holdfast.activate_generation(wanted);
    END IF;
    RETURN true;
  END IF;
  SELECT g.* INTO waiting FROM holdfast.generations g
    WHERE g.number = wanted AND g.state = 'pending' AND g.sha256 = change ->> 'sha256';
  IF NOT FOUND OR (event = 'recovered' AND waiting.recovery IS NULL) THEN
    RETURN false;
  END IF;
  CASE event
    WHEN 'approved', 'recovered' THEN
      PERFORM holdfast.activate_generation(wanted);
    WHEN 'rejected' THEN
      UPDATE holdfast.generations g SET state = 'rejected', decided_at = clock_timestamp()
        WHERE g.number = wanted;
    ELSE
      RETURN false;
  END CASE;
  UPDATE holdfast.generations g SET decision = change WHERE g.number = wanted;
  RETURN true;
END $$;

-- Does what a batch's records of rules say, in order; returns the refusals, NULL when there are none.
-- The generations' lock is held.
CREATE FUNCTION holdfast.take_generation_changes(
  writer uuid, role_name text, entries bytea[], kinds text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  change jsonb;
  refusals text[];
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    CONTINUE WHEN kinds[i] <> 'rules';
    change := convert_from(entries[i], 'UTF8')::jsonb -> 'rules';
    IF change ? 'event' AND NOT holdfast.change_generation(writer, role_name, change) THEN
      refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
      refusals[i] := 'generation';
    END IF;
  END LOOP;
  RETURN refusals;
END $$;

DROP FUNCTION holdfast.append_proxy(
  uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[]);
DROP FUNCTION holdfast.append_entries(
  text[], uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[]);
DROP FUNCTION holdfast.refused_intents(text[], uuid[], timestamptz);

-- Appends a batch in one statement. What refuses single entries:
--   intents    lease_expired, already_open, generation (decided by rules that are not in force),
--              limit and a rule's id (it is spent)
--   outcomes   settled (somebody else ended the operation), closed (not open: ended already, or never
--              begun), not_expired (another writer's, still alive)
--   rules      generation (what it changes is not as it says)
--   all        approval (not in the state that the entry's step needs)
-- Errors that refuse the whole batch: HF001 another process holds the writer's epoch, HF002 malformed
-- batch, HF003 no partition, 42501 a kind not permitted.
--
-- Locks: the writer's row, the generation of rules (shared by intents), other writers' rows (settling
-- only), operations, limits in the order of their keys, approvals (both only where there are any), the
-- log's head last. Called by append_proxy and append_audit alone.
--
-- A batch costs about as much as 25 entries: what is done once for each is kept to few statements.
CREATE FUNCTION holdfast.append_entries(
  permitted text[], writer uuid, writer_epoch bigint,
  entries bytea[], leaf_hashes bytea[], kinds text[], operation_ids uuid[],
  approval_steps text[], limited boolean[], generations bigint[] DEFAULT NULL)
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
       coalesce(cardinality(limited), size), coalesce(cardinality(generations), size)])) IS NOT TRUE THEN
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

  IF 'rules' = ANY (kinds) THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.generations', 0));
    done.refusals := holdfast.take_generation_changes(
      append_entries.writer, role_name, entries, kinds);
  END IF;
  IF 'intent' = ANY (kinds) THEN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('holdfast.generations', 0));
    done.refusals := holdfast.refused_intents(kinds, operation_ids, lease, generations,
                                              done.refusals);
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

-- The refusals so far with those of a batch's intents, NULL when there are none. A generation that is
-- active now stays so until the batch commits.
CREATE FUNCTION holdfast.refused_intents(
  kinds text[], operation_ids uuid[], lease timestamptz, generations bigint[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  expired CONSTANT boolean := clock_timestamp() >= lease;  -- After the writer's row is locked.
  active CONSTANT bigint := (SELECT a.number FROM holdfast.generations a WHERE a.state = 'active');
  fresh boolean;
BEGIN
  SELECT count(*) = count(DISTINCT g.operation) AND count(o.operation_id) = 0
      AND count(*) FILTER (WHERE g.generation IS DISTINCT FROM active) = 0 INTO fresh
    FROM unnest(kinds, operation_ids, generations) AS g (kind, operation, generation)
    LEFT JOIN holdfast.open_operations o ON o.operation_id = g.operation
    WHERE g.kind = 'intent';
  IF fresh AND NOT expired THEN
    RETURN refusals;
  END IF;
  RETURN (
    SELECT array_agg(CASE
        WHEN g.kind <> 'intent' THEN g.reason
        WHEN expired THEN 'lease_expired'
        WHEN g.operation IS NULL OR o.operation_id IS NOT NULL OR g.turn > 1 THEN 'already_open'
        WHEN g.generation IS DISTINCT FROM active THEN 'generation'
      END ORDER BY g.ordinal)
      FROM (SELECT u.*, row_number() OVER (PARTITION BY u.kind, u.operation ORDER BY u.ordinal) AS turn
              FROM unnest(kinds, operation_ids, generations, refusals)
                WITH ORDINALITY AS u (kind, operation, generation, reason, ordinal)) g
      LEFT JOIN holdfast.open_operations o ON o.operation_id = g.operation);
END $$;

-- The entry point of `holdfast proxy`.
CREATE FUNCTION holdfast.append_proxy(
  writer uuid, writer_epoch bigint, entries bytea[], leaf_hashes bytea[], kinds text[],
  operation_ids uuid[], approval_steps text[] DEFAULT NULL, limited boolean[] DEFAULT NULL,
  generations bigint[] DEFAULT NULL)
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
    leaf_hashes, kinds, operation_ids, approval_steps, limited, generations);
END $$;

-- Keeps a file's bytes, and the last time that it was modified.
CREATE FUNCTION holdfast.keep_rule_file(file_name text, content bytea, modified_us bigint)
  RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  at CONSTANT timestamptz :=
    least(timestamptz 'epoch' + modified_us * interval '1 microsecond', clock_timestamp());
BEGIN
  UPDATE holdfast.rule_files f SET modified = at
    WHERE f.name = file_name AND f.sha256 = sha256(content) AND f.modified < at;
  INSERT INTO holdfast.rule_files (name, sha256, bytes, modified)
    VALUES (file_name, sha256(content), content, at) ON CONFLICT DO NOTHING;
END $$;

-- What a proxy needs to know to say whether its files are an offer.
CREATE FUNCTION holdfast.rules_standing(asking uuid, digest text, OUT active bigint,
  OUT active_sha256 text, OUT newest bigint, OUT same bigint, OUT same_state text, OUT source text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  SELECT g.number, g.sha256 INTO active, active_sha256
    FROM holdfast.generations g WHERE g.state = 'active';
  SELECT coalesce(max(g.number), 0) INTO newest FROM holdfast.generations g;
  SELECT g.number, g.state INTO same, same_state FROM holdfast.generations g
    WHERE g.sha256 = digest ORDER BY g.number DESC LIMIT 1;
  SELECT s.sha256 INTO source FROM holdfast.rule_sources s WHERE s.writer = asking;
END $$;

-- Notes what a proxy's own files are, where they offer nothing.
CREATE FUNCTION holdfast.note_rule_source(asking uuid, digest text) RETURNS void
  LANGUAGE sql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO holdfast.rule_sources AS s (writer, sha256) VALUES (asking, digest)
    ON CONFLICT (writer) DO UPDATE SET sha256 = excluded.sha256
    WHERE s.sha256 <> excluded.sha256
$$;

-- What all replicas are to follow: the active generation and how new its files are, and the newest
-- that waits. `recovery` tells of one that waits and was let take effect on the database's console.
CREATE FUNCTION holdfast.rules_in_force(OUT active bigint, OUT files_modified text,
  OUT waiting bigint, OUT recovered bigint, OUT recovered_sha256 text, OUT recovery text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  SELECT g.number, (
      SELECT string_agg(k.modified::text, ',' ORDER BY f.ordinal)
        FROM jsonb_array_elements(g.offer -> 'files') WITH ORDINALITY f (value, ordinal)
        JOIN holdfast.rule_files k ON k.name = f.value ->> 'name'
          AND k.sha256 = decode(f.value ->> 'sha256', 'hex'))
    INTO active, files_modified FROM holdfast.generations g WHERE g.state = 'active';
  SELECT max(g.number) INTO waiting FROM holdfast.generations g WHERE g.state = 'pending';
  SELECT g.number, g.sha256, g.recovery INTO recovered, recovered_sha256, recovery
    FROM holdfast.generations g WHERE g.state = 'pending' AND g.recovery IS NOT NULL
    ORDER BY g.number DESC LIMIT 1;
END $$;

CREATE FUNCTION holdfast.active_generation() RETURNS bigint
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT g.number FROM holdfast.generations g WHERE g.state = 'active'
$$;

-- The files of a generation, the rule file first.
CREATE FUNCTION holdfast.generation_files(wanted bigint)
  RETURNS TABLE (name text, bytes bytea, modified_us bigint)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT k.name, k.bytes, (extract(epoch FROM k.modified) * 1000000)::bigint
    FROM holdfast.generations g,
         jsonb_array_elements(g.offer -> 'files') WITH ORDINALITY f (value, ordinal)
    JOIN holdfast.rule_files k ON k.name = f.value ->> 'name'
      AND k.sha256 = decode(f.value ->> 'sha256', 'hex')
    WHERE g.number = wanted ORDER BY f.ordinal
$$;

-- Generations newest first: the one of that number; without one, all below `before`.
CREATE FUNCTION holdfast.list_generations(wanted bigint, below bigint, at_most integer)
  RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object(
      'generation', g.number, 'sha256', g.sha256, 'state', g.state,
      'offered_at', holdfast.record_time(g.offered_at),
      'decided_at', holdfast.record_time(g.decided_at),
      'writer', g.writer, 'offer', g.offer, 'decision', g.decision, 'recovery', g.recovery))
    FROM holdfast.generations g
    WHERE (wanted IS NULL OR g.number = wanted) AND (below IS NULL OR g.number < below)
    ORDER BY g.number DESC LIMIT at_most
$$;

-- For when no admin can approve: whoever may act as holdfast_owner lets a generation that waits take
-- effect. The first proxy that sees it writes the record with which it does.
CREATE FUNCTION holdfast.recover_generation(wanted bigint, digest text, person text, reason text)
  RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE holdfast.generations g
    SET recovery = jsonb_build_object('by', person, 'database_user', session_user,
      'reason', reason, 'at', holdfast.record_time(clock_timestamp()))
    WHERE g.number = wanted AND g.sha256 = digest AND g.state = 'pending';
  RETURN FOUND;
END $$;

REVOKE EXECUTE ON FUNCTION
  holdfast.append_proxy(
    uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[], bigint[]),
  holdfast.keep_rule_file(text, bytea, bigint),
  holdfast.rules_standing(uuid, text),
  holdfast.note_rule_source(uuid, text),
  holdfast.rules_in_force(),
  holdfast.generation_files(bigint),
  holdfast.active_generation(),
  holdfast.list_generations(bigint, bigint, integer),
  holdfast.recover_generation(bigint, text, text, text)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  holdfast.append_proxy(
    uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[], bigint[]),
  holdfast.keep_rule_file(text, bytea, bigint),
  holdfast.rules_standing(uuid, text),
  holdfast.note_rule_source(uuid, text),
  holdfast.rules_in_force()
  TO holdfast_proxy;
GRANT EXECUTE ON FUNCTION holdfast.generation_files(bigint) TO holdfast_proxy, holdfast_audit;
GRANT EXECUTE ON FUNCTION
  holdfast.active_generation(),
  holdfast.list_generations(bigint, bigint, integer)
  TO holdfast_audit;
