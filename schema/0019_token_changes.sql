-- Whatever an officer changes with an API token needs that token until the change is in the log: steps
-- of approvals and reviews, decisions on rules, legal holds, and tokens themselves.

SET LOCAL ROLE holdfast_owner;

-- The refusals of a batch's changes whose token is over, NULL when there are none: by what the
-- database has, which nobody changes meanwhile (append_audit), or by an entry before it in its batch.
CREATE FUNCTION holdfast.refused_tokens(entries bytea[], kinds text[]) RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  document jsonb;
  token uuid;
  ended uuid[] := '{}';
  refusals text[];
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    CONTINUE WHEN kinds[i] NOT IN ('approval', 'rules', 'system');
    document := convert_from(entries[i], 'UTF8')::jsonb;
    token := document #>> '{actor,token_id}';
    IF token IS NOT NULL AND (token = ANY (ended) OR NOT EXISTS (
         SELECT FROM holdfast.tokens t
           WHERE t.id = token AND holdfast.token_state(t, clock_timestamp()) = 'active')) THEN
      refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
      refusals[i] := 'token';
    ELSIF document #>> '{system,event}' = 'token_revoked' THEN
      ended := ended || (document #>> '{system,token,id}')::uuid;
    END IF;
  END LOOP;
  RETURN refusals;
END $$;

-- As in 0011_generations.sql, with the refusals so far.
DROP FUNCTION holdfast.take_generation_changes(uuid, text, bytea[], text[]);
CREATE FUNCTION holdfast.take_generation_changes(
  writer uuid, role_name text, entries bytea[], kinds text[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  change jsonb;
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    CONTINUE WHEN kinds[i] <> 'rules' OR refusals[i] IS NOT NULL;
    change := convert_from(entries[i], 'UTF8')::jsonb -> 'rules';
    IF change ? 'event' AND NOT holdfast.change_generation(writer, role_name, change) THEN
      refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
      refusals[i] := 'generation';
    END IF;
  END LOOP;
  RETURN refusals;
END $$;

-- As in 0015_approval_steps.sql; tokens have been looked at before.
CREATE OR REPLACE FUNCTION holdfast.take_approval_steps(
  entries bytea[], kinds text[], approval_steps text[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  needed_kind CONSTANT jsonb := '{"file": "decision", "invalidate": "decision",
    "cancel": "decision", "claim": "intent", "end": "outcome", "approve": "approval",
    "reject": "approval", "revoke": "approval", "expire": "approval",
    "break_glass": "intent", "review": "approval"}';
  document jsonb;
  step_name text;
  refusal text;
  now timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.approvals', 0));
  FOR i IN 1 .. cardinality(kinds) LOOP
    step_name := approval_steps[i];
    IF step_name IS NOT NULL AND needed_kind ->> step_name IS DISTINCT FROM kinds[i] THEN
      RAISE EXCEPTION 'the step % does not go with the kind %', step_name, kinds[i]
        USING ERRCODE = 'HF002';
    END IF;
  END LOOP;
  refusals := holdfast.take_claims(entries, kinds, approval_steps, refusals);
  FOR i IN 1 .. cardinality(kinds) LOOP
    step_name := approval_steps[i];
    IF refusals[i] IS NOT NULL OR step_name IN ('claim', 'end')
       OR (step_name IS NULL AND kinds[i] <> 'reconciliation') THEN
      CONTINUE;
    END IF;
    document := convert_from(entries[i], 'UTF8')::jsonb;
    now := clock_timestamp();
    refusal := NULL;
    IF kinds[i] = 'reconciliation' THEN
      PERFORM holdfast.end_claim(kinds[i], document, now);
    ELSIF step_name = 'file' THEN
      refusal := holdfast.file_approval(document, now);
    ELSIF step_name = 'break_glass' THEN
      refusal := holdfast.open_review(document, now);
    ELSIF step_name = 'review' THEN
      refusal := holdfast.close_review(document, now);
    ELSE
      refusal := holdfast.change_approval(step_name, document, now);
    END IF;
    IF refusal IS NOT NULL THEN
      refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
      refusals[i] := refusal;
    END IF;
  END LOOP;
  RETURN refusals;
END $$;
DROP FUNCTION holdfast.taken_without_token(jsonb, bytea[], text[]);

-- As in 0016_erasure.sql, where the comment on it is, with the refusals of tokens:
--   changes    token (that of who makes them is over)
CREATE OR REPLACE FUNCTION holdfast.append_entries(
  permitted text[], writer uuid, writer_epoch bigint,
  entries bytea[], leaf_hashes bytea[], kinds text[], operation_ids uuid[],
  approval_steps text[], limited boolean[], generations bigint[], sealed jsonb)
  RETURNS holdfast.appended
  LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  role_name CONSTANT text := holdfast.session_role();
  size CONSTANT integer := coalesce(cardinality(entries), 0);
  lease timestamptz;
  room bigint;
  clear bytea[];    -- With the personal values that are sealed.
  subjects uuid[];  -- Whose they are.
  documents holdfast.sealed_documents[];
  done holdfast.appended;
BEGIN
  IF size NOT BETWEEN 1 AND 512 OR (size = ALL (ARRAY[cardinality(leaf_hashes),
       cardinality(kinds), cardinality(operation_ids),
       coalesce(cardinality(approval_steps), size),
       coalesce(cardinality(limited), size),
       coalesce(cardinality(generations), size)])) IS NOT TRUE THEN
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

  IF sealed IS NOT NULL THEN
    -- Nobody is erased until the batch has committed.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('holdfast.subjects', 0));
    subjects := holdfast.subjects_of(sealed);
    approval_steps := CASE WHEN array_remove(approval_steps, NULL) <> '{}' THEN approval_steps END;
    limited := CASE WHEN true = ANY (limited) THEN limited END;
    IF approval_steps IS NOT NULL OR limited IS NOT NULL OR 'reconciliation' = ANY (kinds) THEN
      clear := holdfast.clear_entries(entries, sealed);
    END IF;
  END IF;

  IF role_name = 'audit' THEN
    done.refusals := holdfast.refused_tokens(entries, kinds);
  END IF;
  IF 'rules' = ANY (kinds) THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.generations', 0));
    done.refusals := holdfast.take_generation_changes(
      append_entries.writer, role_name, entries, kinds, done.refusals);
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
    done.refusals := holdfast.take_limits(coalesce(clear, entries), kinds, operation_ids, limited,
                                          done.refusals);
  END IF;
  IF approval_steps IS NOT NULL OR 'reconciliation' = ANY (kinds) THEN
    done.refusals := holdfast.take_approval_steps(coalesce(clear, entries), kinds, approval_steps,
                                                  done.refusals);
  END IF;
  IF sealed IS NOT NULL THEN
    documents := holdfast.seal_documents(entries, sealed, subjects, done.refusals);
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
  IF documents IS NOT NULL THEN
    INSERT INTO holdfast.sealed_documents (index, place, subject, ciphertext)
      SELECT done.first + d.index, d.place, d.subject, d.ciphertext FROM unnest(documents) d;
  END IF;
  RETURN done;
END $$;

-- As in 0016_erasure.sql, with more that needs its token.
CREATE OR REPLACE FUNCTION holdfast.append_audit(
  writer uuid, writer_epoch bigint, entries bytea[], leaf_hashes bytea[], kinds text[],
  operation_ids uuid[], approval_steps text[] DEFAULT NULL, sealed jsonb DEFAULT NULL)
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
  -- Nothing that was changed with a token follows the record that ended it.
  IF 'system' = ANY (kinds) THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.tokens', 0));
  ELSIF kinds && '{approval,rules}' THEN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('holdfast.tokens', 0));
  END IF;
  done := holdfast.append_entries(
    '{outcome,reconciliation,approval,access,rules,system}', writer, writer_epoch, entries,
    leaf_hashes, kinds, operation_ids, approval_steps, NULL, NULL, sealed);
  IF 'system' = ANY (kinds) THEN
    PERFORM holdfast.take_token_changes(entries, kinds, done.refusals);
    PERFORM holdfast.take_hold_changes(done.first, entries, kinds, done.refusals);
  END IF;
  RETURN done;
END $$;
