-- API tokens of officers that `holdfast token create` made.
--
-- A token comes into being, and ends, by the `system` record that tells of it: record and change
-- are one statement, so neither is ever there without the other. No process keeps what it has read:
-- a token that is revoked opens nothing from that commit on. Only digests of tokens are here.

SET LOCAL ROLE holdfast_owner;

CREATE TABLE holdfast.tokens (
  id uuid PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY,  -- In the order of making.
  sha256 bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  revocation jsonb,        -- That record's `system` member without the event.
  content jsonb NOT NULL   -- The record's `system.token`: name, roles, whose it is, who made it.
);
CREATE INDEX tokens_number ON holdfast.tokens (number);

-- Apart from the tokens, so that no append ever waits for a reading that notes its token's use.
CREATE TABLE holdfast.token_uses (
  id uuid PRIMARY KEY REFERENCES holdfast.tokens,
  last_used_at timestamptz NOT NULL  -- To the minute.
);

CREATE TRIGGER tokens_refuse_removal BEFORE DELETE OR TRUNCATE ON holdfast.tokens
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
ALTER TABLE holdfast.tokens ENABLE ALWAYS TRIGGER tokens_refuse_removal;

-- What a batch's records of tokens say, done. Called by append_audit alone. Locks the rows of tokens,
-- after the log's head.
CREATE FUNCTION holdfast.take_token_changes(entries bytea[], kinds text[], refusals text[])
  RETURNS void
  LANGUAGE plpgsql
AS $$
DECLARE
  change jsonb;
  token jsonb;
BEGIN
  FOR i IN 1 .. cardinality(kinds) LOOP
    CONTINUE WHEN kinds[i] <> 'system' OR refusals[i] IS NOT NULL;
    change := convert_from(entries[i], 'UTF8')::jsonb -> 'system';
    token := change -> 'token';
    IF change ->> 'event' = 'token_created' THEN
      INSERT INTO holdfast.tokens (id, sha256, created_at, expires_at, content)
        VALUES ((token ->> 'id')::uuid, decode(token ->> 'sha256', 'hex'), clock_timestamp(),
          (token ->> 'expires_at')::timestamptz, token);
    ELSIF change ->> 'event' = 'token_revoked' THEN
      UPDATE holdfast.tokens t SET revoked_at = clock_timestamp(), revocation = change - 'event'
        WHERE t.id = (token ->> 'id')::uuid AND t.revoked_at IS NULL;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION holdfast.token_state(token holdfast.tokens, now timestamptz) RETURNS text
  LANGUAGE sql IMMUTABLE
RETURN CASE
  WHEN token.revoked_at IS NOT NULL THEN 'revoked'
  WHEN token.expires_at <= now THEN 'expired'
  ELSE 'active' END;

-- All there is to say of a token, but for its digest.
CREATE FUNCTION holdfast.token_document(token holdfast.tokens) RETURNS jsonb
  LANGUAGE sql STABLE
RETURN (token.content - 'sha256') || jsonb_build_object(
  'state', holdfast.token_state(token, clock_timestamp()),
  'created_at', holdfast.record_time(token.created_at),
  'expires_at', holdfast.record_time(token.expires_at),
  'revoked_at', holdfast.record_time(token.revoked_at),
  'revocation', token.revocation,
  'last_used_at', (SELECT holdfast.record_time(u.last_used_at) FROM holdfast.token_uses u
                     WHERE u.id = token.id));

-- The active token with that digest; notes that it is used.
CREATE FUNCTION holdfast.use_token(digest bytea) RETURNS SETOF jsonb
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  token holdfast.tokens;
BEGIN
  SELECT t.* INTO token FROM holdfast.tokens t WHERE t.sha256 = digest;
  IF NOT FOUND OR holdfast.token_state(token, clock_timestamp()) <> 'active' THEN
    RETURN;
  END IF;
  IF NOT EXISTS (SELECT FROM holdfast.token_uses u WHERE u.id = token.id
                   AND u.last_used_at > clock_timestamp() - interval '1 minute') THEN
    INSERT INTO holdfast.token_uses AS u (id, last_used_at) VALUES (token.id, clock_timestamp())
      ON CONFLICT (id) DO UPDATE SET last_used_at = excluded.last_used_at;
  END IF;
  RETURN NEXT holdfast.token_document(token);
END $$;

-- Tokens newest first: the one with that id; without one, those that are active, or all.
CREATE FUNCTION holdfast.list_tokens(wanted uuid, ended_too boolean, at_most integer)
  RETURNS SETOF jsonb
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT holdfast.token_document(t) FROM holdfast.tokens t
    WHERE CASE WHEN wanted IS NOT NULL THEN t.id = wanted
      ELSE ended_too OR holdfast.token_state(t, clock_timestamp()) = 'active' END
    ORDER BY t.number DESC LIMIT at_most
$$;

REVOKE EXECUTE ON FUNCTION
  holdfast.use_token(bytea),
  holdfast.list_tokens(uuid, boolean, integer)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  holdfast.use_token(bytea),
  holdfast.list_tokens(uuid, boolean, integer)
  TO holdfast_audit;
