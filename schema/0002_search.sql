-- The search table: typed columns over the log, derived from it inside the database, never written
-- by anything else, and rebuilt whenever that helps. What it says of a record is what search_row()
-- says of the record's entry: derive_search() stores that, and queries call it for the records that
-- are not derived yet, so both always agree.

SET LOCAL ROLE holdfast_owner;

-- Substring search over text. A trusted extension: the right to create in the database suffices.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA holdfast;

CREATE TABLE holdfast.record_search (
  index bigint PRIMARY KEY,
  id uuid,
  kind text,
  time timestamptz,
  operation_id uuid,
  client_request_id text,
  graph_request_id text,
  ip inet,
  actors text[],     -- Lower case: object id, app id and name; for reads of the log, who read.
  mailboxes text[],  -- Lower case: the key of the path and every name that it resolved to.
  action text,
  resource text,
  item text,
  effect text,
  result text,
  rules text[],      -- Lower case: the rules that decided.
  words text,        -- Lower case: the text that q looks through.
  malformed boolean NOT NULL  -- The entry is no record that search_row() knows: all else is null.
);

CREATE INDEX record_search_id ON holdfast.record_search (id);
CREATE INDEX record_search_time ON holdfast.record_search (time);
CREATE INDEX record_search_operation_id ON holdfast.record_search (operation_id);
CREATE INDEX record_search_ip ON holdfast.record_search (ip, index);
-- Hashed where a caller decides how long the text is: a B-tree refuses entries over 2,700 bytes.
CREATE INDEX record_search_client_request_id ON holdfast.record_search
  USING hash (client_request_id);
CREATE INDEX record_search_graph_request_id ON holdfast.record_search
  USING hash (graph_request_id);
CREATE INDEX record_search_item ON holdfast.record_search USING hash (item);
CREATE INDEX record_search_kind ON holdfast.record_search (kind, index);
CREATE INDEX record_search_action ON holdfast.record_search (action, index);
CREATE INDEX record_search_resource ON holdfast.record_search (resource, index);
CREATE INDEX record_search_effect ON holdfast.record_search (effect, index);
CREATE INDEX record_search_result ON holdfast.record_search (result, index);
CREATE INDEX record_search_actors ON holdfast.record_search USING gin (actors);
CREATE INDEX record_search_mailboxes ON holdfast.record_search USING gin (mailboxes);
CREATE INDEX record_search_rules ON holdfast.record_search USING gin (rules);
CREATE INDEX record_search_words ON holdfast.record_search
  USING gin (words holdfast.gin_trgm_ops);

-- How far the search table reaches: every index below `derived` is in it, and none at or above.
CREATE TABLE holdfast.search_state (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
  derived bigint NOT NULL
);
INSERT INTO holdfast.search_state (derived) VALUES (0);

-- Operations whose outcome is unknown and that no reconciliation has settled. Follows from the
-- search table and is rebuilt with it.
CREATE TABLE holdfast.unsettled (
  operation_id uuid PRIMARY KEY,
  outcome_index bigint NOT NULL UNIQUE,
  since timestamptz NOT NULL,                          -- The outcome's own time.
  seen timestamptz NOT NULL DEFAULT clock_timestamp()  -- When it came here, on the database's clock.
);

-- How a name is stored and compared: lower case, and never longer than an index can take.
CREATE FUNCTION holdfast.search_name(name text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.left(pg_catalog.lower(name), 500);

-- The names in a JSON array of strings, or null for null; an error for any other value.
CREATE FUNCTION holdfast.search_names(list jsonb) RETURNS text[]
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN list IS NOT NULL
            THEN ARRAY(SELECT holdfast.search_name(value)
                       FROM pg_catalog.jsonb_array_elements_text(list)) END;

-- What the search table holds of one entry. Never fails: an entry that is no record becomes a
-- marked row of nulls, so that it can neither stop nor hide what follows it.
CREATE FUNCTION holdfast.search_row(index bigint, entry bytea) RETURNS holdfast.record_search
  LANGUAGE plpgsql STABLE
AS $$
DECLARE
  document jsonb;
  request jsonb;
  operation jsonb;
  actor jsonb;
  decision jsonb;
  outcome jsonb;
  actors text[];
  mailboxes text[];
BEGIN
  document := convert_from(entry, 'UTF8')::jsonb;
  -- Stricter than a cast to timestamptz, which takes 'now' for a time. The index is the log's to
  -- give, and readers are shown it beside the entry's members.
  IF document ->> 'id' IS NULL OR document ->> 'kind' IS NULL OR document ? 'index'
     OR (document ->> 'time' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$') IS NOT TRUE THEN
    RAISE data_exception;
  END IF;
  request := document -> 'request';
  operation := document -> 'operation';
  actor := document -> 'actor';
  decision := document -> 'decision';
  outcome := document -> 'outcome';
  actors := array_remove(ARRAY[
    holdfast.search_name(actor ->> 'user'), holdfast.search_name(actor ->> 'app'),
    holdfast.search_name(actor ->> 'name'),
    holdfast.search_name(document #>> '{access,by}')], NULL);
  mailboxes := array_remove(holdfast.search_name(operation #>> '{mailbox,key}')
    || holdfast.search_names(operation #> '{mailbox,names}'), NULL);
  RETURN ROW(
    index,
    (document ->> 'id')::uuid,
    left(document ->> 'kind', 100),
    (document ->> 'time')::timestamptz,
    (document ->> 'operation_id')::uuid,
    request ->> 'client_request_id',
    outcome ->> 'graph_request_id',
    nullif(split_part(request ->> 'source_ip', '%', 1), '')::inet,
    actors,
    mailboxes,
    left(operation ->> 'action', 100),
    left(operation ->> 'resource', 100),
    operation ->> 'item',
    left(decision ->> 'effect', 100),
    left(outcome ->> 'result', 100),
    holdfast.search_names(decision -> 'rules'),
    lower(concat_ws(E'\n', request ->> 'target', request ->> 'user_agent', request ->> 'ticket',
      array_to_string(actors, E'\n'), array_to_string(mailboxes, E'\n'), operation ->> 'item',
      operation ->> 'folder', decision ->> 'reason', document ->> 'approval', outcome ->> 'reason',
      outcome ->> 'error_code', outcome ->> 'error', outcome ->> 'recall',
      document ->> 'access', document ->> 'system', document ->> 'rules')),
    false)::holdfast.record_search;
EXCEPTION WHEN OTHERS THEN
  RETURN jsonb_populate_record(NULL::holdfast.record_search,
    jsonb_build_object('index', index, 'malformed', true));
END $$;

-- Takes the search table's records `first` to `until` - 1 into account.
CREATE FUNCTION holdfast.derive_unsettled(first bigint, until bigint) RETURNS void
  LANGUAGE sql
  SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO holdfast.unsettled (operation_id, outcome_index, since)
    SELECT r.operation_id, r.index, r.time FROM holdfast.record_search r
      WHERE r.result = 'unknown' AND r.index >= first AND r.index < until
        AND r.kind = 'outcome' AND r.operation_id IS NOT NULL
    ON CONFLICT DO NOTHING;
  -- A process that comes late and does not know either settles nothing: indeterminate.
  DELETE FROM holdfast.unsettled u USING holdfast.record_search r
    WHERE r.result IN ('executed', 'not_executed') AND r.index >= first AND r.index < until
      AND r.kind = 'reconciliation' AND r.operation_id = u.operation_id
      AND r.index > u.outcome_index;
$$;

-- Derives up to `batch` more records and returns how many. One caller works at a time; the others
-- get 0 at once, and so does a caller when nothing is left.
CREATE FUNCTION holdfast.derive_search(batch integer) RETURNS bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  first bigint;
  until bigint;
BEGIN
  IF batch IS NULL OR batch < 1 THEN
    RAISE EXCEPTION 'derive_search: batch must be at least 1' USING ERRCODE = '22023';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.derive_search', 0)) THEN
    RETURN 0;
  END IF;
  SELECT derived INTO STRICT first FROM holdfast.search_state;
  SELECT least(next_index, first + batch) INTO STRICT until FROM holdfast.log_head;
  INSERT INTO holdfast.record_search
    SELECT (derived.row).*
    FROM (SELECT holdfast.search_row(index, entry) AS row
          FROM holdfast.log WHERE index >= first AND index < until
          OFFSET 0) AS derived;  -- Calls search_row() once a row, not once a column.
  PERFORM holdfast.derive_unsettled(first, until);
  UPDATE holdfast.search_state SET derived = until;
  RETURN until - first;
END $$;

-- Empties the search table; derive_search() then fills it again from the first record of the log.
CREATE FUNCTION holdfast.rebuild_search() RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.derive_search', 0));
  TRUNCATE holdfast.record_search, holdfast.unsettled;
  UPDATE holdfast.search_state SET derived = 0;
END $$;

REVOKE ALL ON FUNCTION holdfast.search_name(text), holdfast.search_names(jsonb),
  holdfast.search_row(bigint, bytea), holdfast.derive_unsettled(bigint, bigint),
  holdfast.derive_search(integer), holdfast.rebuild_search()
  FROM PUBLIC;
GRANT SELECT ON holdfast.record_search, holdfast.search_state, holdfast.unsettled TO holdfast_audit;
GRANT EXECUTE ON FUNCTION holdfast.search_name(text), holdfast.search_names(jsonb),
  holdfast.search_row(bigint, bytea), holdfast.derive_search(integer) TO holdfast_audit;
