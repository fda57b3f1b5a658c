-- Reviews: what was done in an emergency past the approval that it needed, for an officer to look at
-- afterwards.
--
-- One is opened by the intent of the call, in the statement that appends it, and closed by the record
-- of the officer's finding in the same way; its `review` member says the rest. So no call goes past an
-- approval without its review. Steps are taken under the lock of all approval steps, and are told to
-- webhooks in one order with them.

SET LOCAL ROLE holdfast_owner;

-- The one order of all that webhooks tell (0010_webhooks.sql).
CREATE SEQUENCE holdfast.notice_positions;

CREATE TABLE holdfast.reviews (
  code uuid PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY,  -- In the order of opening.
  opened_at timestamptz NOT NULL,
  review_by timestamptz NOT NULL,
  closed_at timestamptz,                       -- NULL: nobody has looked yet.
  filing jsonb NOT NULL                        -- What was done, by whom and why.
);
CREATE INDEX reviews_number ON holdfast.reviews (number);
CREATE INDEX reviews_open ON holdfast.reviews (review_by) WHERE closed_at IS NULL;

CREATE TABLE holdfast.review_history (
  code uuid NOT NULL REFERENCES holdfast.reviews,
  name text NOT NULL CHECK (name IN ('open', 'overdue', 'close')),
  at timestamptz NOT NULL,
  record uuid,              -- The id of the record that tells of it; none of what time does.
  position bigint NOT NULL UNIQUE DEFAULT nextval('holdfast.notice_positions'),
  content jsonb NOT NULL,   -- That record's `review` member.
  PRIMARY KEY (code, name)
);

CREATE TRIGGER review_history_refuse_change
  BEFORE UPDATE OR DELETE OR TRUNCATE ON holdfast.review_history
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER reviews_refuse_removal BEFORE DELETE OR TRUNCATE ON holdfast.reviews
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
ALTER TABLE holdfast.review_history ENABLE ALWAYS TRIGGER review_history_refuse_change;
ALTER TABLE holdfast.reviews ENABLE ALWAYS TRIGGER reviews_refuse_removal;

CREATE FUNCTION holdfast.review_state(review holdfast.reviews, now timestamptz) RETURNS text
  LANGUAGE sql IMMUTABLE
RETURN CASE
  WHEN review.closed_at IS NOT NULL THEN 'CLOSED'
  WHEN review.review_by <= now THEN 'OVERDUE'
  ELSE 'OPEN' END;

-- An intent goes past an approval. Not without its reason, whatever its writer thinks.
CREATE FUNCTION holdfast.open_review(document jsonb, now timestamptz) RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  content CONSTANT jsonb := document -> 'review';
BEGIN
  IF btrim(coalesce(document #>> '{request,justification}', ''), E' \t\r\n') = ''
     OR document #>> '{decision,effect}' IS DISTINCT FROM 'break_glass' THEN
    RETURN 'approval';
  END IF;
  INSERT INTO holdfast.reviews (code, opened_at, review_by, filing)
    VALUES ((content ->> 'code')::uuid, now,
      now + make_interval(secs => (content ->> 'review_within_s')::bigint),
      content || jsonb_build_object(
        'request', document -> 'request', 'operation', document -> 'operation',
        'operation_id', document -> 'operation_id', 'actor', document -> 'actor',
        'rules', document #> '{decision,rules}'))
    ON CONFLICT (code) DO NOTHING;
  IF NOT FOUND THEN
    RETURN 'approval';
  END IF;
  INSERT INTO holdfast.review_history (code, name, at, record, content)
    VALUES ((content ->> 'code')::uuid, 'open', now, (document ->> 'id')::uuid, content);
  RETURN NULL;
END $$;

-- An officer has looked. Who may has been judged by who wrote the record; what must never happen is
-- checked here once more.
CREATE FUNCTION holdfast.close_review(document jsonb, now timestamptz) RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  content CONSTANT jsonb := document -> 'review';
  reviewer CONSTANT text := content #>> '{by,person}';
BEGIN
  UPDATE holdfast.reviews r SET closed_at = now
    WHERE r.code = (content ->> 'code')::uuid AND r.closed_at IS NULL
      AND r.filing ->> 'requester' <> reviewer AND content ->> 'state' = 'CLOSED';
  IF NOT FOUND THEN
    RETURN 'approval';
  END IF;
  INSERT INTO holdfast.review_history (code, name, at, record, content)
    VALUES ((content ->> 'code')::uuid, 'close', now, (document ->> 'id')::uuid, content);
  RETURN NULL;
END $$;

-- As in 0004_approvals.sql, with the steps of reviews.
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
    IF kinds[i] IN ('outcome', 'reconciliation') THEN
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

-- All there is to say of a review, with its steps, oldest first.
CREATE FUNCTION holdfast.review_document(review holdfast.reviews, now timestamptz) RETURNS jsonb
  LANGUAGE sql STABLE
RETURN jsonb_build_object(
  'number', review.number, 'code', review.code, 'state', holdfast.review_state(review, now),
  'opened_at', holdfast.record_time(review.opened_at),
  'review_by', holdfast.record_time(review.review_by), 'filing', review.filing,
  'history', (
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', h.name,
             'at', holdfast.record_time(h.at), 'record', h.record, 'content', h.content)
             ORDER BY h.position), '[]')
      FROM holdfast.review_history h WHERE h.code = review.code));

CREATE FUNCTION holdfast.find_review(wanted uuid) RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT holdfast.review_document(r, clock_timestamp()) FROM holdfast.reviews r
    WHERE r.code = wanted
$$;

-- Reviews newest first, with numbers below `before`; states NULL: in any state.
CREATE FUNCTION holdfast.list_reviews(states text[], before bigint, at_most integer)
  RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT holdfast.review_document(r, clock_timestamp()) FROM holdfast.reviews r
    WHERE (before IS NULL OR r.number < before)
      AND (states IS NULL OR holdfast.review_state(r, clock_timestamp()) = ANY (states))
    ORDER BY r.number DESC LIMIT at_most
$$;

-- Notes which reviews have become overdue since the last time, for webhooks to tell; then how many
-- are, and for how many seconds the oldest has been. Takes the lock of all steps only when some have.
CREATE FUNCTION holdfast.watch_reviews(OUT newly bigint, OUT overdue bigint, OUT oldest_s bigint)
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  newly := 0;
  IF EXISTS (SELECT FROM holdfast.reviews r
               WHERE r.closed_at IS NULL AND r.review_by <= clock_timestamp()
                 AND NOT EXISTS (SELECT FROM holdfast.review_history h
                                   WHERE h.code = r.code AND h.name = 'overdue')) THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.approvals', 0));
    INSERT INTO holdfast.review_history (code, name, at, content)
      SELECT r.code, 'overdue', clock_timestamp(), '{}' FROM holdfast.reviews r
        WHERE r.closed_at IS NULL AND r.review_by <= clock_timestamp() ORDER BY r.number
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS newly = ROW_COUNT;
  END IF;
  SELECT count(*),
         coalesce(extract(epoch FROM clock_timestamp() - min(r.review_by))::bigint, 0)
    INTO overdue, oldest_s FROM holdfast.reviews r
    WHERE r.closed_at IS NULL AND r.review_by <= clock_timestamp();
END $$;

REVOKE EXECUTE ON FUNCTION
  holdfast.find_review(uuid),
  holdfast.list_reviews(text[], bigint, integer),
  holdfast.watch_reviews()
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  holdfast.find_review(uuid),
  holdfast.list_reviews(text[], bigint, integer),
  holdfast.watch_reviews()
  TO holdfast_audit;
