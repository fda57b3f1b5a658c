-- Personal data that can be erased. Where a writer seals them, an entry holds no personal values
-- but the SHA-256 of a salted document that does, one for each person that it is about (the actor,
-- the mailbox). The documents lie here, encrypted, under a key of that person's own: without the
-- key nobody can read them any more, and the log, its tree and every proof stay as they are.
-- docs/erasure.md tells what it is for, docs/audit_format.md what a document is.
--
-- Keys are made and used in here and never leave. Proxies can add documents and read none but
-- those of their own open operations; the audit service reads all; holdfast_retention erases and
-- reads none.

SET LOCAL ROLE holdfast_owner;

-- A trusted extension: the right to create in the database suffices.
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA holdfast;

-- Whoever documents are about.
CREATE TABLE holdfast.subjects (
  id uuid PRIMARY KEY,
  key bytea,            -- Of AES-256; null: erased,
  record_index bigint,  -- by the record with this index.
  CONSTRAINT subjects_erased CHECK ((key IS NULL) = (record_index IS NOT NULL)),
  CONSTRAINT subjects_key CHECK (octet_length(key) = 32)
);

-- The names that records know them by, as search has them. Two subjects of one name are one
-- person: a record that named both came after records that named either.
CREATE TABLE holdfast.subject_names (
  name text NOT NULL,
  subject uuid NOT NULL,
  PRIMARY KEY (name, subject)
);
CREATE INDEX subject_names_subject ON holdfast.subject_names (subject);

-- Document `place` of the record `index`, as the entry's member `sealed` counts them.
CREATE TABLE holdfast.sealed_documents (
  index bigint NOT NULL,
  place smallint NOT NULL,
  subject uuid NOT NULL,
  ciphertext bytea,  -- 16 random bytes, then AES-256-CBC; the entry's hash vouches. Null: erased.
  PRIMARY KEY (index, place)
);
CREATE INDEX sealed_documents_subject ON holdfast.sealed_documents (subject, index, place);

-- A record with the values of a document where they belong, as far as the objects around them are
-- there.
CREATE FUNCTION holdfast.with_values(document jsonb, personal jsonb) RETURNS jsonb
  LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT p.key AS pointer, p.value FROM jsonb_each(personal) p LOOP
    document := jsonb_set(document, string_to_array(substr(item.pointer, 2), '/'), item.value);
  END LOOP;
  RETURN document;
END $$;

-- Null: it cannot be read.
CREATE FUNCTION holdfast.decrypted(ciphertext bytea, key bytea) RETURNS text
  LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
  RETURN convert_from(holdfast.decrypt_iv(substring(ciphertext FROM 17), key,
                                          substring(ciphertext FOR 16), 'aes'), 'UTF8');
EXCEPTION WHEN OTHERS THEN
  RETURN NULL;
END $$;

-- A record's documents: [{"document": …}, {"erased": true}, {}], the last for one that cannot be
-- read.
CREATE FUNCTION holdfast.open_documents(wanted bigint) RETURNS jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_agg(CASE
      WHEN s.record_index IS NOT NULL THEN '{"erased": true}'
      ELSE jsonb_strip_nulls(jsonb_build_object(
        'document', holdfast.decrypted(d.ciphertext, s.key)))
    END ORDER BY d.place)
    FROM holdfast.sealed_documents d LEFT JOIN holdfast.subjects s ON s.id = d.subject
    WHERE d.index = wanted
$$;

-- The record as it was before it was sealed, as far as its documents are there and are its own.
CREATE FUNCTION holdfast.opened_entry(index bigint, entry bytea) RETURNS bytea
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  documents jsonb;
  opened jsonb;
  document text;
BEGIN
  IF position('"sealed":['::bytea IN entry) = 0 THEN
    RETURN entry;
  END IF;
  documents := holdfast.open_documents(index);
  opened := convert_from(entry, 'UTF8')::jsonb;
  FOR place IN 0 .. coalesce(jsonb_array_length(documents), 0) - 1 LOOP
    document := documents -> place ->> 'document';
    IF encode(sha256(convert_to(document, 'UTF8')), 'hex')
       = opened #>> ARRAY['sealed', place::text, 'sha256'] THEN
      opened := holdfast.with_values(opened, document::jsonb -> 'values');
    END IF;
  END LOOP;
  RETURN convert_to(opened::text, 'UTF8');
EXCEPTION WHEN OTHERS THEN
  RETURN entry;
END $$;

-- What comes with a batch: [{"entry": which, from 1, "names": […], "document": …}], in the order
-- of the entries and of each one's documents. Returns the entries as they were before they were
-- sealed.
CREATE FUNCTION holdfast.clear_entries(entries bytea[], sealed jsonb) RETURNS bytea[]
  LANGUAGE plpgsql STABLE
AS $$
DECLARE
  item jsonb;
  place integer;
BEGIN
  FOR item IN SELECT value FROM jsonb_array_elements(sealed) LOOP
    place := item ->> 'entry';
    entries[place] := convert_to(holdfast.with_values(convert_from(entries[place], 'UTF8')::jsonb,
      (item ->> 'document')::jsonb -> 'values')::text, 'UTF8');
  END LOOP;
  RETURN entries;
END $$;

-- The subject of those names; where none has one of them, a new one. It then has them all. Those
-- of one batch at a time are new, so that nobody is made twice and no two batches wait for each
-- other's names.
CREATE FUNCTION holdfast.subject_of(names text[]) RETURNS uuid
  LANGUAGE plpgsql
AS $$
DECLARE
  chosen uuid;
BEGIN
  FOR attempt IN 1 .. 2 LOOP
    SELECT n.subject INTO chosen FROM holdfast.subject_names n
      WHERE n.name = ANY (names) GROUP BY n.subject ORDER BY count(*) DESC, n.subject LIMIT 1;
    IF chosen IS NOT NULL AND NOT EXISTS (
         SELECT FROM unnest(names) w (name) WHERE NOT EXISTS (
           SELECT FROM holdfast.subject_names n WHERE n.name = w.name AND n.subject = chosen)) THEN
      RETURN chosen;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.subject_names', 0));
  END LOOP;
  IF chosen IS NULL THEN
    chosen := gen_random_uuid();
    INSERT INTO holdfast.subjects (id, key) VALUES (chosen, holdfast.gen_random_bytes(32));
  END IF;
  INSERT INTO holdfast.subject_names (name, subject)
    SELECT DISTINCT w.name, chosen FROM unnest(names) w (name) ON CONFLICT DO NOTHING;
  RETURN chosen;
END $$;

-- Whose the documents of a batch are, in their order. Those of people who are known, which is
-- nearly all of them, are found in one statement.
CREATE FUNCTION holdfast.subjects_of(sealed jsonb) RETURNS uuid[]
  LANGUAGE plpgsql
AS $$
DECLARE
  subjects uuid[] := ARRAY(
    SELECT (SELECT n.subject FROM holdfast.subject_names n WHERE n.name = ANY (w.names)
              GROUP BY n.subject HAVING count(*) = cardinality(w.names)
              ORDER BY n.subject LIMIT 1)
      FROM (SELECT d.place, ARRAY(
                SELECT DISTINCT holdfast.search_name(name)
                  FROM jsonb_array_elements_text(d.value -> 'names') name) AS names
              FROM jsonb_array_elements(sealed) WITH ORDINALITY d (value, place)) w
      ORDER BY w.place);
BEGIN
  FOR i IN 1 .. cardinality(subjects) LOOP
    IF subjects[i] IS NULL THEN
      subjects[i] := holdfast.subject_of(holdfast.search_names(sealed -> (i - 1) -> 'names'));
    END IF;
  END LOOP;
  RETURN subjects;
END $$;

-- The documents of a batch's entries that are not refused, encrypted; each index counts from the
-- batch's first.
CREATE FUNCTION holdfast.seal_documents(
  entries bytea[], sealed jsonb, subjects uuid[], refusals text[])
  RETURNS holdfast.sealed_documents[]
  LANGUAGE plpgsql
AS $$
DECLARE
  named boolean;
  made holdfast.sealed_documents[];
BEGIN
  SELECT array_agg(ROW(
           CASE WHEN refusals IS NULL THEN g.entry - 1
             ELSE (SELECT count(*) FROM unnest(refusals[1:g.entry - 1]) r WHERE r IS NULL) END,
           g.place, g.subject,
           g.iv || holdfast.encrypt_iv(g.document, s.key, g.iv, 'aes'))::holdfast.sealed_documents),
         bool_and(s.key IS NOT NULL
           AND position(convert_to('{"sha256":"' || encode(sha256(g.document), 'hex') || '"}',
                                   'UTF8') IN entries[g.entry]) > 0)
    INTO made, named
    FROM (SELECT d.entry, convert_to(d.document, 'UTF8') AS document,
                 subjects[d.ordinal] AS subject,
                 row_number() OVER (PARTITION BY d.entry ORDER BY d.ordinal) - 1 AS place,
                 holdfast.gen_random_bytes(16) AS iv
            FROM ROWS FROM (jsonb_to_recordset(sealed) AS (entry integer, document text))
              WITH ORDINALITY d (entry, document, ordinal)
            OFFSET 0) g  -- One iv a row.
    LEFT JOIN holdfast.subjects s ON s.id = g.subject
    WHERE refusals[g.entry] IS NULL;
  IF NOT named THEN
    RAISE EXCEPTION 'an entry does not name its document, or it is of nobody'
      USING ERRCODE = 'HF002';
  END IF;
  RETURN made;
END $$;

DROP FUNCTION holdfast.append_proxy(
  uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[], bigint[]);
DROP FUNCTION holdfast.append_audit(uuid, bigint, bytea[], bytea[], text[], uuid[], text[]);
DROP FUNCTION holdfast.append_entries(
  text[], uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[], bigint[]);

-- Appends a batch in one statement. What refuses single entries:
--   intents    lease_expired, already_open, generation (decided by rules that are not in force),
--              limit and a rule's id (it is spent)
--   outcomes   settled (somebody else ended the operation), closed (not open: ended already, or
--              never begun), not_expired (another writer's, still alive)
--   rules      generation (what it changes is not as it says)
--   all        approval (not in the state that the entry's step needs)
-- Errors that refuse the whole batch: HF001 another process holds the writer's epoch, HF002
-- malformed batch, HF003 no partition, 42501 a kind not permitted.
--
-- Locks: the writer's row, the subjects of sealed documents (only where there are any), the
-- generation of rules (shared by intents), other writers' rows (settling only), operations, limits in
-- the order of their keys, approvals (both only where there are any), the log's head last.
-- Called by append_proxy and append_audit alone.
--
-- Where an entry's personal values are sealed, approvals and limits are told them all the same.
--
-- A batch costs about as much as 25 entries: what is done once for each is kept to few statements.
CREATE FUNCTION holdfast.append_entries(
  permitted text[], writer uuid, writer_epoch bigint,
  entries bytea[], leaf_hashes bytea[], kinds text[], operation_ids uuid[],
  approval_steps text[], limited boolean[], generations bigint[], sealed jsonb)
  RETURNS holdfast.appended
  LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  role_name CONSTANT text := holdfast.session_role();
  size CONSTANT integer := coalesce(cardinality(entries), 0);
  lease timestamptz;
  room bigint;
  clear bytea[];    -- With the personal values that are sealed.
  subjects uuid[];  -- Whose they are.
  documents holdfast.sealed_documents[];
  done holdfast.appended;
BEGIN
  IF size NOT BETWEEN 1 AND 512 OR (size = ALL (ARRAY[cardinality(leaf_hashes),
       cardinality(kinds), cardinality(operation_ids),
       coalesce(cardinality(approval_steps), size),
       coalesce(cardinality(limited), size),
       coalesce(cardinality(generations), size)])) IS NOT TRUE THEN
    RAISE EXCEPTION 'a batch is 1 to 512 entries with as many of everything else'
      USING ERRCODE = 'HF002';
  END IF;
  IF NOT kinds <@ permitted THEN
    RAISE EXCEPTION 'the role % may not write one of these kinds', session_user
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT w.lease_until INTO lease FROM holdfast.writers w
    WHERE w.id = append_entries.writer AND w.epoch = writer_epoch AND w.role = role_name
    FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the writer % is not at epoch %', writer, writer_epoch USING ERRCODE = 'HF001';
  END IF;

  IF sealed IS NOT NULL THEN
    -- Nobody is erased until the batch has committed.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('holdfast.subjects', 0));
    subjects := holdfast.subjects_of(sealed);
    approval_steps := CASE WHEN array_remove(approval_steps, NULL) <> '{}' THEN approval_steps END;
    limited := CASE WHEN true = ANY (limited) THEN limited END;
    IF approval_steps IS NOT NULL OR limited IS NOT NULL OR 'reconciliation' = ANY (kinds) THEN
      clear := holdfast.clear_entries(entries, sealed);
    END IF;
  END IF;

  IF 'rules' = ANY (kinds) THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.generations', 0));
    done.refusals := holdfast.take_generation_changes(
      append_entries.writer, role_name, entries, kinds);
  END IF;
  IF 'intent' = ANY (kinds) THEN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('holdfast.generations', 0));
    done.refusals := holdfast.refused_intents(kinds, operation_ids, lease, generations,
                                              done.refusals);
  END IF;
  IF 'outcome' = ANY (kinds) THEN
    done.refusals := holdfast.refused_outcomes(append_entries.writer, role_name, entries, kinds,
                                               operation_ids, done.refusals);
  END IF;
  IF limited IS NOT NULL THEN
    done.refusals := holdfast.take_limits(coalesce(clear, entries), kinds, operation_ids, limited,
                                          done.refusals);
  END IF;
  IF approval_steps IS NOT NULL OR 'reconciliation' = ANY (kinds) THEN
    done.refusals := holdfast.take_approval_steps(coalesce(clear, entries), kinds, approval_steps,
                                                  done.refusals);
  END IF;
  IF sealed IS NOT NULL THEN
    documents := holdfast.seal_documents(entries, sealed, subjects, done.refusals);
  END IF;
  IF done.refusals IS NOT NULL THEN
    IF limited IS NOT NULL THEN
      PERFORM holdfast.give_back_limits(kinds, operation_ids, limited, done.refusals);
    END IF;
    SELECT array_agg(g.entry ORDER BY g.ordinal), array_agg(g.leaf_hash ORDER BY g.ordinal),
           array_agg(g.kind ORDER BY g.ordinal), array_agg(g.operation ORDER BY g.ordinal)
      INTO entries, leaf_hashes, kinds, operation_ids
      FROM unnest(entries, leaf_hashes, kinds, operation_ids, done.refusals)
        WITH ORDINALITY AS g (entry, leaf_hash, kind, operation, reason, ordinal)
      WHERE g.reason IS NULL;
    IF entries IS NULL THEN
      RETURN done;
    END IF;
  END IF;

  UPDATE holdfast.log_head h SET next_index = h.next_index + cardinality(entries)
    RETURNING h.next_index - cardinality(entries), h.partitions_end - h.next_index
    INTO done.first, room;
  IF room < 0 THEN
    RAISE EXCEPTION 'the log has no partition for index %', done.first USING ERRCODE = 'HF003';
  END IF;
  IF 'intent' = ANY (kinds) THEN
    INSERT INTO holdfast.open_operations (operation_id, writer, intent_index)
      SELECT g.operation, append_entries.writer, done.first + g.ordinal - 1
        FROM unnest(kinds, operation_ids) WITH ORDINALITY AS g (kind, operation, ordinal)
        WHERE g.kind = 'intent';
  END IF;
  INSERT INTO holdfast.log (index, entry, leaf_hash, kind, role)
    SELECT done.first + g.ordinal - 1, g.entry, g.leaf_hash, g.kind, role_name
      FROM unnest(entries, leaf_hashes, kinds)
        WITH ORDINALITY AS g (entry, leaf_hash, kind, ordinal);
  IF documents IS NOT NULL THEN
    INSERT INTO holdfast.sealed_documents (index, place, subject, ciphertext)
      SELECT done.first + d.index, d.place, d.subject, d.ciphertext FROM unnest(documents) d;
  END IF;
  RETURN done;
END $$;

-- The entry point of `holdfast proxy`.
CREATE FUNCTION holdfast.append_proxy(
  writer uuid, writer_epoch bigint, entries bytea[], leaf_hashes bytea[], kinds text[],
  operation_ids uuid[], approval_steps text[] DEFAULT NULL, limited boolean[] DEFAULT NULL,
  generations bigint[] DEFAULT NULL, sealed jsonb DEFAULT NULL)
  RETURNS holdfast.appended
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  -- open_operations is small but churns; a scan over its dead rows must never be chosen. What that
  -- setting does to estimated costs would start the compiler for every batch.
  SET enable_seqscan = off
  SET jit = off
AS $$
BEGIN
  IF session_user <> 'holdfast_proxy' THEN
    RAISE EXCEPTION 'append_proxy is for holdfast_proxy' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN holdfast.append_entries(
    '{decision,intent,outcome,reconciliation,rules,system}', writer, writer_epoch, entries,
    leaf_hashes, kinds, operation_ids, approval_steps, limited, generations, sealed);
END $$;

CREATE FUNCTION holdfast.append_audit(
  writer uuid, writer_epoch bigint, entries bytea[], leaf_hashes bytea[], kinds text[],
  operation_ids uuid[], approval_steps text[] DEFAULT NULL, sealed jsonb DEFAULT NULL)
  RETURNS holdfast.appended
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET enable_seqscan = off
  SET jit = off
AS $$
DECLARE
  done holdfast.appended;
BEGIN
  IF session_user <> 'holdfast_audit' THEN
    RAISE EXCEPTION 'append_audit is for holdfast_audit' USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- No step of an approval follows the record that ended the token it was asked for with.
  IF 'system' = ANY (kinds) THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.tokens', 0));
  ELSIF 'approval' = ANY (kinds) THEN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('holdfast.tokens', 0));
  END IF;
  done := holdfast.append_entries(
    '{outcome,reconciliation,approval,access,rules,system}', writer, writer_epoch, entries,
    leaf_hashes, kinds, operation_ids, approval_steps, NULL, NULL, sealed);
  IF 'system' = ANY (kinds) THEN
    PERFORM holdfast.take_token_changes(entries, kinds, done.refusals);
    PERFORM holdfast.take_hold_changes(done.first, entries, kinds, done.refusals);
  END IF;
  RETURN done;
END $$;

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
  RETURN QUERY SELECT o.operation_id, o.intent_index, holdfast.opened_entry(l.index, l.entry)
    FROM holdfast.open_operations o JOIN holdfast.log l ON l.index = o.intent_index
    WHERE o.writer = own_open_operations.writer ORDER BY o.intent_index;
END $$;

-- Operations whose writer's lease has run out, oldest first, with their intents.
CREATE OR REPLACE FUNCTION holdfast.expired_operations(at_most integer)
  RETURNS TABLE (operation_id uuid, writer uuid, intent_index bigint, intent bytea)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT o.operation_id, o.writer, o.intent_index,
         holdfast.opened_entry(l.index, l.entry)
    FROM holdfast.writers w
    JOIN holdfast.open_operations o ON o.writer = w.id
    JOIN holdfast.log l ON l.index = o.intent_index
    WHERE w.lease_until < clock_timestamp()
    ORDER BY o.intent_index LIMIT at_most
$$;

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
    INSERT INTO holdfast.record_search
      SELECT r.* FROM (
          SELECT l.index, CASE WHEN opens THEN holdfast.opened_entry(l.index, l.entry)
                            ELSE l.entry END AS entry
            FROM holdfast.log l WHERE l.index >= first AND l.index < until
            OFFSET 0) o  -- Opens an entry once.
        LEFT JOIN LATERAL holdfast.search_rows(o.index, o.entry) r ON true;
  EXCEPTION WHEN OTHERS THEN
    INSERT INTO holdfast.record_search
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

-- Everybody who is the person of that name: subjects that share a name are one.
CREATE FUNCTION holdfast.subjects_sharing(whom uuid[]) RETURNS uuid[]
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE same (subject) AS (
    SELECT unnest(whom)
    UNION
    SELECT o.subject FROM same s
      JOIN holdfast.subject_names n ON n.subject = s.subject
      JOIN holdfast.subject_names o ON o.name = n.name)
  SELECT array_agg(same.subject ORDER BY same.subject) FROM same
$$;

-- How many documents they have, and the SHA-256 of a line `<index> <place>` for each, in order.
CREATE FUNCTION holdfast.documents_of(whom uuid[], OUT documents bigint, OUT documents_sha256 text)
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT count(*), encode(sha256(convert_to(coalesce(string_agg(
      d.index || ' ' || d.place || E'\n', '' ORDER BY d.index, d.place), ''), 'UTF8')), 'hex')
    FROM holdfast.sealed_documents d WHERE d.subject = ANY (whom)
$$;

-- Why they must not be erased; null: nothing is against it.
CREATE FUNCTION holdfast.erasure_obstacle(whom uuid[]) RETURNS text
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  hold holdfast.holds;
  names text[];
BEGIN
  IF EXISTS (SELECT FROM holdfast.sealed_documents d, holdfast.search_state s
               WHERE d.subject = ANY (whom) AND d.index >= s.derived) THEN
    RETURN 'the search table does not reach their newest record';
  END IF;
  FOR hold IN SELECT h.* FROM holdfast.holds h WHERE h.state <> 'lifted' ORDER BY h.number LOOP
    names := holdfast.names_of_mailboxes(hold.mailboxes);
    IF EXISTS (SELECT FROM holdfast.subject_names n
                 WHERE n.subject = ANY (whom) AND n.name = ANY (names))
       OR EXISTS (SELECT FROM holdfast.sealed_documents d
                    JOIN holdfast.record_search r ON r.index = d.index
                    WHERE d.subject = ANY (whom)
                      AND (r.mailboxes && names OR r.actors && names OR r.malformed)) THEN
      RETURN 'legal hold ' || hold.id;
    END IF;
  END LOOP;
  IF EXISTS (SELECT FROM holdfast.open_operations o
               JOIN holdfast.sealed_documents d ON d.index = o.intent_index
               WHERE d.subject = ANY (whom)) THEN
    RETURN 'an operation of theirs has no outcome yet';
  END IF;
  IF EXISTS (SELECT FROM holdfast.sealed_documents d
               JOIN holdfast.record_search r ON r.index = d.index
               JOIN holdfast.approval_history h ON h.record = r.id
               JOIN holdfast.approvals a ON a.code = h.code
               WHERE d.subject = ANY (whom) AND holdfast.approval_state(a, clock_timestamp())
                     IN ('PENDING', 'APPROVED', 'CLAIMED')) THEN
    RETURN 'an approval of theirs is still open';
  END IF;
  IF EXISTS (SELECT FROM holdfast.sealed_documents d
               JOIN holdfast.record_search r ON r.index = d.index
               JOIN holdfast.review_history h ON h.record = r.id
               JOIN holdfast.reviews v ON v.code = h.code
               WHERE d.subject = ANY (whom) AND v.closed_at IS NULL) THEN
    RETURN 'a review of theirs is still open';
  END IF;
  RETURN NULL;
END $$;

-- Whom that name would erase, and what a record that does so must say of it.
CREATE FUNCTION holdfast.erasure_plan(wanted text) RETURNS jsonb
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  whom CONSTANT uuid[] := holdfast.subjects_sharing(ARRAY(
    SELECT n.subject FROM holdfast.subject_names n WHERE n.name = holdfast.search_name(wanted)));
BEGIN
  RETURN (
    SELECT jsonb_build_object(
        'subjects', to_jsonb(coalesce(whom, '{}')),
        'names', (SELECT coalesce(jsonb_agg(DISTINCT n.name ORDER BY n.name), '[]')
                    FROM holdfast.subject_names n WHERE n.subject = ANY (whom)),
        'documents', d.documents, 'documents_sha256', d.documents_sha256,
        'obstacle', holdfast.erasure_obstacle(whom))
      FROM holdfast.documents_of(whom) d);
END $$;

-- Appends the record and takes keys and names away. Appends of sealed entries wait from the first
-- of these locks to the commit, so none is waited for long: lock_not_available, and it is tried
-- again. HF031: what the record says is not so any more, or a hold was changed since `holds_seen`.
CREATE FUNCTION holdfast.end_subjects(
  whom uuid[], entry bytea, leaf_hash bytea, holds_seen bigint)
  RETURNS bigint
  LANGUAGE plpgsql
AS $$
DECLARE
  content CONSTANT jsonb := convert_from(entry, 'UTF8')::jsonb -> 'system';
  placed bigint;
BEGIN
  PERFORM set_config('lock_timeout', '500ms', true);
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.subjects', 0));
  IF holdfast.subjects_sharing(whom) IS DISTINCT FROM whom
     OR EXISTS (SELECT FROM holdfast.documents_of(whom) d
                  WHERE d.documents IS DISTINCT FROM (content ->> 'documents')::bigint
                     OR d.documents_sha256 IS DISTINCT FROM content ->> 'documents_sha256') THEN
    RAISE EXCEPTION 'there is a new record of theirs' USING ERRCODE = 'HF031';
  END IF;
  PERFORM FROM holdfast.log_head FOR UPDATE;
  IF holds_seen IS DISTINCT FROM (SELECT max(h.changed_index) FROM holdfast.holds h) THEN
    RAISE EXCEPTION 'a legal hold was changed meanwhile' USING ERRCODE = 'HF031';
  END IF;
  placed := holdfast.append_retention(entry, leaf_hash);
  UPDATE holdfast.subjects s SET key = NULL, record_index = placed
    WHERE s.id = ANY (whom) AND s.key IS NOT NULL;
  DELETE FROM holdfast.subject_names n WHERE n.subject = ANY (whom);
  RETURN placed;
END $$;

-- Erases the subjects that the record names, all or nothing of it, in one transaction with the
-- record: their keys, what is encrypted under them, their names, and what search says because of
-- them. Returns the record's index. HF030: it must not be, and why. HF031: not now.
CREATE FUNCTION holdfast.erase_subjects(entry bytea, leaf_hash bytea) RETURNS bigint
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
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.derive_search', 0));
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

-- Forgets whoever has no documents left because retention dropped all records of theirs. Returns
-- how many. HF031: not now.
CREATE FUNCTION holdfast.forget_subjects() RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  idle CONSTANT uuid[] := ARRAY(
    SELECT s.id FROM holdfast.subjects s
      WHERE s.key IS NOT NULL
        AND NOT EXISTS (SELECT FROM holdfast.sealed_documents d WHERE d.subject = s.id));
  gone uuid[];
BEGIN
  PERFORM set_config('lock_timeout', '500ms', true);
  -- A batch that has found one of them before has committed its documents now.
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.subjects', 0));
  WITH deleted AS (
    DELETE FROM holdfast.subjects s
      WHERE s.id = ANY (idle)
        AND NOT EXISTS (SELECT FROM holdfast.sealed_documents d WHERE d.subject = s.id)
      RETURNING s.id)
    SELECT array_agg(deleted.id) INTO gone FROM deleted;
  DELETE FROM holdfast.subject_names n WHERE n.subject = ANY (gone);
  RETURN coalesce(cardinality(gone), 0);
EXCEPTION WHEN lock_not_available THEN
  RAISE EXCEPTION 'the log was being written all the time' USING ERRCODE = 'HF031';
END $$;

GRANT SELECT (id, record_index) ON holdfast.subjects TO holdfast_audit;
GRANT SELECT (index, place, subject) ON holdfast.sealed_documents TO holdfast_audit;
GRANT EXECUTE ON FUNCTION
  holdfast.append_proxy(
    uuid, bigint, bytea[], bytea[], text[], uuid[], text[], boolean[], bigint[], jsonb)
  TO holdfast_proxy;
GRANT EXECUTE ON FUNCTION
  holdfast.append_audit(uuid, bigint, bytea[], bytea[], text[], uuid[], text[], jsonb),
  holdfast.open_documents(bigint), holdfast.opened_entry(bigint, bytea)
  TO holdfast_audit;
GRANT EXECUTE ON FUNCTION holdfast.erasure_plan(text), holdfast.erase_subjects(bytea, bytea),
  holdfast.forget_subjects() TO holdfast_retention;
