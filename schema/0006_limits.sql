-- Limits: how often calls may pass under a rule, counted in the statement that appends their intents.
--
-- An intent names the limits it takes in its member decision.limits, and `limited` says beside the
-- entry that it does. Uses are counted over the time that went by (a sliding window), exactly: one
-- batch at a time holds a limit's key, from before it counts until it commits. A spent limit refuses
-- its own entry and nobody else's. The outcome of a call that was never sent gives back what the
-- intent took.

SET LOCAL ROLE holdfast_owner;

CREATE TABLE holdfast.limit_uses (
  key text NOT NULL,           -- Of which rule, and by whom or of which mailbox.
  at timestamptz NOT NULL,
  operation_id uuid NOT NULL,
  mailbox text NOT NULL,
  until timestamptz NOT NULL,  -- It counts no longer then.
  PRIMARY KEY (key, at, operation_id)
);
CREATE INDEX limit_uses_operation ON holdfast.limit_uses (operation_id);

-- The rule whose limit an intent would exceed; NULL: none, and all of them are taken.
CREATE FUNCTION holdfast.take_limits_of(limits jsonb, operation uuid, now timestamptz) RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  l jsonb;
  used bigint;
  others bigint;  -- Mailboxes but the one that this call is about.
BEGIN
  FOR l IN SELECT value FROM jsonb_array_elements(limits) LOOP
    DELETE FROM holdfast.limit_uses u WHERE u.key = l ->> 'key' AND u.until <= now;
    SELECT count(*), count(DISTINCT u.mailbox) FILTER (WHERE u.mailbox <> l ->> 'mailbox')
      INTO used, others FROM holdfast.limit_uses u
      WHERE u.key = l ->> 'key' AND u.at > now - make_interval(secs => (l ->> 'per_s')::bigint);
    IF used >= (l ->> 'count')::bigint OR others >= (l ->> 'distinct_mailboxes')::bigint THEN
      RETURN l ->> 'rule';
    END IF;
  END LOOP;
  INSERT INTO holdfast.limit_uses (key, at, operation_id, mailbox, until)
    SELECT t.value ->> 'key', now, operation, t.value ->> 'mailbox',
           now + make_interval(secs => (t.value ->> 'per_s')::bigint)
      FROM jsonb_array_elements(limits) t;
  RETURN NULL;
END $$;

-- Takes the limits of a batch, in its order, and returns the refusals so far with those of the
-- intents that would exceed one.
CREATE FUNCTION holdfast.take_limits(
  entries bytea[], kinds text[], operation_ids uuid[], limited boolean[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  documents jsonb[] := array_fill(NULL::jsonb, ARRAY[cardinality(kinds)]);
  lock_key bigint;
  exceeded text;
  now timestamptz;
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    IF limited[i] AND refusals[i] IS NULL THEN
      documents[i] := convert_from(entries[i], 'UTF8')::jsonb;
    END IF;
  END LOOP;
  FOR lock_key IN
    SELECT DISTINCT hashtextextended('holdfast.limit ' || (l.value ->> 'key'), 0) AS key
      FROM unnest(documents, kinds) AS g (document, kind),
           jsonb_array_elements(g.document #> '{decision,limits}') l
      WHERE g.kind = 'intent' ORDER BY key LOOP
    PERFORM pg_advisory_xact_lock(lock_key);
  END LOOP;
  now := clock_timestamp();
  FOR i IN 1 .. cardinality(kinds) LOOP
    IF documents[i] IS NULL THEN
      CONTINUE;
    END IF;
    IF kinds[i] = 'outcome' THEN
      DELETE FROM holdfast.limit_uses u
        WHERE u.operation_id = operation_ids[i]
          AND documents[i] #>> '{outcome,result}' = 'not_sent';
    ELSIF kinds[i] = 'intent' THEN
      exceeded := holdfast.take_limits_of(documents[i] #> '{decision,limits}', operation_ids[i], now);
      IF exceeded IS NOT NULL THEN
        refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
        refusals[i] := 'limit ' || exceeded;
      END IF;
    END IF;
  END LOOP;
  RETURN refusals;
END $$;

-- What is refused after all has taken nothing. (An operation that is open already took its limits
-- when it was opened.)
CREATE FUNCTION holdfast.give_back_limits(
  kinds text[], operation_ids uuid[], limited boolean[], refusals text[])
  RETURNS void
  LANGUAGE sql
AS $$
  DELETE FROM holdfast.limit_uses u USING unnest(kinds, operation_ids, limited, refusals)
      AS g (kind, operation, is_limited, reason)
    WHERE g.is_limited AND g.kind = 'intent' AND g.reason IS NOT NULL
      AND g.reason <> 'already_open' AND u.operation_id = g.operation;
$$;
