-- What witnesses, time-stamp authorities and a sink have said of the log's checkpoints: added to and
-- never changed. docs/audit_format.md describes the evidence.

SET LOCAL ROLE holdfast_owner;

CREATE TABLE holdfast.anchor_evidence (
  ordinal bigint PRIMARY KEY,
  kind text NOT NULL,
  anchor text NOT NULL,    -- Who says so.
  size bigint NOT NULL,    -- Of the checkpoint's tree.
  root bytea NOT NULL,
  content bytea NOT NULL,  -- A signature line, or the DER of a token; a receipt has none.
  received timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT anchor_evidence_once UNIQUE (size, kind, anchor),
  CONSTRAINT anchor_evidence_kind CHECK (kind IN ('cosignature', 'timestamp', 'receipt')),
  CONSTRAINT anchor_evidence_anchor CHECK (octet_length(anchor) BETWEEN 1 AND 2048),
  CONSTRAINT anchor_evidence_root CHECK (octet_length(root) = 32),
  CONSTRAINT anchor_evidence_content CHECK (octet_length(content) <= 65535)
);
CREATE INDEX anchor_evidence_anchor ON holdfast.anchor_evidence (anchor, kind, ordinal);

CREATE TRIGGER anchor_evidence_refuse_change BEFORE UPDATE OR DELETE ON holdfast.anchor_evidence
  FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER anchor_evidence_refuse_statement BEFORE UPDATE OR DELETE ON holdfast.anchor_evidence
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER anchor_evidence_refuse_truncate BEFORE TRUNCATE ON holdfast.anchor_evidence
  FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
ALTER TABLE holdfast.anchor_evidence ENABLE ALWAYS TRIGGER anchor_evidence_refuse_change;
ALTER TABLE holdfast.anchor_evidence ENABLE ALWAYS TRIGGER anchor_evidence_refuse_statement;
ALTER TABLE holdfast.anchor_evidence ENABLE ALWAYS TRIGGER anchor_evidence_refuse_truncate;

-- Adds what an anchor says of a checkpoint that was signed (else HF022), the first time that it says
-- so; false: it has said so before.
CREATE FUNCTION holdfast.add_evidence(
  evidence_kind text, anchor_name text, tree_size bigint, tree_root bytea, evidence bytea)
  RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- One after the other, so that ordinals have no gaps.
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.anchor_evidence', 0));
  IF NOT EXISTS (SELECT FROM holdfast.tree_checkpoints c
                   WHERE c.size = tree_size AND c.root = tree_root) THEN
    RAISE EXCEPTION 'no checkpoint over % was signed with this root', tree_size
      USING ERRCODE = 'HF022';
  END IF;
  IF EXISTS (SELECT FROM holdfast.anchor_evidence e
               WHERE e.size = tree_size AND e.kind = evidence_kind AND e.anchor = anchor_name) THEN
    RETURN false;
  END IF;
  INSERT INTO holdfast.anchor_evidence (ordinal, kind, anchor, size, root, content)
    VALUES ((SELECT coalesce(max(e.ordinal) + 1, 0) FROM holdfast.anchor_evidence e),
            evidence_kind, anchor_name, tree_size, tree_root, evidence);
  RETURN true;
END $$;

REVOKE EXECUTE ON FUNCTION holdfast.add_evidence(text, text, bigint, bytea, bytea) FROM PUBLIC;
GRANT SELECT ON holdfast.anchor_evidence TO holdfast_audit;
GRANT EXECUTE ON FUNCTION holdfast.add_evidence(text, text, bigint, bytea, bytea)
  TO holdfast_audit;
