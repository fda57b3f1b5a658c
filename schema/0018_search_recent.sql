-- What search has of recent records, apart from what is indexed. The indexes of the search table cost
-- several times what its rows do, most of it that of `words`: at the pace that the log can be written,
-- more than there is. So derive_search() puts rows where nothing but their order is indexed, where
-- every question looks through all of them, and index_search() moves them on behind.

SET LOCAL ROLE holdfast_owner;

-- Part of the search table for whoever reads, deletes or empties that. What is inserted there is
-- indexed at once.
CREATE TABLE holdfast.record_search_recent (PRIMARY KEY (index))
  INHERITS (holdfast.record_search)
  -- Every row is deleted soon.
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);

-- Every row below `indexed` is where the indexes are. Not in search_state: that row must not be
-- locked for as long as moving takes.
CREATE TABLE holdfast.search_index_state (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
  indexed bigint NOT NULL
);
INSERT INTO holdfast.search_index_state (indexed) SELECT derived FROM holdfast.search_state;

-- Derives up to `batch` more records and returns how many. One caller works at a time; the others
-- get 0 at once, and so does a caller when nothing is left.
CREATE OR REPLACE FUNCTION holdfast.derive_search(batch integer) RETURNS bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  first bigint;
  until bigint;
  opens boolean;  -- Some of them have sealed documents.
BEGIN
  IF batch IS NULL OR batch < 1 THEN
    RAISE EXCEPTION 'derive_search: batch must be at least 1' USING ERRCODE = '22023';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.derive_search', 0)) THEN
    RETURN 0;
  END IF;
  SELECT derived INTO STRICT first FROM holdfast.search_state;
  SELECT least(next_index, first + batch) INTO STRICT until FROM holdfast.log_head;
  opens := EXISTS (SELECT FROM holdfast.sealed_documents d
                     WHERE d.index >= first AND d.index < until);
  BEGIN
    -- An entry that is no record is joined with nulls, which the table refuses.
    INSERT INTO holdfast.record_search_recent
      SELECT r.* FROM (
          SELECT l.index, CASE WHEN opens THEN holdfast.opened_entry(l.index, l.entry)
                            ELSE l.entry END AS entry
            FROM holdfast.log l WHERE l.index >= first AND l.index < until
            OFFSET 0) o  -- Opens an entry once.
        LEFT JOIN LATERAL holdfast.search_rows(o.index, o.entry) r ON true;
  EXCEPTION WHEN OTHERS THEN
    INSERT INTO holdfast.record_search_recent
      SELECT (derived.row).*
      FROM (SELECT holdfast.search_row(l.index,
                CASE WHEN opens THEN holdfast.opened_entry(l.index, l.entry)
                  ELSE l.entry END) AS row
            FROM holdfast.log l WHERE l.index >= first AND l.index < until
            OFFSET 0) AS derived;  -- Calls search_row() once a row, not once a column.
  END;
  PERFORM holdfast.derive_unsettled(first, until);
  UPDATE holdfast.search_state SET derived = until;
  RETURN until - first;
END $$;

-- Nobody derives or moves rows until the transaction ends: for whoever changes them.
CREATE FUNCTION holdfast.hold_search() RETURNS void
  LANGUAGE sql
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('holdfast.derive_search', 0));
  SELECT pg_advisory_xact_lock(hashtextextended('holdfast.index_search', 0));
$$;

-- Moves up to `batch` derived records, the oldest first, to where the indexes are and returns how
-- many were looked at. One caller works at a time; the others get 0 at once, and so does a caller
-- when nothing is left, or when search is far behind: then the machine is for deriving. Deriving
-- goes on meanwhile.
CREATE FUNCTION holdfast.index_search(batch integer) RETURNS bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  first bigint;
  until bigint;
  behind bigint;  -- So many records are not in search yet.
BEGIN
  IF batch IS NULL OR batch < 1 THEN
    RAISE EXCEPTION 'index_search: batch must be at least 1' USING ERRCODE = '22023';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.index_search', 0)) THEN
    RETURN 0;
  END IF;
  SELECT least(i.indexed, s.derived), least(s.derived, i.indexed + batch),
         h.next_index - s.derived
    INTO STRICT first, until, behind
    FROM holdfast.search_index_state i, holdfast.search_state s, holdfast.log_head h;
  IF behind > 4 * batch THEN
    RETURN 0;
  END IF;
  WITH moved AS (
    DELETE FROM holdfast.record_search_recent r WHERE r.index >= first AND r.index < until
      RETURNING r.*)
  INSERT INTO holdfast.record_search SELECT m.* FROM moved m ORDER BY m.index;
  UPDATE holdfast.search_index_state SET indexed = until WHERE indexed <> until;
  RETURN until - first;
END $$;

-- Empties the search table; derive_search() then fills it again from the first record of the log.
CREATE OR REPLACE FUNCTION holdfast.rebuild_search() RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM holdfast.hold_search();
  TRUNCATE holdfast.record_search, holdfast.unsettled;
  UPDATE holdfast.search_state SET derived = 0;
  UPDATE holdfast.search_index_state SET indexed = 0;
END $$;

-- Drops the partition that the record names, and with it what is derived from its records, in one
-- transaction with the record. Returns the record's index. HF030: it may not go, and why, or the
-- record does not say what it must, or the tree does not hold the records' hashes. HF031: not now.
CREATE OR REPLACE FUNCTION holdfast.drop_partition(entry bytea, leaf_hash bytea) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET jit = off
AS $$
DECLARE
  content CONSTANT jsonb := convert_from(entry, 'UTF8')::jsonb -> 'system';
  begin_at CONSTANT bigint := content ->> 'first';
  end_at CONSTANT bigint := content ->> 'until';
  partition text;
  obstacle text;
  holds_seen bigint;
  placed bigint;
BEGIN
  IF session_user <> 'holdfast_retention' THEN
    RAISE EXCEPTION 'drop_partition is for holdfast_retention'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.retention', 0)) THEN
    RAISE EXCEPTION 'somebody else drops a partition' USING ERRCODE = 'HF031';
  END IF;
  SELECT p.name INTO partition FROM holdfast.log_partitions() p
    WHERE p.first = begin_at AND p.until = end_at;
  IF NOT FOUND OR content ->> 'event' IS DISTINCT FROM 'partition_dropped'
     OR content -> 'ranges' IS DISTINCT FROM holdfast.ranges_with(begin_at, end_at)
     OR NOT EXISTS (SELECT FROM holdfast.tree_checkpoints c
                      WHERE c.size = (content #>> '{checkpoint,size}')::bigint AND c.size >= end_at
                        AND encode(c.root, 'base64') = content #>> '{checkpoint,root}') THEN
    RAISE EXCEPTION 'the record does not say what goes and what stays' USING ERRCODE = 'HF030';
  END IF;
  SELECT max(h.changed_index) INTO holds_seen FROM holdfast.holds h;
  obstacle := holdfast.retention_obstacle(
    begin_at, end_at, make_interval(secs => (content ->> 'age_s')::bigint));
  IF obstacle IS NOT NULL THEN
    RAISE EXCEPTION 'the records % to % stay: %', begin_at, end_at - 1, obstacle
      USING ERRCODE = 'HF030';
  END IF;
  IF EXISTS (
       SELECT FROM (SELECT l.index / 256 AS tile,
                           string_agg(l.leaf_hash, ''::bytea ORDER BY l.index) AS hashes
                      FROM holdfast.log l
                      WHERE l.index >= begin_at AND l.index < end_at
                      GROUP BY 1) g
         FULL JOIN (SELECT t.index AS tile, t.hashes FROM holdfast.tree_tiles t
                      WHERE t.level = 0 AND t.index >= begin_at / 256
                        AND t.index < end_at / 256) t USING (tile)
         WHERE g.hashes IS DISTINCT FROM t.hashes) THEN
    RAISE EXCEPTION 'the tree does not hold the hashes of the records % to %', begin_at, end_at - 1
      USING ERRCODE = 'HF030';
  END IF;
  -- Rows that are being moved are none that could be deleted.
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.index_search', 0));
  DELETE FROM holdfast.record_search r
    WHERE r.index >= begin_at AND r.index < end_at;
  -- Of what is erased already the row stays: it is what the record of the erasure counts.
  DELETE FROM holdfast.sealed_documents d
    WHERE d.index >= begin_at AND d.index < end_at AND d.ciphertext IS NOT NULL;
  DELETE FROM holdfast.unsettled u
    WHERE u.outcome_index >= begin_at AND u.outcome_index < end_at;
  FOR attempt IN 1 .. 20 LOOP
    BEGIN
      placed := holdfast.detach_partition(partition, entry, leaf_hash, holds_seen);
      EXIT;
    EXCEPTION WHEN lock_not_available THEN
      IF attempt = 20 THEN
        RAISE EXCEPTION 'the log was being read or written all the time' USING ERRCODE = 'HF031';
      END IF;
      PERFORM pg_sleep(0.2);
    END;
  END LOOP;
  DELETE FROM holdfast.holds h
    WHERE h.state = 'lifted' AND h.changed_index >= begin_at AND h.changed_index < end_at;
  INSERT INTO holdfast.dropped_ranges (first, until, record_index)
    VALUES (begin_at, end_at, placed);
  RETURN placed;
END $$;

-- Erases the subjects that the record names, all or nothing of it, in one transaction with the
-- record: their keys, what is encrypted under them, their names, and what search says because of
-- them. Returns the record's index. HF030: it must not be, and why. HF031: not now.
CREATE OR REPLACE FUNCTION holdfast.erase_subjects(entry bytea, leaf_hash bytea) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET jit = off
AS $$
DECLARE
  content CONSTANT jsonb := convert_from(entry, 'UTF8')::jsonb -> 'system';
  whom CONSTANT uuid[] := ARRAY(
    SELECT value::uuid FROM jsonb_array_elements_text(content -> 'subjects') ORDER BY 1);
  obstacle text;
  holds_seen bigint;
BEGIN
  IF session_user <> 'holdfast_retention' THEN
    RAISE EXCEPTION 'erase_subjects is for holdfast_retention'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.retention', 0)) THEN
    RAISE EXCEPTION 'somebody else drops or erases records' USING ERRCODE = 'HF031';
  END IF;
  IF content ->> 'event' IS DISTINCT FROM 'subject_erased' OR cardinality(whom) = 0
     OR coalesce(content ->> 'reason', '') = '' OR coalesce(content ->> 'by', '') = ''
     OR cardinality(whom) <> (SELECT count(*) FROM holdfast.subjects s
                                WHERE s.id = ANY (whom) AND s.key IS NOT NULL) THEN
    RAISE EXCEPTION 'the record does not say who is erased, by whom and why'
      USING ERRCODE = 'HF030';
  END IF;
  PERFORM holdfast.hold_search();
  SELECT max(h.changed_index) INTO holds_seen FROM holdfast.holds h;
  obstacle := holdfast.erasure_obstacle(whom);
  IF obstacle IS NOT NULL THEN
    RAISE EXCEPTION 'they stay: %', obstacle USING ERRCODE = 'HF030';
  END IF;
  UPDATE holdfast.sealed_documents d SET ciphertext = NULL WHERE d.subject = ANY (whom);
  DELETE FROM holdfast.record_search r USING holdfast.sealed_documents d
    WHERE d.subject = ANY (whom) AND r.index = d.index;
  INSERT INTO holdfast.record_search
    SELECT (derived.row).*
    FROM (SELECT holdfast.search_row(l.index, holdfast.opened_entry(l.index, l.entry)) AS row
          FROM holdfast.log l
          WHERE l.index IN (SELECT d.index FROM holdfast.sealed_documents d
                              WHERE d.subject = ANY (whom))
          OFFSET 0) AS derived;
  FOR attempt IN 1 .. 20 LOOP
    BEGIN
      RETURN holdfast.end_subjects(whom, entry, leaf_hash, holds_seen);
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(0.2);
    END;
  END LOOP;
  RAISE EXCEPTION 'the log was being written all the time' USING ERRCODE = 'HF031';
END $$;

GRANT SELECT ON holdfast.search_index_state TO holdfast_audit;
GRANT EXECUTE ON FUNCTION holdfast.index_search(integer) TO holdfast_audit;
