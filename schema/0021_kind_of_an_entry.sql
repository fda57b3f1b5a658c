-- Of intents and outcomes, which are most of the log, the database parses what proves their kind and no
-- more: docs/adr/0027-what-the-database-proves-of-an-entry.md.

SET LOCAL ROLE holdfast_owner;

-- Whether the kind is the one that an entry names, at its top level. Intents and outcomes are cut behind
-- the first bytes "kind":"…" in them: what is before that, closed, is an object only where they are a
-- member of it. They begin a name only behind a brace or a comma; behind a backslash they are the end of
-- another one.
--
-- A function, because PostgreSQL reads the text of a constraint again for every statement.
CREATE OR REPLACE FUNCTION holdfast.is_of_kind(entry bytea, kind text) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  at CONSTANT integer := position(convert_to('"kind":"' || kind || '",', 'UTF8') IN entry);
BEGIN
  IF kind NOT IN ('intent', 'outcome') THEN
    RETURN (convert_from(entry, 'UTF8')::json ->> 'kind' = kind) IS TRUE;
  END IF;
  RETURN at > 1 AND get_byte(entry, at - 2) IN (ascii('{'), ascii(','))
    AND convert_from(substring(entry FOR at + octet_length(kind) + 8) || '}'::bytea, 'UTF8')::json
        IS NOT NULL;
END $$;
