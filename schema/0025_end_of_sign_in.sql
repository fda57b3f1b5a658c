-- What an officer changes needs the credential until the change is in the log, also where the database
-- does not have it: the record says when a sign-in ends, or a token of the operator's file.

SET LOCAL ROLE holdfast_owner;

-- As in 0019_token_changes.sql, with those (`actor.expires_at`).
CREATE OR REPLACE FUNCTION holdfast.refused_tokens(entries bytea[], kinds text[]) RETURNS text[]
  LANGUAGE plpgsql
AS $$
DECLARE
  document jsonb;
  token uuid;
  ended uuid[] := '{}';
  refusals text[];
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    CONTINUE WHEN kinds[i] NOT IN ('approval', 'rules', 'system');
    document := convert_from(entries[i], 'UTF8')::jsonb;
    token := document #>> '{actor,token_id}';
    IF (document #>> '{actor,expires_at}')::timestamptz <= clock_timestamp()
       OR (token IS NOT NULL AND (token = ANY (ended) OR NOT EXISTS (
         SELECT FROM holdfast.tokens t
           WHERE t.id = token AND holdfast.token_state(t, clock_timestamp()) = 'active'))) THEN
      refusals := coalesce(refusals, array_fill(NULL::text, ARRAY[cardinality(kinds)]));
      refusals[i] := 'token';
    ELSIF document #>> '{system,event}' = 'token_revoked' THEN
      ended := ended || (document #>> '{system,token,id}')::uuid;
    END IF;
  END LOOP;
  RETURN refusals;
END $$;
