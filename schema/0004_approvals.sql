-- Approvals: where each stands, its history, and the steps that change it.
--
-- A step is taken by appending the record that tells of it: approval_steps names it beside the
-- entry, and the entry's `approval` member says the rest. Record and change are one statement, so
-- neither is ever there without the other; a step that the approval's state does not permit refuses
-- its own entry and nobody else's. Deadlines are judged by clock_timestamp() once the lock that puts
-- all steps in one order is held.

SET LOCAL ROLE holdfast_owner;

CREATE TABLE holdfast.approvals (
  code uuid PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY,  -- In the order of filing.
  binding bytea NOT NULL CHECK (octet_length(binding) = 32),
  state text NOT NULL CHECK (state IN ('PENDING', 'APPROVED', 'REJECTED', 'CANCELLED', 'EXPIRED',
    'INVALIDATED', 'CLAIMED', 'REVOKED', 'EXECUTED', 'UNKNOWN', 'FAILED')),
  step integer NOT NULL,           -- How many steps it has taken; filing is the first.
  filed_at timestamptz NOT NULL,
  decide_by timestamptz NOT NULL,
  use_within interval NOT NULL,
  use_by timestamptz,              -- Once it is approved.
  operation_id uuid,               -- Of the call that claimed it last,
  claim_record uuid,               -- and that call's intent.
  filing jsonb NOT NULL            -- The record's member: what is bound, who asks, the stages.
);
CREATE INDEX approvals_binding ON holdfast.approvals (binding, number);
CREATE INDEX approvals_number ON holdfast.approvals (number);
CREATE INDEX approvals_open ON holdfast.approvals (number) WHERE state IN ('PENDING', 'APPROVED');
CREATE INDEX approvals_claimed ON holdfast.approvals (operation_id)
  WHERE state IN ('CLAIMED', 'UNKNOWN');

CREATE TABLE holdfast.approval_history (
  code uuid NOT NULL REFERENCES holdfast.approvals,
  step integer NOT NULL,
  name text NOT NULL,       -- file, approve, claim, …
  state text NOT NULL,      -- After the step.
  at timestamptz NOT NULL,
  record uuid NOT NULL,     -- The id of the record that tells of it.
  content jsonb NOT NULL,   -- That record's `approval` member.
  PRIMARY KEY (code, step)
);

CREATE TRIGGER approval_history_refuse_change
  BEFORE UPDATE OR DELETE OR TRUNCATE ON holdfast.approval_history
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER approvals_refuse_removal BEFORE DELETE OR TRUNCATE ON holdfast.approvals
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
ALTER TABLE holdfast.approval_history ENABLE ALWAYS TRIGGER approval_history_refuse_change;
ALTER TABLE holdfast.approvals ENABLE ALWAYS TRIGGER approvals_refuse_removal;

-- The state as of `now`: what has run out is over before anybody has recorded that it is.
CREATE FUNCTION holdfast.approval_state(approval holdfast.approvals, now timestamptz) RETURNS text
  LANGUAGE sql IMMUTABLE
RETURN CASE
  WHEN approval.state = 'PENDING' AND approval.decide_by <= now THEN 'EXPIRED'
  WHEN approval.state = 'APPROVED' AND approval.use_by <= now THEN 'EXPIRED'
  ELSE approval.state END;

-- Whether the approval answers a call of its binding, so that no other may be filed.
CREATE FUNCTION holdfast.approval_answers(approval holdfast.approvals, now timestamptz)
  RETURNS boolean
  LANGUAGE sql IMMUTABLE
RETURN CASE holdfast.approval_state(approval, now)
  WHEN 'REJECTED' THEN approval.decide_by > now
  ELSE holdfast.approval_state(approval, now)
    IN ('PENDING', 'APPROVED', 'CLAIMED', 'EXECUTED', 'UNKNOWN') END;

-- What a call's result makes of the approval it claimed. Graph did not look at what it answered 401
-- or 429, so the approval is as good as before; so it is when nothing was sent.
CREATE FUNCTION holdfast.approval_state_after(outcome jsonb) RETURNS text
  LANGUAGE sql IMMUTABLE
RETURN CASE outcome ->> 'result'
  WHEN 'executed' THEN 'EXECUTED'
  WHEN 'not_sent' THEN 'APPROVED'
  WHEN 'refused' THEN
    CASE WHEN outcome ->> 'status' IN ('401', '429') THEN 'APPROVED' ELSE 'FAILED' END
  ELSE 'UNKNOWN' END;

-- Writes one step down, in the approval's row and in its history.
CREATE FUNCTION holdfast.note_approval_step(
  approval uuid, step_name text, new_state text, at timestamptz, record uuid, content jsonb)
  RETURNS void
  LANGUAGE sql
AS $$
  WITH taken AS (
    UPDATE holdfast.approvals a SET state = new_state, step = a.step + 1
      WHERE a.code = approval RETURNING a.step)
    INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
      SELECT approval, taken.step, step_name, new_state, at, record, content FROM taken;
$$;

CREATE FUNCTION holdfast.file_approval(document jsonb, now timestamptz) RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  content CONSTANT jsonb := document -> 'approval';
  bound CONSTANT bytea := decode(content ->> 'binding', 'hex');
  newest holdfast.approvals;
BEGIN
  SELECT a.* INTO newest FROM holdfast.approvals a
    WHERE a.binding = bound ORDER BY a.number DESC LIMIT 1;
  IF FOUND AND holdfast.approval_answers(newest, now) THEN
    -- The rules ask for more than they did when it was filed.
    IF newest.state NOT IN ('PENDING', 'APPROVED')
       OR newest.code IS DISTINCT FROM (content ->> 'replaces')::uuid THEN
      RETURN 'approval';
    END IF;
    PERFORM holdfast.note_approval_step(newest.code, 'invalidate', 'INVALIDATED', now,
      (document ->> 'id')::uuid, jsonb_build_object('replaced_by', content ->> 'code'));
  END IF;
  INSERT INTO holdfast.approvals
      (code, binding, state, step, filed_at, decide_by, use_within, filing)
    VALUES ((content ->> 'code')::uuid, bound, 'PENDING', 1, now,
      now + make_interval(secs => (content ->> 'decide_within_s')::bigint),
      make_interval(secs => (content ->> 'use_within_s')::bigint),
      content || jsonb_build_object(
        'request', document -> 'request', 'operation', document -> 'operation',
        'actor', document -> 'actor', 'rules', document #> '{decision,rules}'));
  INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
    VALUES ((content ->> 'code')::uuid, 1, 'file', 'PENDING', now, (document ->> 'id')::uuid,
      content);
  RETURN NULL;
END $$;

-- Whether the people who approved, this one among them, are all that the stages ask for.
CREATE FUNCTION holdfast.approval_is_complete(approval holdfast.approvals, content jsonb)
  RETURNS boolean
  LANGUAGE sql STABLE
RETURN NOT EXISTS (
  SELECT FROM jsonb_array_elements(approval.filing -> 'stages') WITH ORDINALITY AS s (stage, number)
    WHERE (s.stage ->> 'count')::bigint > (s.number - 1 = (content ->> 'stage')::bigint)::integer + (
      SELECT count(*) FROM holdfast.approval_history h
        WHERE h.code = approval.code AND h.name = 'approve'
          AND (h.content ->> 'stage')::bigint = s.number - 1));

-- An approver's step. Who may take it has been judged by who wrote the record, on the state that
-- the record's `step` follows; what must never happen is checked here once more.
CREATE FUNCTION holdfast.approve_approval(
  approval holdfast.approvals, document jsonb, now timestamptz)
  RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  content CONSTANT jsonb := document -> 'approval';
  approver CONSTANT text := content #>> '{by,person}';
  complete CONSTANT boolean := holdfast.approval_is_complete(approval, content);
BEGIN
  IF approval.state <> 'PENDING' OR approval.decide_by <= now OR approver IS NULL
     OR approver = approval.filing ->> 'requester'
     OR EXISTS (SELECT FROM holdfast.approval_history h WHERE h.code = approval.code
                AND h.name = 'approve' AND h.content #>> '{by,person}' = approver)
     OR content ->> 'state' IS DISTINCT FROM
       (CASE WHEN complete THEN 'APPROVED' ELSE 'PENDING' END) THEN
    RETURN 'approval';
  END IF;
  IF complete THEN
    UPDATE holdfast.approvals a SET use_by = now + a.use_within WHERE a.code = approval.code;
  END IF;
  PERFORM holdfast.note_approval_step(approval.code, 'approve', content ->> 'state', now,
    (document ->> 'id')::uuid, content);
  RETURN NULL;
END $$;

-- Takes one step of a call or an officer on an approval that exists. NULL: taken; else refused.
CREATE FUNCTION holdfast.change_approval(step_name text, document jsonb, now timestamptz)
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
    WHEN step_name = 'claim' AND approval.state = 'APPROVED' AND live
      AND approval.binding = decode(content ->> 'binding', 'hex') THEN 'CLAIMED'
    WHEN step_name = 'invalidate' AND approval.state IN ('PENDING', 'APPROVED') AND live
      THEN 'INVALIDATED'
    WHEN step_name = 'cancel' AND approval.state = 'PENDING' AND live THEN 'CANCELLED'
    WHEN step_name = 'reject' AND approval.state = 'PENDING' AND live THEN 'REJECTED'
    WHEN step_name = 'revoke' AND approval.state = 'APPROVED' AND live THEN 'REVOKED'
    WHEN step_name = 'expire' AND NOT live THEN 'EXPIRED' END;
  IF next_state IS NULL OR content ->> 'state' IS DISTINCT FROM next_state THEN
    RETURN 'approval';
  END IF;
  IF step_name = 'claim' THEN
    UPDATE holdfast.approvals a
      SET operation_id = (document ->> 'operation_id')::uuid,
          claim_record = (document ->> 'id')::uuid
      WHERE a.code = approval.code;
  END IF;
  PERFORM holdfast.note_approval_step(approval.code, step_name, next_state, now,
    (document ->> 'id')::uuid, content);
  RETURN NULL;
END $$;

-- What a call's terminal record, or later evidence, makes of the approval that it claimed. Never a
-- reason to refuse the record.
CREATE FUNCTION holdfast.end_claim(kind text, document jsonb, now timestamptz) RETURNS void
  LANGUAGE plpgsql
AS $$
DECLARE
  claimed uuid;
  next_state text;
BEGIN
  IF kind = 'outcome' THEN
    next_state := holdfast.approval_state_after(document -> 'outcome');
  ELSE
    next_state := CASE document #>> '{outcome,result}'
      WHEN 'executed' THEN 'EXECUTED' WHEN 'not_executed' THEN 'FAILED' END;
  END IF;
  SELECT a.code INTO claimed FROM holdfast.approvals a
    WHERE a.operation_id = (document ->> 'operation_id')::uuid
      AND a.state = CASE kind WHEN 'outcome' THEN 'CLAIMED' ELSE 'UNKNOWN' END;
  IF FOUND AND next_state IS NOT NULL THEN
    PERFORM holdfast.note_approval_step(claimed, CASE kind WHEN 'outcome' THEN 'end'
      ELSE 'reconcile' END, next_state, now, (document ->> 'id')::uuid,
      jsonb_build_object('outcome', document -> 'outcome'));
  END IF;
END $$;

-- Takes the steps of a batch, in its order, and returns the refusals so far with those of the
-- entries whose approval is not in the state they need. One batch with steps at a time: they are
-- rare, and whoever filed, approved or claimed first is then never in question.
CREATE FUNCTION holdfast.take_approval_steps(
  entries bytea[], kinds text[], approval_steps text[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  needed_kind CONSTANT jsonb := '{"file": "decision", "invalidate": "decision",
    "cancel": "decision", "claim": "intent", "end": "outcome", "approve": "approval",
    "reject": "approval", "revoke": "approval", "expire": "approval"}';
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
    IF kinds[i] IN ('outcome', 'reconciliation') THEN
      PERFORM holdfast.end_claim(kinds[i], document, now);
    ELSIF step_name = 'file' THEN
      refusal := holdfast.file_approval(document, now);
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

-- A time as records write it.
CREATE FUNCTION holdfast.record_time(at timestamptz) RETURNS text
  LANGUAGE sql STABLE
RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- All there is to say of an approval, with its steps, oldest first.
CREATE FUNCTION holdfast.approval_document(approval holdfast.approvals, now timestamptz)
  RETURNS jsonb
  LANGUAGE sql STABLE
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
    SELECT coalesce(jsonb_agg(jsonb_build_object('step', h.step, 'name', h.name, 'state', h.state,
             'at', holdfast.record_time(h.at), 'record', h.record, 'content', h.content)
             ORDER BY h.step), '[]')
      FROM holdfast.approval_history h WHERE h.code = approval.code));

-- The approval with that code; without one, the newest of that binding.
CREATE FUNCTION holdfast.find_approval(wanted uuid, bound bytea) RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT holdfast.approval_document(a, clock_timestamp()) FROM holdfast.approvals a
    WHERE a.code = wanted
  UNION ALL
  (SELECT holdfast.approval_document(a, clock_timestamp()) FROM holdfast.approvals a
    WHERE wanted IS NULL AND a.binding = bound ORDER BY a.number DESC LIMIT 1)
$$;

-- Approvals newest first, with numbers below `before`; states NULL: in any state.
CREATE FUNCTION holdfast.list_approvals(states text[], before bigint, at_most integer)
  RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT holdfast.approval_document(a, clock_timestamp()) FROM holdfast.approvals a
    WHERE (before IS NULL OR a.number < before)
      AND (states IS NULL OR holdfast.approval_state(a, clock_timestamp()) = ANY (states))
    ORDER BY a.number DESC LIMIT at_most
$$;

-- Approvals that have run out and whose record does not say so yet, oldest first.
CREATE FUNCTION holdfast.expired_approvals(at_most integer) RETURNS TABLE (code uuid)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT a.code FROM holdfast.approvals a
    WHERE a.state IN ('PENDING', 'APPROVED')
      AND holdfast.approval_state(a, clock_timestamp()) = 'EXPIRED'
    ORDER BY a.number LIMIT at_most
$$;

REVOKE EXECUTE ON FUNCTION
  holdfast.find_approval(uuid, bytea),
  holdfast.list_approvals(text[], bigint, integer),
  holdfast.expired_approvals(integer)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  holdfast.find_approval(uuid, bytea)
  TO holdfast_proxy;
GRANT EXECUTE ON FUNCTION
  holdfast.find_approval(uuid, bytea),
  holdfast.list_approvals(text[], bigint, integer),
  holdfast.expired_approvals(integer)
  TO holdfast_audit;
GRANT SELECT ON holdfast.approvals, holdfast.approval_history TO holdfast_audit;
