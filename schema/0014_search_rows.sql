-- What search has of records as rows of a statement: planned with it, a batch costs little more than half
-- of what a call for each record does.

SET LOCAL ROLE holdfast_owner;

-- What the search table holds of one entry; no row for one that is no record, or an error. Planned as
-- part of the statement that calls it: so it has no settings and no name of its own for `entry`.
CREATE FUNCTION holdfast.search_rows(index bigint, entry bytea) RETURNS SETOF holdfast.record_search
  LANGUAGE sql STABLE
AS $$
  SELECT search_rows.index,
    (d.document ->> 'id')::uuid,
    left(d.document ->> 'kind', 100),
    (d.document ->> 'time')::timestamptz,
    (d.document ->> 'operation_id')::uuid,
    d.request ->> 'client_request_id',
    d.outcome ->> 'graph_request_id',
    nullif(split_part(d.request ->> 'source_ip', '%', 1), '')::inet,
    d.actors,
    d.mailboxes,
    left(d.operation ->> 'action', 100),
    left(d.operation ->> 'resource', 100),
    d.operation ->> 'item',
    left(d.decision ->> 'effect', 100),
    left(d.outcome ->> 'result', 100),
    CASE WHEN d.decision -> 'rules' IS NOT NULL
         THEN ARRAY(SELECT holdfast.search_name(value)
                    FROM jsonb_array_elements_text(d.decision -> 'rules')) END,
    lower(concat_ws(E'\n', d.request ->> 'target', d.request ->> 'user_agent',
      d.request ->> 'ticket', array_to_string(d.actors, E'\n'), array_to_string(d.mailboxes, E'\n'),
      d.operation ->> 'item', d.operation ->> 'folder', d.decision ->> 'reason',
      d.document ->> 'approval', d.outcome ->> 'reason', d.outcome ->> 'error_code',
      d.outcome ->> 'error', d.outcome ->> 'recall', d.document ->> 'access',
      d.document ->> 'system', d.document ->> 'rules')),
    false
  -- OFFSET 0: each member is taken out of the document once, not once for each column.
  FROM (SELECT m.*,
      array_remove(ARRAY[
        holdfast.search_name(m.actor ->> 'user'), holdfast.search_name(m.actor ->> 'app'),
        holdfast.search_name(m.actor ->> 'name'),
        holdfast.search_name(m.document #>> '{access,by}')], NULL) AS actors,
      array_remove(holdfast.search_name(m.mailbox ->> 'key')
        || CASE WHEN m.mailbox -> 'names' IS NOT NULL
                THEN ARRAY(SELECT holdfast.search_name(value)
                           FROM jsonb_array_elements_text(m.mailbox -> 'names')) END,
        NULL) AS mailboxes
    FROM (SELECT e.document, e.document -> 'request' AS request,
                 e.document -> 'operation' AS operation,
                 e.document #> '{operation,mailbox}' AS mailbox, e.document -> 'actor' AS actor,
                 e.document -> 'decision' AS decision, e.document -> 'outcome' AS outcome
          FROM (SELECT convert_from(entry, 'UTF8')::jsonb AS document OFFSET 0) e
          OFFSET 0) m
    OFFSET 0) d
  -- Stricter than a cast to timestamptz, which takes 'now' for a time. The index is the log's to
  -- give, and readers are shown it beside the entry's members.
  WHERE d.document ->> 'id' IS NOT NULL AND d.document ->> 'kind' IS NOT NULL
    AND NOT d.document ? 'index'
    AND d.document ->> 'time' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$'
$$;

-- The same, but never fails: an entry that is no record becomes a marked row of nulls, so that it can
-- neither stop nor hide what follows it.
CREATE OR REPLACE FUNCTION holdfast.search_row(index bigint, entry bytea)
  RETURNS holdfast.record_search
  LANGUAGE plpgsql STABLE
AS $$
DECLARE
  found holdfast.record_search;
BEGIN
  SELECT r.* INTO STRICT found FROM holdfast.search_rows(search_row.index, search_row.entry) r;
  RETURN found;
EXCEPTION WHEN OTHERS THEN
  RETURN jsonb_populate_record(NULL::holdfast.record_search,
    jsonb_build_object('index', index, 'malformed', true));
END $$;

REVOKE EXECUTE ON FUNCTION holdfast.search_rows(bigint, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION holdfast.search_rows(bigint, bytea) TO holdfast_audit;
