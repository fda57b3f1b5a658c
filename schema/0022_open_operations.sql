-- Operations that are open are looked for where they are few. Joined with the log, as the statistics of
-- a table that always churns were, they were searched by reading the log from its beginning, every
-- two seconds; asked for one by one, an intent is found by its index whatever is thought of the table.

SET LOCAL ROLE holdfast_owner;

CREATE FUNCTION holdfast.intent_at(intent_index bigint) RETURNS bytea
  LANGUAGE sql STABLE
AS $$
  SELECT holdfast.opened_entry(l.index, l.entry) FROM holdfast.log l WHERE l.index = intent_index
$$;
REVOKE EXECUTE ON FUNCTION holdfast.intent_at(bigint) FROM PUBLIC;

-- What this writer has left open, with its intents, for it to settle after a restart.
CREATE OR REPLACE FUNCTION holdfast.own_open_operations(writer uuid, writer_epoch bigint)
  RETURNS TABLE (operation_id uuid, intent_index bigint, intent bytea)
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM FROM holdfast.writers w
    WHERE w.id = own_open_operations.writer AND w.epoch = writer_epoch
      AND w.role = holdfast.session_role();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the writer % is not at epoch %', writer, writer_epoch USING ERRCODE = 'HF001';
  END IF;
  RETURN QUERY SELECT o.operation_id, o.intent_index, holdfast.intent_at(o.intent_index)
    FROM holdfast.open_operations o
    WHERE o.writer = own_open_operations.writer ORDER BY o.intent_index;
END $$;

-- Operations whose writer's lease has run out, oldest first, with their intents.
CREATE OR REPLACE FUNCTION holdfast.expired_operations(at_most integer)
  RETURNS TABLE (operation_id uuid, writer uuid, intent_index bigint, intent bytea)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  WITH expired AS MATERIALIZED (
    SELECT o.operation_id, o.writer, o.intent_index
      FROM holdfast.open_operations o
      WHERE o.writer IN (SELECT w.id FROM holdfast.writers w WHERE w.lease_until < clock_timestamp())
      ORDER BY o.intent_index LIMIT at_most)
  SELECT e.operation_id, e.writer, e.intent_index, holdfast.intent_at(e.intent_index)
    FROM expired e ORDER BY e.intent_index
$$;

-- When the oldest intent without a terminal record was made, by its writer's clock. NULL: none is
-- open. An intent that does not say when was made long ago, so that somebody looks.
CREATE OR REPLACE FUNCTION holdfast.oldest_open_operation() RETURNS timestamptz
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  oldest CONSTANT bigint := (SELECT min(o.intent_index) FROM holdfast.open_operations o);
  made text;
BEGIN
  IF oldest IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT convert_from(l.entry, 'UTF8')::json ->> 'time' INTO made FROM holdfast.log l
    WHERE l.index = oldest;
  -- Stricter than the cast, which takes 'now' and 'infinity', too.
  RETURN CASE WHEN made ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$' THEN made::timestamptz
    ELSE 'epoch' END;
EXCEPTION WHEN OTHERS THEN
  RETURN 'epoch';
END $$;
