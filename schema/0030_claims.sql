-- What an approved call costs.
--
-- Proxies are told what people have approved before the calls come that it was given to. A claim and its
-- end are one change each of the approval's row, which has them until another step follows: their times
-- and records stand in columns that no index is about, and history gets them when the row needs the
-- columns for other steps.

SET LOCAL ROLE holdfast_owner;

ALTER TABLE holdfast.approvals
  ADD COLUMN open boolean NOT NULL DEFAULT true,  -- PENDING or APPROVED.
  ADD COLUMN unsettled uuid,          -- The call that claimed it, where its outcome is UNKNOWN.
  ADD COLUMN claimed_at timestamptz,  -- The last steps, where they are a claim (its record is
  ADD COLUMN ended_at timestamptz,    -- claim_record) and its end.
  ADD COLUMN end_record uuid,
  ADD COLUMN outcome jsonb,
  -- PostgreSQL reads the text of a constraint again for every statement, and of this one for long. What
  -- writes the state are the functions here; `holdfast verify` knows the steps that there are.
  DROP CONSTRAINT approvals_state_check;
-- A row is changed in place of its index entries only where it finds room and no index is about what
-- changes.
ALTER TABLE holdfast.approvals SET (fillfactor = 70);
DROP INDEX holdfast.approvals_open;
DROP INDEX holdfast.approvals_claimed;
CREATE INDEX approvals_open ON holdfast.approvals (number) WHERE open;
CREATE INDEX approvals_unsettled ON holdfast.approvals (unsettled) WHERE unsettled IS NOT NULL;
UPDATE holdfast.approvals SET open = false WHERE state NOT IN ('PENDING', 'APPROVED');
UPDATE holdfast.approvals SET unsettled = operation_id WHERE state = 'UNKNOWN';

-- The steps that the row itself has, as history would have them. An end alone, where the claim is from
-- before there were these columns.
CREATE FUNCTION holdfast.claim_steps(approval holdfast.approvals)
  RETURNS TABLE (step integer, name text, state text, at timestamptz, record uuid, content jsonb)
  LANGUAGE sql STABLE
AS $$
  SELECT approval.step - (approval.ended_at IS NOT NULL)::integer, 'claim', 'CLAIMED',
         approval.claimed_at, approval.claim_record,
         jsonb_build_object('binding', encode(approval.binding, 'hex'), 'code', approval.code,
                            'state', 'CLAIMED')
    WHERE approval.claimed_at IS NOT NULL
  UNION ALL
  SELECT approval.step, 'end', approval.state, approval.ended_at, approval.end_record,
         jsonb_build_object('outcome', approval.outcome)
    WHERE approval.ended_at IS NOT NULL
$$;

-- Gives history what the row has, before another step.
CREATE FUNCTION holdfast.keep_claim(claimed uuid) RETURNS void
  LANGUAGE plpgsql
AS $$
BEGIN
  INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
    SELECT a.code, s.step, s.name, s.state, s.at, s.record, s.content
      FROM holdfast.approvals a, LATERAL holdfast.claim_steps(a) s
      WHERE a.code = claimed ORDER BY s.step;
  IF FOUND THEN
    UPDATE holdfast.approvals a
      SET claimed_at = NULL, ended_at = NULL, end_record = NULL, outcome = NULL
      WHERE a.code = claimed;
  END IF;
END $$;

-- As in 0015_approval_steps.sql, and so is take_claims, with what the row has.
CREATE OR REPLACE FUNCTION holdfast.note_approval_step(
  approval uuid, step_name text, new_state text, at timestamptz, record uuid, content jsonb)
  RETURNS void
  LANGUAGE plpgsql
AS $$
DECLARE
  taken integer;
BEGIN
  PERFORM holdfast.keep_claim(approval);
  UPDATE holdfast.approvals a
    SET state = new_state, step = a.step + 1, open = new_state IN ('PENDING', 'APPROVED'),
        unsettled = NULL
    WHERE a.code = approval RETURNING a.step INTO taken;
  INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
    VALUES (approval, taken, step_name, new_state, note_approval_step.at,
            note_approval_step.record, note_approval_step.content);
END $$;

-- What the entry of a call that has claimed an approval says of that: id, operation_id, approval, and of
-- an outcome what came of it. Only that much of it is parsed: what is before these members in an entry
-- has none of their names, and raw bytes that spell a name and its quotes are one. (Of what somebody else
-- wrote as a proxy, `verify` says that it does not tell of the step.) An entry whose sealed values have
-- been put back is spelt otherwise, and is parsed whole.
CREATE FUNCTION holdfast.claim_members(entry bytea, kind text) RETURNS jsonb
  LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  approval CONSTANT integer := position('"approval":{'::bytea IN entry);
  approval_length CONSTANT integer :=
    position('}'::bytea IN substring(entry FROM approval FOR 1000));  -- It holds no object.
  kind_at CONSTANT integer := position(convert_to('","kind":"' || kind || '",', 'UTF8') IN entry);
  operation CONSTANT integer := position('"operation_id":"'::bytea IN entry);
  outcome CONSTANT integer := position(',"outcome":{'::bytea IN entry);
  request CONSTANT integer := position(',"request":{'::bytea IN entry);  -- Follows the outcome.
  members bytea;
BEGIN
  IF 0 IN (approval, approval_length, kind_at, operation)
     OR (kind = 'outcome' AND (outcome = 0 OR request < outcome)) THEN
    RETURN convert_from(entry, 'UTF8')::jsonb;
  END IF;
  members := '{"id":"'::bytea || substring(entry FROM kind_at - 36 FOR 36)
    || '","operation_id":"'::bytea || substring(entry FROM operation + 16 FOR 36) || '",'::bytea
    || substring(entry FROM approval FOR approval_length);
  IF kind = 'outcome' THEN
    members := members || substring(entry FROM outcome FOR request - outcome);
  END IF;
  RETURN convert_from(members || '}'::bytea, 'UTF8')::jsonb;
END $$;

-- One after the other. Statements about all claims of a batch are a little quicker from some claims on, and
-- half as slow again for the one that most batches have. An outcome is never refused for what its claim is.
-- Of two claims of one approval one wins; what an entry gives back, one behind it may claim.
CREATE OR REPLACE FUNCTION holdfast.take_claims(
  entries bytea[], kinds text[], approval_steps text[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  now CONSTANT timestamptz := clock_timestamp();
  document jsonb;
  claimed uuid;
  next_state text;
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    CONTINUE WHEN refusals[i] IS NOT NULL OR (approval_steps[i] IN ('claim', 'end')) IS NOT TRUE;
    document := holdfast.claim_members(entries[i], kinds[i]);
    claimed := document #>> '{approval,code}';
    IF approval_steps[i] = 'claim' THEN
      UPDATE holdfast.approvals a
        SET state = 'CLAIMED', step = a.step + 1, open = false, claimed_at = now,
            operation_id = (document ->> 'operation_id')::uuid,
            claim_record = (document ->> 'id')::uuid
        WHERE a.code = claimed AND a.state = 'APPROVED' AND a.use_by > now
          AND a.binding = decode(document #>> '{approval,binding}', 'hex')
          AND document #>> '{approval,state}' = 'CLAIMED';
      IF NOT FOUND THEN
        refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
        refusals[i] := 'approval';
      END IF;
    ELSE
      next_state := holdfast.approval_state_after(document -> 'outcome');
      UPDATE holdfast.approvals a
        SET state = next_state, step = a.step + 1, open = next_state = 'APPROVED',
            unsettled = CASE next_state WHEN 'UNKNOWN' THEN a.operation_id END,
            ended_at = now, end_record = (document ->> 'id')::uuid, outcome = document -> 'outcome'
        WHERE a.code = claimed AND a.state = 'CLAIMED'
          AND a.operation_id = (document ->> 'operation_id')::uuid;
      IF FOUND AND next_state = 'APPROVED' THEN
        PERFORM holdfast.keep_claim(claimed);
      END IF;
    END IF;
  END LOOP;
  RETURN refusals;
END $$;

-- As in 0004_approvals.sql, of evidence alone: outcomes end claims in take_claims.
CREATE OR REPLACE FUNCTION holdfast.end_claim(kind text, document jsonb, now timestamptz)
  RETURNS void
  LANGUAGE plpgsql
AS $$
DECLARE
  claimed uuid;
  next_state CONSTANT text := CASE document #>> '{outcome,result}'
    WHEN 'executed' THEN 'EXECUTED' WHEN 'not_executed' THEN 'FAILED' END;
BEGIN
  SELECT a.code INTO claimed FROM holdfast.approvals a
    WHERE a.unsettled = (document ->> 'operation_id')::uuid;
  IF FOUND AND next_state IS NOT NULL THEN
    PERFORM holdfast.note_approval_step(claimed, 'reconcile', next_state, now,
      (document ->> 'id')::uuid, jsonb_build_object('outcome', document -> 'outcome'));
  END IF;
END $$;

-- As in 0015_approval_steps.sql, with the steps that the row has.
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
        FROM (SELECT n.step, n.name, n.state, n.at, n.record, n.content
                FROM holdfast.approval_history n WHERE n.code = approval.code
              UNION ALL SELECT c.* FROM holdfast.claim_steps(approval) c) h));
END $$;

-- As in 0004_approvals.sql and 0010_webhooks.sql, by that index.
CREATE OR REPLACE FUNCTION holdfast.expired_approvals(at_most integer) RETURNS TABLE (code uuid)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT a.code FROM holdfast.approvals a
    WHERE a.open AND holdfast.approval_state(a, clock_timestamp()) = 'EXPIRED'
    ORDER BY a.number LIMIT at_most
$$;

CREATE OR REPLACE FUNCTION holdfast.expiring_approvals(before interval, now timestamptz)
  RETURNS SETOF holdfast.approvals
  LANGUAGE sql STABLE
AS $$
  SELECT a.* FROM holdfast.approvals a
    WHERE a.open AND holdfast.approval_state(a, now) = a.state
      AND CASE a.state
        WHEN 'PENDING' THEN a.decide_by - least(before, (a.decide_by - a.filed_at) / 2)
        ELSE a.use_by - least(before, a.use_within / 2) END <= now
      AND NOT EXISTS (SELECT FROM holdfast.approval_warnings w
                        WHERE w.code = a.code AND w.state = a.state)
$$;

-- Steps of approvals behind that position, in order, each with what a call needs to know to claim the
-- approval where the step made it approved and it still is (a code). `behind` NULL, or of a database that
-- has lost its newest steps: the newest position alone. At most 500.
CREATE FUNCTION holdfast.approved_calls(behind bigint, at_most integer)
  RETURNS TABLE (reached bigint, code uuid, binding bytea, approved_at_us bigint, stages jsonb,
                 use_within_s bigint, justification text, ticket text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off
  SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  newest bigint;
BEGIN
  SELECT coalesce(max(h.position), 0) INTO newest FROM holdfast.approval_history h;
  IF behind IS NULL OR behind > newest THEN
    reached := newest;
    RETURN NEXT;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT h.position, a.code, a.binding, (extract(epoch FROM h.at) * 1000000)::bigint,
           f.stages, extract(epoch FROM a.use_within)::bigint,
           f.request ->> 'justification', f.request ->> 'ticket'
      FROM (SELECT n.position, n.code, n.name, n.state, n.at FROM holdfast.approval_history n
              WHERE n.position > behind ORDER BY n.position LIMIT least(at_most, 500)) h
      LEFT JOIN holdfast.approvals a ON a.code = h.code AND a.state = 'APPROVED'
        AND a.use_by > clock_timestamp() AND h.name = 'approve' AND h.state = 'APPROVED'
      -- Once, because it may be compressed.
      LEFT JOIN LATERAL jsonb_to_record(a.filing) AS f (stages jsonb, request jsonb) ON true
      ORDER BY h.position;
END $$;

REVOKE EXECUTE ON FUNCTION holdfast.claim_steps(holdfast.approvals), holdfast.keep_claim(uuid),
  holdfast.claim_members(bytea, text), holdfast.approved_calls(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION holdfast.approved_calls(bigint, integer) TO holdfast_proxy;
