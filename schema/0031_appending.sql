-- What appending costs, by itself and with a claim: one constraint of the log instead of five, and rows of
-- approvals that are narrow. docs/adr/0031-what-a-batch-costs.md

SET LOCAL ROLE holdfast_owner;

-- In the order in which appending takes them.
LOCK TABLE holdfast.approvals, holdfast.approval_history, holdfast.log;

-- Whether that is an entry with what stands beside it; an error that names what is wrong, if not.
--
-- PostgreSQL reads the text of every constraint again for every statement, which for a batch of few costs
-- more than what it says: hence one function. What it proves of the kind is what is_of_kind() did, whose
-- comment in 0021_kind_of_an_entry.sql holds here; the call of that one cost as much as the proof. The
-- writer is an entry's last member and its role the writer's last, so the final bytes settle that.
CREATE FUNCTION holdfast.is_entry(
  index bigint, entry bytea, leaf_hash bytea, kind text, role text) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  at CONSTANT integer := CASE kind
    WHEN 'intent' THEN position('"kind":"intent",'::bytea IN entry)
    WHEN 'outcome' THEN position('"kind":"outcome",'::bytea IN entry) END;
BEGIN
  IF index >= 0 AND octet_length(entry) <= 65535
     AND (CASE WHEN kind IN ('intent', 'outcome') THEN
         at > 1 AND get_byte(entry, at - 2) IN (ascii('{'), ascii(','))
           AND convert_from(substring(entry FOR at + octet_length(kind) + 8) || '}'::bytea,
                            'UTF8')::json IS NOT NULL
       ELSE convert_from(entry, 'UTF8')::json ->> 'kind' = kind END)
     AND leaf_hash = sha256('\x00'::bytea || entry)
     AND substring(entry FROM octet_length(entry) - octet_length(role) - 10)
         = (CASE role WHEN 'proxy' THEN '"role":"proxy"}}'::bytea
                      WHEN 'audit' THEN '"role":"audit"}}'::bytea
                      WHEN 'retention' THEN '"role":"retention"}}'::bytea END) THEN
    RETURN true;
  END IF;
  RAISE EXCEPTION 'no entry: it violates %', CASE
      WHEN (octet_length(entry) <= 65535) IS NOT TRUE THEN 'log_entry_size'
      WHEN (index >= 0) IS NOT TRUE THEN 'log_index'
      WHEN holdfast.is_of_kind(entry, kind) IS NOT TRUE THEN 'log_kind'
      WHEN (leaf_hash = sha256('\x00'::bytea || entry)) IS NOT TRUE THEN 'log_leaf_hash'
      ELSE 'log_role' END
    USING ERRCODE = 'check_violation', CONSTRAINT = 'log_entry';
END $$;

-- Not checked against old rows, which satisfy the constraints there were.
ALTER TABLE holdfast.log DROP CONSTRAINT log_index;
ALTER TABLE holdfast.log DROP CONSTRAINT log_entry_size;
ALTER TABLE holdfast.log DROP CONSTRAINT log_leaf_hash;
ALTER TABLE holdfast.log DROP CONSTRAINT log_kind;
ALTER TABLE holdfast.log DROP CONSTRAINT log_role;
ALTER TABLE holdfast.log ADD CONSTRAINT log_entry
  CHECK (holdfast.is_entry(index, entry, leaf_hash, kind, role)) NOT VALID;

-- A claim and its end write the approval's row anew: what was filed, most of it, is kept beside the table
-- from 2 KB on, and pages have room for both. The other columns stay in the row.
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

-- As in 0030_claims.sql, where the comment on it is. It has parts of the entry in variables, because
-- searching bytes takes longer than copying them: nothing is searched for in what another member was found in.
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
