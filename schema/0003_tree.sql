-- The Merkle tree over the log: full tiles of 256 hashes and the checkpoints that were signed, both
-- added to and never changed. Hashes stay when old partitions of the log are dropped.
-- docs/audit_format.md describes the tree.
--
-- `holdfast audit` computes and signs; one at a time, the one whose session holds the advisory lock
-- tree_lock(). The functions here check what it adds against the log.

SET LOCAL ROLE holdfast_owner;

-- A bundle of entries gives each entry's length in two bytes.
ALTER TABLE holdfast.log DROP CONSTRAINT log_entry_size;
ALTER TABLE holdfast.log ADD CONSTRAINT log_entry_size CHECK (octet_length(entry) <= 65535);

CREATE TABLE holdfast.tree_tiles (
  level smallint NOT NULL,
  index bigint NOT NULL,
  root bytea NOT NULL,    -- The tree hash over the tile: one hash of the tile above.
  hashes bytea NOT NULL,  -- 256 hashes.
  PRIMARY KEY (level, index),
  CONSTRAINT tree_tiles_level CHECK (level BETWEEN 0 AND 7),
  CONSTRAINT tree_tiles_index CHECK (index >= 0),
  CONSTRAINT tree_tiles_root CHECK (octet_length(root) = 32),
  CONSTRAINT tree_tiles_hashes CHECK (octet_length(hashes) = 8192)
);
-- Hashes cannot be compressed. Kept out of line, they do not slow down reading the roots.
ALTER TABLE holdfast.tree_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE holdfast.tree_checkpoints (
  ordinal bigint PRIMARY KEY,
  size bigint NOT NULL,
  root bytea NOT NULL,
  note text NOT NULL,  -- As it is served.
  signed timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT tree_checkpoints_size CHECK (size >= 0),
  CONSTRAINT tree_checkpoints_root CHECK (octet_length(root) = 32)
);
CREATE INDEX tree_checkpoints_size ON holdfast.tree_checkpoints (size);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['tree_tiles', 'tree_checkpoints'] LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON holdfast.%I FOR EACH ROW '
      'EXECUTE FUNCTION holdfast.refuse_change()', name || '_refuse_change', name);
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON holdfast.%I FOR EACH STATEMENT '
      'EXECUTE FUNCTION holdfast.refuse_change()', name || '_refuse_statement', name);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON holdfast.%I FOR EACH STATEMENT '
      'EXECUTE FUNCTION holdfast.refuse_change()', name || '_refuse_truncate', name);
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER %I', name,
      name || '_refuse_change');
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER %I', name,
      name || '_refuse_statement');
    EXECUTE format('ALTER TABLE holdfast.%I ENABLE ALWAYS TRIGGER %I', name,
      name || '_refuse_truncate');
  END LOOP;
END $$;

-- The advisory lock of the session that may add to the tree.
CREATE FUNCTION holdfast.tree_lock() RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.hashtextextended('holdfast.tree', 0);

-- Passes in the session that holds the lock; in another one only while nobody holds it, and then
-- nobody can take it before the end of the transaction.
CREATE FUNCTION holdfast.require_tree_lock() RETURNS void
  LANGUAGE plpgsql
AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(holdfast.tree_lock()) THEN
    RAISE EXCEPTION 'another session adds to the tree' USING ERRCODE = 'HF020';
  END IF;
END $$;

-- Adds the tiles `first`, `first` + 1, … of one level. They must be the next ones, and hold what the
-- log (level 0) or the tiles below (other levels) hold; else HF021.
CREATE FUNCTION holdfast.add_tiles(
  tile_level integer, first bigint, tile_hashes bytea[], tile_roots bytea[])
  RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  count integer := coalesce(cardinality(tile_hashes), 0);
  next bigint;
  expected bytea[];
BEGIN
  PERFORM holdfast.require_tree_lock();
  SELECT coalesce(max(t.index) + 1, 0) INTO next FROM holdfast.tree_tiles t
    WHERE t.level = tile_level;
  IF count = 0 OR first <> next OR count <> coalesce(cardinality(tile_roots), 0) THEN
    RAISE EXCEPTION 'tile % is next at level %', next, tile_level USING ERRCODE = 'HF021';
  END IF;
  IF tile_level = 0 THEN
    SELECT array_agg(g.hashes ORDER BY g.tile) INTO expected FROM (
      SELECT l.index / 256 AS tile, string_agg(l.leaf_hash, ''::bytea ORDER BY l.index) AS hashes
        FROM holdfast.log l WHERE l.index >= first * 256 AND l.index < (first + count) * 256
        GROUP BY 1) g;
  ELSE
    SELECT array_agg(g.hashes ORDER BY g.tile) INTO expected FROM (
      SELECT t.index / 256 AS tile, string_agg(t.root, ''::bytea ORDER BY t.index) AS hashes
        FROM holdfast.tree_tiles t
        WHERE t.level = tile_level - 1
          AND t.index >= first * 256 AND t.index < (first + count) * 256
        GROUP BY 1) g;
  END IF;
  IF expected IS DISTINCT FROM tile_hashes THEN
    RAISE EXCEPTION 'a tile at level % differs from what it stands for', tile_level
      USING ERRCODE = 'HF021';
  END IF;
  INSERT INTO holdfast.tree_tiles (level, index, root, hashes)
    SELECT tile_level, first - 1 + g.ordinal, g.root, g.hashes
      FROM unnest(tile_roots, tile_hashes) WITH ORDINALITY AS g (root, hashes, ordinal);
END $$;

-- Adds a signed checkpoint. It must not be older than the last one, nor differ from it at the same
-- size; every full tile of a tree of its size must be there, and the log must hold it; else HF021.
CREATE FUNCTION holdfast.add_checkpoint(tree_size bigint, tree_root bytea, signed_note text)
  RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  last holdfast.tree_checkpoints;
BEGIN
  PERFORM holdfast.require_tree_lock();
  SELECT * INTO last FROM holdfast.tree_checkpoints ORDER BY ordinal DESC LIMIT 1;
  IF tree_size < last.size OR (tree_size = last.size AND tree_root <> last.root) THEN
    RAISE EXCEPTION 'the checkpoint at % contradicts the one at %', tree_size, last.size
      USING ERRCODE = 'HF021';
  END IF;
  IF tree_size > (SELECT h.next_index FROM holdfast.log_head h)
     OR tree_size / 256 > (SELECT coalesce(max(t.index) + 1, 0) FROM holdfast.tree_tiles t
                           WHERE t.level = 0) THEN
    RAISE EXCEPTION 'the checkpoint at % is ahead of the log or its tiles', tree_size
      USING ERRCODE = 'HF021';
  END IF;
  INSERT INTO holdfast.tree_checkpoints (ordinal, size, root, note)
    VALUES (coalesce(last.ordinal + 1, 0), tree_size, tree_root, signed_note);
END $$;

-- Who holds the lock, as it names itself; null: nobody.
CREATE FUNCTION holdfast.tree_leader() RETURNS text
  LANGUAGE sql STABLE
RETURN (
  SELECT a.application_name
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                        WHERE d.datname = pg_catalog.current_database())
      AND (l.classid::bigint << 32) | l.objid::bigint = holdfast.tree_lock()
    LIMIT 1);

REVOKE EXECUTE ON FUNCTION holdfast.tree_lock(), holdfast.require_tree_lock(),
  holdfast.add_tiles(integer, bigint, bytea[], bytea[]),
  holdfast.add_checkpoint(bigint, bytea, text), holdfast.tree_leader() FROM PUBLIC;
GRANT SELECT ON holdfast.tree_tiles, holdfast.tree_checkpoints TO holdfast_audit;
GRANT EXECUTE ON FUNCTION holdfast.tree_lock(),
  holdfast.add_tiles(integer, bigint, bytea[], bytea[]),
  holdfast.add_checkpoint(bigint, bytea, text), holdfast.tree_leader() TO holdfast_audit;
