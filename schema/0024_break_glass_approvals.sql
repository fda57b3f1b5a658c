-- Breaking the glass, and the approval of the same call that still waits, are one step.
--
-- The intent says which call it is (`review.binding`), and which approval of it its proxy saw waiting
-- (`review.overrides`). Where another answers the call by now, or that one has taken a step since, the
-- intent is refused, and the call is answered by what there is. Else the approval ends with it. So
-- nothing is sent that officers have rejected, nobody uses the approval beside it, and what was done
-- is not approved, and done again, later.

SET LOCAL ROLE holdfast_owner;

-- As in 0009_reviews.sql, with that. A record that names no call is one of a proxy that cannot say.
CREATE OR REPLACE FUNCTION holdfast.open_review(document jsonb, now timestamptz) RETURNS text
  LANGUAGE plpgsql
AS $$
DECLARE
  content CONSTANT jsonb := document -> 'review';
  newest holdfast.approvals;
BEGIN
  IF btrim(coalesce(document #>> '{request,justification}', ''), E' \t\r\n') = ''
     OR document #>> '{decision,effect}' IS DISTINCT FROM 'break_glass' THEN
    RETURN 'approval';
  END IF;
  IF content ? 'binding' THEN
    SELECT a.* INTO newest FROM holdfast.approvals a
      WHERE a.binding = decode(content ->> 'binding', 'hex') ORDER BY a.number DESC LIMIT 1;
    IF FOUND AND NOT holdfast.approval_answers(newest, now) THEN
      newest := NULL;
    END IF;
    IF newest.code IS DISTINCT FROM (content #>> '{overrides,code}')::uuid
       OR newest.step IS DISTINCT FROM (content #>> '{overrides,step}')::integer
       OR newest.state NOT IN ('PENDING', 'APPROVED') THEN
      RETURN 'approval';
    END IF;
  END IF;
  INSERT INTO holdfast.reviews (code, opened_at, review_by, filing)
    VALUES ((content ->> 'code')::uuid, now,
      now + make_interval(secs => (content ->> 'review_within_s')::bigint),
      content || jsonb_build_object(
        'request', document -> 'request', 'operation', document -> 'operation',
        'operation_id', document -> 'operation_id', 'actor', document -> 'actor',
        'rules', document #> '{decision,rules}'))
    ON CONFLICT (code) DO NOTHING;
  IF NOT FOUND THEN
    RETURN 'approval';
  END IF;
  INSERT INTO holdfast.review_history (code, name, at, record, content)
    VALUES ((content ->> 'code')::uuid, 'open', now, (document ->> 'id')::uuid, content);
  IF newest.code IS NOT NULL THEN
    PERFORM holdfast.note_approval_step(newest.code, 'invalidate', 'INVALIDATED', now,
      (document ->> 'id')::uuid, jsonb_build_object('overridden_by', document ->> 'id',
        'reason', 'break glass: the call went past this approval'));
  END IF;
  RETURN NULL;
END $$;
