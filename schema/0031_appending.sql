-- What appending costs, by itself and with a claim: one constraint instead of five, no look at what the
-- table's own key refuses, and rows of approvals that are narrow. docs/adr/0031-what-a-batch-costs.md

SET LOCAL ROLE holdfast_owner;

-- In the order in which appending takes them.
LOCK TABLE holdfast.approvals, holdfast.approval_history, holdfast.log;

-- Whether that is an entry with what stands beside it; an error that names what is wrong, if not.
--
-- PostgreSQL reads the text of every constraint again for every statement, which for a batch of few costs
-- more than what it says: hence one function. What the database proves of the kind and why is in
-- docs/adr/0027-what-the-database-proves-of-an-entry.md: intents and outcomes are cut behind the first
-- such bytes in them, and what is before that, closed, is an object only where they are a member of it.
-- (Another member comes before the kind: an entry has an id.) The writer is an entry's last member and its
-- role the writer's last, so the final bytes settle that.
CREATE FUNCTION holdfast.is_entry(
  index bigint, entry bytea, leaf_hash bytea, kind text, role text) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
  IF index >= 0 AND octet_length(entry) <= 65535
     AND leaf_hash = sha256('\x00'::bytea || entry)
     AND substring(entry FROM octet_length(entry) - octet_length(role) - 10)
         = (CASE role WHEN 'proxy' THEN '"role":"proxy"}}'::bytea
                      WHEN 'audit' THEN '"role":"audit"}}'::bytea
                      WHEN 'retention' THEN '"role":"retention"}}'::bytea END)
     AND (CASE kind
       WHEN 'intent' THEN
         convert_from(substring(entry FOR nullif(position(',"kind":"intent",'::bytea IN entry), 0) + 15)
                      || '}'::bytea, 'UTF8')::json IS NOT NULL
       WHEN 'outcome' THEN
         convert_from(substring(entry FOR nullif(position(',"kind":"outcome",'::bytea IN entry), 0) + 16)
                      || '}'::bytea, 'UTF8')::json IS NOT NULL
       ELSE convert_from(entry, 'UTF8')::json ->> 'kind' = kind END) THEN
    RETURN true;
  END IF;
  RAISE EXCEPTION 'no entry: its % is wrong', CASE
      WHEN (index >= 0) IS NOT TRUE THEN 'index'
      WHEN (octet_length(entry) <= 65535) IS NOT TRUE THEN 'size'
      WHEN (leaf_hash = sha256('\x00'::bytea || entry)) IS NOT TRUE THEN 'leaf hash'
      WHEN role IN ('proxy', 'audit', 'retention')
        AND substring(entry FROM octet_length(entry) - octet_length(role) - 10)
            = convert_to('"role":"' || role || '"}}', 'UTF8') THEN 'kind'
      ELSE 'role' END
    USING ERRCODE = 'check_violation', CONSTRAINT = 'log_entry';
END $$;

-- Not checked against old rows, which satisfy the constraints there were. is_of_kind() stays, unused:
-- `holdfast verify` makes the tables of all migrations once more, with what they had in between.
ALTER TABLE holdfast.log DROP CONSTRAINT log_index;
ALTER TABLE holdfast.log DROP CONSTRAINT log_entry_size;
ALTER TABLE holdfast.log DROP CONSTRAINT log_leaf_hash;
ALTER TABLE holdfast.log DROP CONSTRAINT log_kind;
ALTER TABLE holdfast.log DROP CONSTRAINT log_role;
ALTER TABLE holdfast.log ADD CONSTRAINT log_entry
  CHECK (holdfast.is_entry(index, entry, leaf_hash, kind, role)) NOT VALID;

-- As in 0011_generations.sql, for an entry that comes alone. Of a batch, the key of open_operations refuses
-- what is open; a batch that it refuses comes again, entry by entry. What its own outcomes end is not open
-- any more then, so no operation may be in it twice.
CREATE OR REPLACE FUNCTION holdfast.refused_intents(
  kinds text[], operation_ids uuid[], lease timestamptz, generations bigint[], refusals text[])
  RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  expired CONSTANT boolean := clock_timestamp() >= lease;  -- After the writer's row is locked.
  active CONSTANT bigint := (SELECT a.number FROM holdfast.generations a WHERE a.state = 'active');
  known CONSTANT boolean := NOT expired AND CASE
    WHEN active IS NULL THEN generations IS NULL
    ELSE array_positions(generations, active) = array_positions(kinds, 'intent')
      AND array_lower(generations, 1) = array_lower(kinds, 1) END;
BEGIN
  IF known AND cardinality(kinds) > 1
     AND (SELECT count(g.operation) = count(DISTINCT g.operation)
            FROM unnest(operation_ids) AS g (operation)) THEN
    RETURN refusals;
  END IF;
  RETURN (
    SELECT CASE WHEN count(g.refusal) > 0 THEN array_agg(g.refusal ORDER BY g.ordinal) END
      FROM (SELECT u.ordinal, CASE
                WHEN u.kind <> 'intent' THEN u.reason
                WHEN expired THEN 'lease_expired'
                WHEN u.operation IS NULL OR o.operation_id IS NOT NULL
                  OR row_number() OVER (PARTITION BY u.kind, u.operation ORDER BY u.ordinal) > 1
                  THEN 'already_open'
                WHEN u.generation IS DISTINCT FROM active THEN 'generation'
              END AS refusal
              FROM unnest(kinds, operation_ids, generations, refusals)
                WITH ORDINALITY AS u (kind, operation, generation, reason, ordinal)
              LEFT JOIN holdfast.open_operations o ON o.operation_id = u.operation) g);
END $$;

-- A claim and its end write the approval's row anew: what was filed, most of it, is kept beside the table
-- from 2 KB on, and pages have room for both. The length of the binding is looked at where it is filed, in file_approval.
ALTER TABLE holdfast.approvals DROP CONSTRAINT approvals_binding_check;
ALTER TABLE holdfast.approvals SET (toast_tuple_target = 256, fillfactor = 45);
ALTER TABLE holdfast.approvals ALTER COLUMN binding SET STORAGE PLAIN;
ALTER TABLE holdfast.approvals ALTER COLUMN outcome SET STORAGE MAIN;

-- LZ4 takes a tenth of the time. A server may be built without it.
DO $$
DECLARE
  log regclass;
BEGIN
  ALTER TABLE holdfast.approvals ALTER COLUMN filing SET COMPRESSION lz4,
    ALTER COLUMN outcome SET COMPRESSION lz4;
  ALTER TABLE holdfast.approval_history ALTER COLUMN content SET COMPRESSION lz4;
  FOR log IN SELECT relid FROM pg_partition_tree('holdfast.log') LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN entry SET COMPRESSION lz4', log);
  END LOOP;
EXCEPTION WHEN feature_not_supported THEN
  NULL;
END $$;

-- As in 0004_approvals.sql, with what the constraint said.
CREATE OR REPLACE FUNCTION holdfast.file_approval(document jsonb, now timestamptz) RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  content CONSTANT jsonb := document -> 'approval';
  bound CONSTANT bytea := decode(content ->> 'binding', 'hex');
  newest holdfast.approvals;
BEGIN
  IF (octet_length(bound) = 32) IS NOT TRUE THEN
    RAISE EXCEPTION 'the binding of an approval is of 32 bytes' USING ERRCODE = 'check_violation';
  END IF;
  SELECT a.* INTO newest FROM holdfast.approvals a
    WHERE a.binding = bound ORDER BY a.number DESC LIMIT 1;
  IF FOUND AND holdfast.approval_answers(newest, now) THEN
    -- The rules ask for more than they did when it was filed.
    IF newest.state NOT IN ('PENDING', 'APPROVED')
       OR newest.code IS DISTINCT FROM (content ->> 'replaces')::uuid THEN
      RETURN 'approval';
    END IF;
    PERFORM holdfast.note_approval_step(newest.code, 'invalidate', 'INVALIDATED', now,
      (document ->> 'id')::uuid, jsonb_build_object('replaced_by', content ->> 'code'));
  END IF;
  INSERT INTO holdfast.approvals
      (code, binding, state, step, filed_at, decide_by, use_within, filing)
    VALUES ((content ->> 'code')::uuid, bound, 'PENDING', 1, now,
      now + make_interval(secs => (content ->> 'decide_within_s')::bigint),
      make_interval(secs => (content ->> 'use_within_s')::bigint),
      content || jsonb_build_object(
        'request', document -> 'request', 'operation', document -> 'operation',
        'actor', document -> 'actor', 'rules', document #> '{decision,rules}'));
  INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
    VALUES ((content ->> 'code')::uuid, 1, 'file', 'PENDING', now, (document ->> 'id')::uuid,
      content);
  RETURN NULL;
END $$;

-- As in 0030_claims.sql, where the comment on it is. What a member stands behind is not searched again, and
-- of an outcome only: `position` takes as long as three memory copies.
CREATE OR REPLACE FUNCTION holdfast.claim_members(entry bytea, kind text) RETURNS jsonb
  LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  approval CONSTANT bytea :=
    substring(entry FROM nullif(position('"approval":{'::bytea IN entry), 0));
  approval_length CONSTANT integer :=
    position('}'::bytea IN substring(approval FOR 1000));  -- It holds no object.
  kind_at CONSTANT integer := position(convert_to('","kind":"' || kind || '",', 'UTF8') IN approval);
  operation CONSTANT bytea := substring(approval FROM nullif(
    kind_at + position('"operation_id":"'::bytea IN substring(approval FROM kind_at + 1)), kind_at));
  outcome CONSTANT bytea := CASE kind WHEN 'outcome' THEN substring(operation FROM 54) ELSE '' END;
  outcome_length CONSTANT integer :=
    CASE kind WHEN 'outcome' THEN position(',"request":{'::bytea IN outcome) - 1 ELSE 0 END;
BEGIN
  IF (approval_length > 0 AND kind_at > 36 AND octet_length(operation) > 54 AND outcome_length >= 0
      AND (kind = 'intent' OR substring(outcome FOR 12) = ',"outcome":{'::bytea)) IS NOT TRUE THEN
    RETURN convert_from(entry, 'UTF8')::jsonb;
  END IF;
  RETURN convert_from('{"id":"'::bytea || substring(approval FROM kind_at - 36 FOR 36)
    || '",'::bytea || substring(operation FOR 53) || ','::bytea
    || substring(approval FOR approval_length) || substring(outcome FOR outcome_length)
    || '}'::bytea, 'UTF8')::jsonb;
END $$;

REVOKE EXECUTE ON FUNCTION holdfast.is_entry(bigint, bytea, bytea, text, text) FROM PUBLIC;
