-- An approval is for one call as it is sent. What people said before of the same item, however the call
-- was sent then, is shown to who decides, and no caller goes past a rejection of theirs by sending it
-- another way.

SET LOCAL ROLE holdfast_owner;

-- Approvals asked for of what the operation acts on: by its item, or, where there is none, by its kind and
-- mailbox. Of those that search has, by the newest 100 records; of what it does not have yet, by all.
CREATE FUNCTION holdfast.approvals_of(operation jsonb) RETURNS SETOF holdfast.approvals
  LANGUAGE sql STABLE
AS $$
  WITH wanted AS (
    SELECT array_remove(holdfast.search_name(operation #>> '{mailbox,key}')
             || holdfast.search_names(operation #> '{mailbox,names}'), NULL) AS mailboxes),
  found AS (
    (SELECT r.index FROM holdfast.record_search r
      WHERE r.item = operation ->> 'item' AND r.kind = 'decision' AND r.effect = 'require_approval'
        AND r.action = operation ->> 'action'
      ORDER BY r.index DESC LIMIT 100)
    UNION ALL
    (SELECT r.index FROM holdfast.record_search r, wanted
      WHERE operation ->> 'item' IS NULL AND r.item IS NULL AND r.mailboxes && wanted.mailboxes
        AND r.kind = 'decision' AND r.effect = 'require_approval'
        AND r.action = operation ->> 'action'
        AND r.resource IS NOT DISTINCT FROM operation ->> 'resource'
      ORDER BY r.index DESC LIMIT 100)
    UNION ALL
    SELECT t.index FROM (
      SELECT l.index, holdfast.search_row(l.index, holdfast.opened_entry(l.index, l.entry)) AS row
        FROM holdfast.log l
        WHERE l.kind = 'decision' AND l.index >= (SELECT s.derived FROM holdfast.search_state s)) t,
      wanted
      WHERE (t.row).effect = 'require_approval' AND (t.row).action = operation ->> 'action'
        AND ((t.row).item = operation ->> 'item'
             OR operation ->> 'item' IS NULL AND (t.row).item IS NULL
                AND (t.row).mailboxes && wanted.mailboxes
                AND (t.row).resource IS NOT DISTINCT FROM operation ->> 'resource'))
  SELECT a.* FROM holdfast.approvals a WHERE a.code IN (
    SELECT (convert_from(l.entry, 'UTF8')::jsonb #>> '{approval,code}')::uuid
      FROM holdfast.log l JOIN found f ON f.index = l.index)
$$;

-- The newest rejection of such a call by that requester that stands.
CREATE FUNCTION holdfast.standing_rejection(operation jsonb, requester text) RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT holdfast.approval_document(a, clock_timestamp())
    FROM holdfast.approvals_of(standing_rejection.operation) a
    WHERE a.state = 'REJECTED' AND a.decide_by > clock_timestamp()
      AND a.filing ->> 'requester' = standing_rejection.requester
    ORDER BY a.number DESC LIMIT 1
$$;

-- What became of the newest approvals before that one which were asked for of the same, whoever did.
CREATE FUNCTION holdfast.earlier_approvals(wanted uuid) RETURNS jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
           'code', e.code, 'state', holdfast.approval_state(e, clock_timestamp()),
           'filed_at', holdfast.record_time(e.filed_at),
           'requested_by', e.filing #>> '{requested_by,name}',
           'reason', (SELECT h.content ->> 'reason' FROM holdfast.approval_history h
                        WHERE h.code = e.code AND h.content ? 'reason'
                        ORDER BY h.step DESC LIMIT 1)))
           ORDER BY e.number DESC), '[]')
    FROM (SELECT b.* FROM holdfast.approvals a, holdfast.approvals_of(a.filing -> 'operation') b
            WHERE a.code = wanted AND b.number < a.number ORDER BY b.number DESC LIMIT 10) e
$$;

REVOKE EXECUTE ON FUNCTION holdfast.approvals_of(jsonb), holdfast.standing_rejection(jsonb, text),
  holdfast.earlier_approvals(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION holdfast.standing_rejection(jsonb, text) TO holdfast_proxy;
GRANT EXECUTE ON FUNCTION holdfast.earlier_approvals(uuid) TO holdfast_audit;
