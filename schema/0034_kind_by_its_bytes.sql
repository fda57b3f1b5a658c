-- The kind of an intent or an outcome is proved by its bytes and no longer by parsing what precedes them:
-- docs/adr/0027-what-the-database-proves-of-an-entry.md.

SET LOCAL ROLE holdfast_owner;

-- Whether an entry names that kind. An entry's id precedes its kind, which so follows a comma.
CREATE OR REPLACE FUNCTION holdfast.is_of_kind(entry bytea, kind text) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
  RETURN (CASE kind
    WHEN 'intent' THEN position(',"kind":"intent",'::bytea IN entry) > 0
    WHEN 'outcome' THEN position(',"kind":"outcome",'::bytea IN entry) > 0
    ELSE convert_from(entry, 'UTF8')::json ->> 'kind' = kind END) IS TRUE;
END $$;

-- As in 0031_appending.sql, where the comment on it is, with what is_of_kind() says now: calling that one for
-- each entry costs as much as what it does.
CREATE OR REPLACE FUNCTION holdfast.is_entry(
  index bigint, entry bytea, leaf_hash bytea, kind text, role text) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
  IF index >= 0 AND octet_length(entry) <= 65535
     AND (CASE kind
       WHEN 'intent' THEN position(',"kind":"intent",'::bytea IN entry) > 0
       WHEN 'outcome' THEN position(',"kind":"outcome",'::bytea IN entry) > 0
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
