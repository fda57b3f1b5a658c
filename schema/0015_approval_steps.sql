-- Steps of approvals once more.
--
-- An officer's step needs the API token that it was asked for with until it is in the log. A
-- request can take its time between the two, and a token that is revoked meanwhile opens nothing.
--
-- What every approved call needs is planned once for a connection: a function in SQL that is not
-- inlined is planned anew by each statement that calls it, which took longer than all the rest.

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

-- As in 0009_reviews.sql, with that.
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
    IF refusals[i] IS NOT NULL OR (step_name IS NULL AND kinds[i] <> 'reconciliation') THEN
      CONTINUE;
    END IF;
    IF step_name IS NOT NULL AND needed_kind ->> step_name IS DISTINCT FROM kinds[i] THEN
      RAISE EXCEPTION 'the step % does not go with the kind %', step_name, kinds[i]
        USING ERRCODE = 'HF002';
    END IF;
    document := convert_from(entries[i], 'UTF8')::jsonb;
    now := clock_timestamp();
    refusal := NULL;
    IF kinds[i] = 'approval'
       AND holdfast.taken_without_token(document, entries[1:i - 1], kinds[1:i - 1]) THEN
      refusal := 'token';
    ELSIF kinds[i] IN ('outcome', 'reconciliation') THEN
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
