-- Notices: what receivers outside are told of approvals and reviews (webhooks), and how far each has been told.
--
-- The steps in an approval's history and the warnings that it is about to run out have positions in
-- one order. They are given out while the lock is held that puts all steps in one order, until the
-- commit: whoever has seen a position will never see a new one before it.

SET LOCAL ROLE holdfast_owner;

-- Steps taken before get positions in the order in which they were written.
ALTER TABLE holdfast.approval_history
  ADD COLUMN position bigint NOT NULL DEFAULT nextval('holdfast.notice_positions');
CREATE UNIQUE INDEX approval_history_position ON holdfast.approval_history (position);

-- That an approval is about to run out, once for each state in which it can.
CREATE TABLE holdfast.approval_warnings (
  code uuid NOT NULL REFERENCES holdfast.approvals,
  state text NOT NULL,  -- PENDING: nobody has decided; APPROVED: nobody has used it.
  at timestamptz NOT NULL,
  position bigint NOT NULL UNIQUE DEFAULT nextval('holdfast.notice_positions'),
  PRIMARY KEY (code, state)
);

CREATE TABLE holdfast.webhooks (
  name text PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 100),
  position bigint NOT NULL,  -- All notices up to here have been delivered, or given up.
  moved timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Where that webhook stands. One that is new begins with what happens from now on.
CREATE FUNCTION holdfast.webhook_position(webhook text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  place bigint;
BEGIN
  SELECT w.position INTO place FROM holdfast.webhooks w WHERE w.name = webhook;
  IF NOT FOUND THEN
    INSERT INTO holdfast.webhooks (name, position)
      SELECT webhook, greatest(
        coalesce((SELECT max(h.position) FROM holdfast.approval_history h), 0),
        coalesce((SELECT max(w.position) FROM holdfast.approval_warnings w), 0),
        coalesce((SELECT max(h.position) FROM holdfast.review_history h), 0))
      RETURNING position INTO place;
  END IF;
  RETURN place;
END $$;

-- Moves that webhook on; false: it is not where the caller thinks.
CREATE FUNCTION holdfast.move_webhook(webhook text, behind bigint, onto bigint) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE holdfast.webhooks w SET position = onto, moved = clock_timestamp()
    WHERE w.name = webhook AND w.position = behind AND onto > behind;
  RETURN FOUND;
END $$;

-- Open approvals that run out within `before`, or within half of the time they had if that is less,
-- and that nobody has been warned of.
CREATE FUNCTION holdfast.expiring_approvals(before interval, now timestamptz)
  RETURNS SETOF holdfast.approvals
  LANGUAGE sql STABLE
AS $$
  SELECT a.* FROM holdfast.approvals a
    WHERE a.state IN ('PENDING', 'APPROVED')
      AND holdfast.approval_state(a, now) = a.state
      AND CASE a.state
        WHEN 'PENDING' THEN a.decide_by - least(before, (a.decide_by - a.filed_at) / 2)
        ELSE a.use_by - least(before, a.use_within / 2) END <= now
      AND NOT EXISTS (SELECT FROM holdfast.approval_warnings w
                        WHERE w.code = a.code AND w.state = a.state)
$$;

-- Writes down the warnings that are due; how many. Takes the lock of all steps only when some are.
CREATE FUNCTION holdfast.warn_of_approvals(before interval) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  warned bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM holdfast.expiring_approvals(before, clock_timestamp())) THEN
    RETURN 0;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.approvals', 0));
  INSERT INTO holdfast.approval_warnings (code, state, at)
    SELECT e.code, e.state, clock_timestamp()
      FROM holdfast.expiring_approvals(before, clock_timestamp()) e ORDER BY e.number
    ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS warned = ROW_COUNT;
  RETURN warned;
END $$;

-- What happened behind that position, in order. Claims and their ends are told to nobody, nor are
-- consents that others must follow.
CREATE FUNCTION holdfast.approval_notices(behind bigint, at_most integer)
  RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_build_object(
      'position', n.position, 'event', n.event, 'at', holdfast.record_time(n.at),
      'code', n.code, 'state', n.state, 'until', holdfast.record_time(n.until),
      'content', n.content, 'filing', n.filing)
    FROM (
      (SELECT h.position, h.code, h.at, h.state, h.content,
              CASE h.name WHEN 'file' THEN 'pending' WHEN 'approve' THEN 'approved'
                WHEN 'reject' THEN 'rejected' WHEN 'revoke' THEN 'revoked'
                WHEN 'cancel' THEN 'cancelled' WHEN 'invalidate' THEN 'invalidated'
                ELSE 'expired' END AS event,
              CASE h.state WHEN 'PENDING' THEN a.decide_by WHEN 'APPROVED' THEN a.use_by END
                AS until, a.filing
         FROM holdfast.approval_history h JOIN holdfast.approvals a ON a.code = h.code
         WHERE h.position > behind
           AND (h.name IN ('file', 'reject', 'revoke', 'cancel', 'invalidate', 'expire')
                OR (h.name = 'approve' AND h.state = 'APPROVED'))
         ORDER BY h.position LIMIT at_most)
      UNION ALL
      (SELECT w.position, w.code, w.at, w.state, '{}', 'expiring',
              CASE w.state WHEN 'PENDING' THEN a.decide_by ELSE a.use_by END, a.filing
         FROM holdfast.approval_warnings w JOIN holdfast.approvals a ON a.code = w.code
         WHERE w.position > behind ORDER BY w.position LIMIT at_most)
      UNION ALL
      (SELECT h.position, h.code, h.at,
              CASE h.name WHEN 'open' THEN 'OPEN' WHEN 'close' THEN 'CLOSED' ELSE 'OVERDUE' END,
              h.content,
              CASE h.name WHEN 'open' THEN 'break_glass' WHEN 'close' THEN 'reviewed'
                ELSE 'review_overdue' END,
              CASE WHEN h.name <> 'close' THEN r.review_by END, r.filing
         FROM holdfast.review_history h JOIN holdfast.reviews r ON r.code = h.code
         WHERE h.position > behind ORDER BY h.position LIMIT at_most)) n
    ORDER BY n.position LIMIT at_most
$$;

REVOKE EXECUTE ON FUNCTION
  holdfast.webhook_position(text),
  holdfast.move_webhook(text, bigint, bigint),
  holdfast.warn_of_approvals(interval),
  holdfast.approval_notices(bigint, integer)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  holdfast.webhook_position(text),
  holdfast.move_webhook(text, bigint, bigint),
  holdfast.warn_of_approvals(interval),
  holdfast.approval_notices(bigint, integer)
  TO holdfast_audit;
