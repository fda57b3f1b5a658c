-- Since when an operation has been open, for whoever watches that none is left so.

SET LOCAL ROLE holdfast_owner;

-- When the oldest intent without a terminal record was made, by its writer's clock. NULL: none is
-- open.
CREATE FUNCTION holdfast.oldest_open_operation() RETURNS timestamptz
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT (convert_from(l.entry, 'UTF8')::json ->> 'time')::timestamptz FROM holdfast.log l
    WHERE l.index = (SELECT min(o.intent_index) FROM holdfast.open_operations o)
$$;

REVOKE EXECUTE ON FUNCTION holdfast.oldest_open_operation() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION holdfast.oldest_open_operation() TO holdfast_audit;
