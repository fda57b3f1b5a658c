"""The log in small partitions, which the migrations make 2^22 records large."""

# In the place of the first partition; with triggers that do what those of the migrations do.
SPLIT = """BEGIN;
ALTER TABLE holdfast.log DETACH PARTITION holdfast.log_000000;
DO $$
DECLARE part record; name text;
BEGIN
  FOR part IN SELECT * FROM (VALUES {parts}) AS v (first, until) LOOP
    name := 'log_part_' || part.first;
    EXECUTE format('CREATE TABLE holdfast.%I (LIKE holdfast.log INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE holdfast.%I OWNER TO holdfast_owner', name);
    EXECUTE format('INSERT INTO holdfast.%I SELECT * FROM holdfast.log_000000 '
                   'WHERE index >= %s AND index < %s', name, part.first, part.until);
    EXECUTE format('CREATE TRIGGER a BEFORE UPDATE OR DELETE ON holdfast.%I FOR EACH ROW '
                   'EXECUTE FUNCTION holdfast.refuse_change()', name);
    EXECUTE format('CREATE TRIGGER b BEFORE UPDATE OR DELETE OR TRUNCATE ON holdfast.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change()', name);
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER a', name);
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER b', name);
    EXECUTE format('ALTER TABLE holdfast.log ATTACH PARTITION holdfast.%I '
                   'FOR VALUES FROM (%s) TO (%s)', name, part.first, part.until);
  END LOOP;
END $$;
DROP TABLE holdfast.log_000000;
COMMIT"""
FIRST_PARTITION_END = 1 << 22


def split(*ends):
    """SQL that makes the first partition several, which end at those indexes: log_part_0 and so on,
    by their first index."""
    bounds = [0, *ends, FIRST_PARTITION_END]
    return SPLIT.format(parts=", ".join(f"({first}, {until})"
                                        for first, until in zip(bounds, bounds[1:])))
