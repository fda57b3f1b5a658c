-- Steps of approvals once more.
--
-- An officer's step needs the API token that it was asked for with until it is in the log. A
-- request can take its time between the two, and a token that is revoked meanwhile opens nothing.
--
-- What every approved call needs is planned once for a connection, and done once for a batch: a
-- function in SQL that is not inlined is planned anew by each statement that calls it, which took
-- longer than all the rest.

SET LOCAL ROLE holdfast_owner;

-- Whether the token of a step is over: by what the database has, which nobody changes meanwhile (see
-- append_audit), or by an entry before it in its batch.
CREATE FUNCTION holdfast.taken_without_token(document jsonb, before bytea[], kinds_before text[])
  RETURNS boolean
  LANGUAGE plpgsql
AS $$
DECLARE
  token CONSTANT uuid := (document #>> '{actor,token_id}')::uuid;
BEGIN
  RETURN token IS NOT NULL AND (
    NOT EXISTS (SELECT FROM holdfast.tokens t
                  WHERE t.id = token AND holdfast.token_state(t, clock_timestamp()) = 'active')
    OR EXISTS (SELECT FROM unnest(before, kinds_before) AS g (entry, kind)
                 WHERE g.kind = 'system' AND convert_from(g.entry, 'UTF8')::jsonb -> 'system'
                   @> jsonb_build_object('event', 'token_revoked',
                                         'token', jsonb_build_object('id', token))));
END $$;

-- The calls of a batch that claim an approval, and the outcomes of those that have; returns the
-- refusals so far with those of the claims whose approval is not in the state they need. An outcome
-- is never refused for what its claim is. Of two claims of one approval one wins; an approval that a
-- record of the same batch gives back is claimed by none.
CREATE FUNCTION holdfast.take_claims(
  entries bytea[], kinds text[], approval_steps text[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  now CONSTANT timestamptz := clock_timestamp();
  refused integer;
BEGIN
  FOR refused IN
    WITH steps AS MATERIALIZED (
      SELECT g.ordinal, g.kind, (d.document ->> 'id')::uuid AS record,
             (d.document ->> 'operation_id')::uuid AS operation,
             d.document -> 'approval' AS content, d.document -> 'outcome' AS outcome
        FROM unnest(entries, kinds, approval_steps, refusals)
               WITH ORDINALITY AS g (entry, kind, step, refusal, ordinal),
             LATERAL (SELECT convert_from(g.entry, 'UTF8')::jsonb AS document OFFSET 0) d
        WHERE g.refusal IS NULL AND g.step IN ('claim', 'end')),
    claimed AS (
      UPDATE holdfast.approvals a
        SET state = 'CLAIMED', step = a.step + 1, operation_id = c.operation,
            claim_record = c.record
        FROM steps c
        WHERE c.kind = 'intent'
          AND a.code = (c.content ->> 'code')::uuid
          AND a.state = 'APPROVED' AND a.use_by > now
          AND a.binding = decode(c.content ->> 'binding', 'hex')
          AND c.content ->> 'state' = 'CLAIMED'
        RETURNING c.ordinal, a.code, a.step, 'claim' AS name, a.state, c.record, c.content),
    ended AS (
      UPDATE holdfast.approvals a
        SET state = holdfast.approval_state_after(e.outcome), step = a.step + 1
        FROM steps e
        WHERE e.kind = 'outcome' AND a.operation_id = e.operation AND a.state = 'CLAIMED'
        RETURNING e.ordinal, a.code, a.step, 'end' AS name, a.state, e.record,
          jsonb_build_object('outcome', e.outcome) AS content),
    noted AS (
      INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
        SELECT t.code, t.step, t.name, t.state, now, t.record, t.content
          FROM (SELECT * FROM claimed UNION ALL SELECT * FROM ended) t)
    SELECT s.ordinal FROM steps s
      WHERE s.kind = 'intent' AND s.ordinal NOT IN (SELECT c.ordinal FROM claimed c)
  LOOP
    refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
    refusals[refused] := 'approval';
  END LOOP;
  RETURN refusals;
END $$;

-- As in 0009_reviews.sql, with both.
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
    IF kinds[i] = 'approval'
       AND holdfast.taken_without_token(document, entries[1:i - 1], kinds[1:i - 1]) THEN
      refusal := 'token';
    ELSIF kinds[i] = 'reconciliation' THEN
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

-- As in 0004_approvals.sql, without claims.
CREATE OR REPLACE FUNCTION holdfast.change_approval(
  step_name text, document jsonb, now timestamptz)
  RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  content CONSTANT jsonb := document -> 'approval';
  approval holdfast.approvals;
  live boolean;
  next_state text;
BEGIN
  SELECT a.* INTO approval FROM holdfast.approvals a WHERE a.code = (content ->> 'code')::uuid;
  IF NOT FOUND OR (content ? 'step' AND (content ->> 'step')::integer <> approval.step + 1) THEN
    RETURN 'approval';
  END IF;
  IF step_name = 'approve' THEN
    RETURN holdfast.approve_approval(approval, document, now);
  END IF;
  live := holdfast.approval_state(approval, now) = approval.state;
  next_state := CASE
    WHEN step_name = 'invalidate' AND approval.state IN ('PENDING', 'APPROVED') AND live
      THEN 'INVALIDATED'
    WHEN step_name = 'cancel' AND approval.state = 'PENDING' AND live THEN 'CANCELLED'
    WHEN step_name = 'reject' AND approval.state = 'PENDING' AND live THEN 'REJECTED'
    WHEN step_name = 'revoke' AND approval.state = 'APPROVED' AND live THEN 'REVOKED'
    WHEN step_name = 'expire' AND NOT live THEN 'EXPIRED' END;
  IF next_state IS NULL OR content ->> 'state' IS DISTINCT FROM next_state THEN
    RETURN 'approval';
  END IF;
  PERFORM holdfast.note_approval_step(approval.code, step_name, next_state, now,
    (document ->> 'id')::uuid, content);
  RETURN NULL;
END $$;

-- As in 0004_approvals.sql, and so are the two that follow, with plans that are kept.
CREATE OR REPLACE FUNCTION holdfast.note_approval_step(
  approval uuid, step_name text, new_state text, at timestamptz, record uuid, content jsonb)
  RETURNS void
  LANGUAGE plpgsql
AS $$
DECLARE
  taken integer;
BEGIN
  UPDATE holdfast.approvals a SET state = new_state, step = a.step + 1
    WHERE a.code = approval RETURNING a.step INTO taken;
  INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
    VALUES (approval, taken, step_name, new_state, note_approval_step.at,
            note_approval_step.record, note_approval_step.content);
END $$;

CREATE OR REPLACE FUNCTION holdfast.approval_document(approval holdfast.approvals, now timestamptz)
  RETURNS jsonb
  LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RETURN jsonb_build_object(
    'number', approval.number, 'code', approval.code,
    'binding', encode(approval.binding, 'hex'),
    'state', holdfast.approval_state(approval, now),
    'answers', holdfast.approval_answers(approval, now), 'step', approval.step,
    'filed_at', holdfast.record_time(approval.filed_at),
    'decide_by', holdfast.record_time(approval.decide_by),
    'use_by', holdfast.record_time(approval.use_by),
    'claim_record', approval.claim_record, 'filing', approval.filing,
    'history', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('step', h.step, 'name', h.name,
               'state', h.state, 'at', holdfast.record_time(h.at), 'record', h.record,
               'content', h.content) ORDER BY h.step), '[]')
        FROM holdfast.approval_history h WHERE h.code = approval.code));
END $$;

CREATE OR REPLACE FUNCTION holdfast.find_approval(wanted uuid, bound bytea) RETURNS SETOF jsonb
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found_one holdfast.approvals;
BEGIN
  IF wanted IS NULL THEN
    SELECT a.* INTO found_one FROM holdfast.approvals a
      WHERE a.binding = bound ORDER BY a.number DESC LIMIT 1;
  ELSE
    SELECT a.* INTO found_one FROM holdfast.approvals a WHERE a.code = wanted;
  END IF;
  IF FOUND THEN
    RETURN NEXT holdfast.approval_document(found_one, clock_timestamp());
  END IF;
END $$;
