-- What an officer who decides on an approval needs to know beside it.

SET LOCAL ROLE holdfast_owner;

-- The newest calls like one: let through, by the same caller, of the same action and resource. Looked
-- for among the newest 100,000 records that search has, so that it costs little in any log.
CREATE FUNCTION holdfast.similar_calls(actor jsonb, operation jsonb) RETURNS jsonb
  LANGUAGE sql STABLE
AS $$
  WITH looked_at AS (
    SELECT r.index, r.id, r.time, r.mailboxes, r.item FROM holdfast.record_search r
      WHERE r.index >= (SELECT s.derived - 100000 FROM holdfast.search_state s)
        AND r.kind = 'intent' AND r.action = operation ->> 'action'
        AND r.resource IS NOT DISTINCT FROM operation ->> 'resource'
        AND holdfast.search_name(coalesce(actor ->> 'user', actor ->> 'app')) = ANY (r.actors))
  SELECT jsonb_build_object(
    'count', (SELECT count(*) FROM looked_at),
    'since', (SELECT holdfast.record_time(r.time) FROM holdfast.record_search r
              WHERE r.index = (SELECT greatest(s.derived - 100000, 0)
                               FROM holdfast.search_state s)),
    'newest', (SELECT coalesce(jsonb_agg(jsonb_build_object('record', n.id, 'index', n.index,
                        'time', holdfast.record_time(n.time), 'mailbox', n.mailboxes[1],
                        'item', n.item) ORDER BY n.index DESC), '[]')
                 FROM (SELECT l.* FROM looked_at l ORDER BY l.index DESC LIMIT 10) n))
$$;

-- How much of each limit that a call would take is taken now.
CREATE FUNCTION holdfast.limits_used(limits jsonb) RETURNS jsonb
  LANGUAGE sql STABLE
AS $$
  SELECT jsonb_agg(l.value - 'key' - 'mailbox' || (
      SELECT jsonb_build_object('used', count(*), 'used_mailboxes', count(DISTINCT u.mailbox))
        FROM holdfast.limit_uses u
        WHERE u.key = l.value ->> 'key'
          AND u.at > clock_timestamp() - make_interval(secs => (l.value ->> 'per_s')::bigint))
      ORDER BY l.ordinality)
    FROM jsonb_array_elements(limits) WITH ORDINALITY l
$$;

-- Legal holds in force on a mailbox that has one of the names.
CREATE FUNCTION holdfast.holds_on(names text[]) RETURNS jsonb
  LANGUAGE sql STABLE
AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('id', h.id, 'state', h.state,
           'reason', h.content ->> 'reason') ORDER BY h.number), '[]')
    FROM holdfast.holds h WHERE h.state <> 'lifted' AND h.mailboxes && names
$$;

-- The pre-image that the record has which filed it. That record may be too new for search.
CREATE FUNCTION holdfast.preimage_of(record uuid) RETURNS jsonb
  LANGUAGE sql STABLE
AS $$
  SELECT convert_from(holdfast.opened_entry(e.index, e.entry), 'UTF8')::jsonb -> 'preimage' FROM (
    SELECT l.index, l.entry FROM holdfast.log l
      WHERE l.index = (SELECT min(r.index) FROM holdfast.record_search r WHERE r.id = record)
    UNION ALL
    SELECT t.index, t.entry FROM (
      SELECT l.index, l.entry, convert_from(l.entry, 'UTF8')::jsonb AS document FROM holdfast.log l
        WHERE l.kind = 'decision' AND l.index >= (SELECT s.derived FROM holdfast.search_state s)
        ORDER BY l.index LIMIT 10000) t
      WHERE t.document ->> 'id' = record::text) e
    ORDER BY e.index LIMIT 1
$$;

-- NULL: there is no approval with that code.
CREATE FUNCTION holdfast.approval_context(wanted uuid) RETURNS jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object(
      'holds', holdfast.holds_on(array_remove(
        holdfast.search_name(a.filing #>> '{operation,mailbox,key}')
          || holdfast.search_names(a.filing #> '{operation,mailbox,names}'), NULL)),
      'limits', holdfast.limits_used(a.filing -> 'limits'),
      'preimage', holdfast.preimage_of(h.record),
      'similar', holdfast.similar_calls(a.filing -> 'actor', a.filing -> 'operation')))
    FROM holdfast.approvals a JOIN holdfast.approval_history h ON h.code = a.code AND h.step = 1
    WHERE a.code = wanted
$$;

REVOKE EXECUTE ON FUNCTION holdfast.similar_calls(jsonb, jsonb), holdfast.limits_used(jsonb),
  holdfast.holds_on(text[]), holdfast.preimage_of(uuid), holdfast.approval_context(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION holdfast.approval_context(uuid) TO holdfast_audit;
