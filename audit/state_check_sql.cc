#include "audit/state_check_sql.h"

#include "audit/queries_sql.h"

namespace holdfast::audit {
namespace {

// Faults of one table that are told.
constexpr const char* kAtMost = "\nLIMIT 1000";

// tail: what search has of records that are not derived yet. told: records of the kinds system and
// rules. gone: how new what retention has dropped may be; a row that is not newer may have had its
// record there. No record makes that newer than the age it names allows, by its own time and by
// this database's; an hour for clocks that are apart, as in audit/retention_check.cc.
constexpr const char* kTold = R"(
WITH tail AS MATERIALIZED (
  SELECT (x.row).index, (x.row).id, (x.row).kind, (x.row).operation_id, (x.row).result
    FROM (SELECT holdfast.search_row(l.index, l.entry) AS row
            FROM holdfast.log l, holdfast.search_state s WHERE l.index >= s.derived OFFSET 0) x
    WHERE NOT (x.row).malformed),
told AS MATERIALIZED (
  SELECT l.index, l.role, d.document ->> 'id' AS id, d.document #>> '{writer,id}' AS writer,
         d.document ->> 'time' AS time, d.document -> l.kind AS said,
         d.document -> l.kind ->> 'event' AS event
    FROM holdfast.log l,
         LATERAL (SELECT convert_from(l.entry, 'UTF8')::jsonb AS document OFFSET 0) d
    -- Of others some need not be JSON (schema/0021_kind_of_an_entry.sql), and one would fail all.
    WHERE l.kind IN ('system', 'rules') AND l.index IN (
      SELECT r.index FROM holdfast.record_search r WHERE r.kind IN ('system', 'rules')
      UNION ALL SELECT t.index FROM tail t WHERE t.kind IN ('system', 'rules'))),
gone AS MATERIALIZED (
  SELECT max(least(d.newest, d.latest)) AS newest FROM (
      SELECT (t.said ->> 'newest')::timestamptz AS newest,
             least(t.time::timestamptz + interval '1 hour', clock_timestamp())
               - make_interval(secs => (t.said ->> 'age_s')::bigint) AS latest
        FROM told t WHERE t.role = 'retention' AND t.event = 'partition_dropped' OFFSET 0) d
    WHERE d.newest IS NOT NULL AND d.latest < clock_timestamp()),
)";

// The record of a step `h` as p: its index, all that it says, and whether some of it is erased.
std::string record_of_step() {
  return R"(
    LEFT JOIN holdfast.record_search r ON r.id = h.record
    LEFT JOIN tail t ON t.id = h.record
    LEFT JOIN LATERAL (
      SELECT l.index, convert_from()" +
         opened_entry_sql("l") + R"(, 'UTF8')::jsonb AS document,
             EXISTS (SELECT FROM holdfast.sealed_documents e JOIN holdfast.subjects s
                       ON s.id = e.subject
                       WHERE e.index = l.index AND s.record_index IS NOT NULL) AS erased
        FROM holdfast.log l WHERE l.index = coalesce(r.index, t.index) OFFSET 0) p ON true)";
}

// Whether a table has what the record p says, as far as that can still be read.
std::string same(const std::string& kept, const std::string& said) {
  return "(" + kept + " = " + said + " OR (p.erased AND " + kept + " @> " + said + "))";
}

// What a table keeps of the record p that opened a row of it, whose member it is.
std::string filing(const std::string& member) {
  return "((p.document -> '" + member +
         "') || jsonb_build_object('request', p.document -> 'request', "
         "'operation', p.document -> 'operation', 'actor', p.document -> 'actor', "
         "'rules', p.document #> '{decision,rules}'";
}

// steps: each step with its record, and whether it says what that one says. ordered: in the order
// in which they were taken, with what an approval's row must say after the last one.
std::string approvals_check() {
  return std::string(kTold) + R"(
steps AS (
  SELECT h.code, h.step, h.name, h.state, h.at, h.record, p.index,
         (p.document ->> 'operation_id')::uuid AS operation,
         p.index IS NULL OR (
           p.document ->> 'kind' = CASE
             WHEN h.name = 'invalidate' AND p.document #> '{review,overrides}' IS NOT NULL
               THEN 'intent'
             WHEN h.name IN ('file', 'invalidate', 'cancel') THEN 'decision'
             WHEN h.name = 'claim' THEN 'intent' WHEN h.name = 'end' THEN 'outcome'
             WHEN h.name = 'reconcile' THEN 'reconciliation' ELSE 'approval' END
           AND CASE
             WHEN h.name IN ('end', 'reconcile') THEN
               h.state = CASE p.document #>> '{outcome,result}'
                 WHEN 'executed' THEN 'EXECUTED' WHEN 'not_executed' THEN 'FAILED'
                 WHEN 'not_sent' THEN 'APPROVED'
                 WHEN 'refused' THEN CASE WHEN p.document #>> '{outcome,status}' IN ('401', '429')
                   THEN 'APPROVED' ELSE 'FAILED' END
                 ELSE 'UNKNOWN' END
               AND )" +
         same("h.content", "jsonb_build_object('outcome', p.document -> 'outcome')") + R"(
             WHEN p.document #>> '{approval,code}' = h.code::text THEN
               h.state = p.document #>> '{approval,state}'
               AND )" +
         same("h.content", "(p.document -> 'approval')") + R"(
             WHEN p.document #> '{review,overrides}' IS NOT NULL THEN
               h.name = 'invalidate' AND h.state = 'INVALIDATED'
               AND p.document #> '{review,overrides}' = jsonb_build_object(
                 'code', h.code, 'step', h.step - 1)
               AND (p.erased OR p.document #>> '{review,binding}' = a.filing ->> 'binding')
               AND h.content = jsonb_build_object('overridden_by', p.document ->> 'id',
                 'reason', 'break glass: the call went past this approval')
             ELSE h.name = 'invalidate' AND h.state = 'INVALIDATED'
               AND p.document #>> '{approval,replaces}' = h.code::text
               AND h.content = jsonb_build_object('replaced_by', p.document #>> '{approval,code}')
             END
           AND (h.step > 1 OR )" +
         same("a.filing", filing("approval") + "))") + R"()) IS TRUE AS agrees
    FROM (SELECT n.code, n.step, n.name, n.state, n.at, n.record, n.content
            FROM holdfast.approval_history n
          -- The last claim, and its end, may stand in the approval's own row.
          UNION ALL
          SELECT c.code, c.step - (c.ended_at IS NOT NULL)::integer, 'claim', 'CLAIMED',
                 c.claimed_at, c.claim_record,
                 jsonb_build_object('binding', encode(c.binding, 'hex'), 'code', c.code,
                                    'state', 'CLAIMED')
            FROM holdfast.approvals c WHERE c.claimed_at IS NOT NULL
          UNION ALL
          SELECT e.code, e.step, 'end', e.state, e.ended_at, e.end_record,
                 jsonb_build_object('outcome', e.outcome)
            FROM holdfast.approvals e WHERE e.ended_at IS NOT NULL) h
    LEFT JOIN holdfast.approvals a ON a.code = h.code)" +
         record_of_step() + R"(),
counted AS (
  SELECT s.*, lag(s.state) OVER w AS before, row_number() OVER w AS place,
         count(*) OVER c AS steps,
         row_number() OVER (PARTITION BY s.code, s.record, s.name ORDER BY s.step) AS turn,
         count(*) FILTER (WHERE s.name = 'claim') OVER w AS claims,
         first_value(s.at) OVER w AS filed_at,
         max(s.at) FILTER (WHERE s.name = 'approve' AND s.state = 'APPROVED') OVER c AS approved_at
    FROM steps s
    WINDOW w AS (PARTITION BY s.code ORDER BY s.step), c AS (PARTITION BY s.code)),
ordered AS (
  SELECT c.*, CASE WHEN c.claims > 0 THEN first_value(c.record) OVER g END AS claim_record,
         CASE WHEN c.claims > 0 THEN first_value(c.operation) OVER g END AS claim_operation
    FROM counted c WINDOW g AS (PARTITION BY c.code, c.claims ORDER BY c.step)),
current AS (
  SELECT a.*, CASE a.state WHEN 'PENDING' THEN a.decide_by > clock_timestamp()
                WHEN 'APPROVED' THEN a.use_by > clock_timestamp()
                ELSE a.state = 'CLAIMED' END IS TRUE AS alive
    FROM holdfast.approvals a),
faults AS (
  SELECT coalesce(a.code, o.code) AS code, o.step, o.index, CASE
      WHEN a.code IS NULL THEN 'is missing'
      WHEN o.code IS NULL THEN 'has no step, so no record made it'
      WHEN o.index IS NULL AND (a.alive OR (o.at <= gone.newest) IS NOT TRUE)
        THEN format('has a step %s, %s, that no record tells of', o.step, o.name)
      WHEN NOT o.agrees THEN format('does not have step %s, %s, as its record tells it',
                                    o.step, o.name)
      WHEN o.place <> o.step OR o.turn > 1
        OR (o.name, coalesce(o.before, ''), o.state) NOT IN (
          ('file', '', 'PENDING'), ('approve', 'PENDING', 'PENDING'),
          ('approve', 'PENDING', 'APPROVED'), ('claim', 'APPROVED', 'CLAIMED'),
          ('end', 'CLAIMED', 'EXECUTED'), ('end', 'CLAIMED', 'APPROVED'),
          ('end', 'CLAIMED', 'FAILED'), ('end', 'CLAIMED', 'UNKNOWN'),
          ('reconcile', 'UNKNOWN', 'EXECUTED'), ('reconcile', 'UNKNOWN', 'FAILED'),
          ('invalidate', 'PENDING', 'INVALIDATED'), ('invalidate', 'APPROVED', 'INVALIDATED'),
          ('cancel', 'PENDING', 'CANCELLED'), ('reject', 'PENDING', 'REJECTED'),
          ('revoke', 'APPROVED', 'REVOKED'), ('expire', 'PENDING', 'EXPIRED'),
          ('expire', 'APPROVED', 'EXPIRED'))
        THEN format('has a step %s, %s, that cannot follow those before it', o.step, o.name)
      WHEN o.name IN ('end', 'reconcile') AND o.operation <> o.claim_operation
        THEN format('has a step %s, %s, of another call than the one that claimed it',
                    o.step, o.name)
      WHEN o.place < o.steps THEN NULL
      WHEN a.state <> o.state OR a.step <> o.step
        THEN format('is %s after %s steps, but its records make it %s after %s', a.state, a.step,
                    o.state, o.step)
      WHEN a.binding <> decode(a.filing ->> 'binding', 'hex')
        THEN 'is bound to another call than its record says'
      WHEN a.filed_at <> o.filed_at
        OR a.decide_by <> a.filed_at + make_interval(secs => (a.filing ->> 'decide_within_s')::bigint)
        OR a.use_within <> make_interval(secs => (a.filing ->> 'use_within_s')::bigint)
        OR a.use_by IS DISTINCT FROM o.approved_at + a.use_within
        THEN 'has other deadlines than its records give it'
      WHEN a.claim_record IS DISTINCT FROM o.claim_record
        OR (a.operation_id <> o.claim_operation)
        OR (a.operation_id IS NULL) <> (o.claims = 0)
        THEN 'is claimed by another call than its records say'
      WHEN a.state = 'CLAIMED' AND NOT EXISTS (SELECT FROM holdfast.open_operations q
                                                 WHERE q.operation_id = a.operation_id)
        THEN 'is CLAIMED by a call that is over'
      WHEN a.state = 'UNKNOWN' AND (
          EXISTS (SELECT FROM holdfast.record_search q
                    WHERE q.operation_id = a.operation_id AND q.kind = 'reconciliation'
                      AND q.result IN ('executed', 'not_executed'))
          OR EXISTS (SELECT FROM tail q WHERE q.operation_id = a.operation_id
                       AND q.kind = 'reconciliation' AND q.result IN ('executed', 'not_executed')))
        THEN 'is UNKNOWN although a record settles what became of its call'
      WHEN a.open <> (a.state IN ('PENDING', 'APPROVED'))
        OR a.unsettled IS DISTINCT FROM CASE a.state WHEN 'UNKNOWN' THEN a.operation_id END
        THEN 'is not where those are looked for that are ' || a.state
      END AS what
    FROM gone, current a FULL JOIN ordered o ON o.code = a.code)
SELECT f.index, 'the approval ' || f.code || ' ' || f.what FROM (
    SELECT DISTINCT ON (f.code) f.* FROM faults f WHERE f.what IS NOT NULL ORDER BY f.code, f.step) f)" +
         kAtMost;
}

// Whoever files in the place of an approval ends it, and so does who goes past it; and the newest
// of a binding answers.
constexpr const char* kApprovalOrder = R"(
SELECT NULL, format('the approval %s is %s although %s', r.code, r.state, e.what)
  FROM (
    SELECT n.filing ->> 'replaces' AS code, format('the approval %s replaced it', n.code) AS what
      FROM holdfast.approvals n
    UNION ALL
    SELECT v.filing #>> '{overrides,code}', format('the call of the review %s went past it', v.code)
      FROM holdfast.reviews v) e
  JOIN holdfast.approvals r ON r.code::text = e.code
  WHERE (r.state = 'PENDING' AND r.decide_by > clock_timestamp())
     OR (r.state = 'APPROVED' AND r.use_by > clock_timestamp()) OR r.state = 'CLAIMED'
UNION ALL
SELECT f.index, 'the approval ' || f.code || ' is not numbered in the order of the records' FROM (
    SELECT a.code, r.index, lag(r.index) OVER (ORDER BY a.number) AS before
      FROM holdfast.approvals a
      JOIN holdfast.approval_history h ON h.code = a.code AND h.step = 1
      JOIN holdfast.record_search r ON r.id = h.record) f
  WHERE f.index < f.before)";

std::string reviews_check() {
  return std::string(kTold) + R"(
steps AS (
  SELECT h.code, h.name, h.at, p.index,
         h.name = 'overdue' OR p.index IS NULL OR (
           p.document ->> 'kind' = CASE h.name WHEN 'open' THEN 'intent' ELSE 'approval' END
           AND p.document #>> '{review,code}' = h.code::text
           AND )" +
         same("h.content", "(p.document -> 'review')") + R"(
           AND (h.name = 'close' OR )" +
         same("v.filing", filing("review") + ", 'operation_id', p.document -> 'operation_id'))") +
         R"()) IS TRUE AS agrees,
         h.name <> 'overdue' AND p.index IS NULL
           AND (v.closed_at IS NULL OR (h.at <= gone.newest) IS NOT TRUE) AS unrecorded
    FROM gone, holdfast.review_history h LEFT JOIN holdfast.reviews v ON v.code = h.code)" +
         record_of_step() + R"(),
found AS (
  SELECT s.code, max(s.index) AS index, bool_and(s.agrees) AS agrees,
         bool_or(s.unrecorded) AS unrecorded,
         max(s.at) FILTER (WHERE s.name = 'open') AS opened_at,
         max(s.at) FILTER (WHERE s.name = 'close') AS closed_at
    FROM steps s GROUP BY s.code)
SELECT f.index, 'the review ' || f.code || ' ' || f.what FROM (
    SELECT coalesce(v.code, s.code) AS code, s.index, CASE
        WHEN v.code IS NULL THEN 'is missing'
        WHEN s.opened_at IS NULL THEN 'was opened by no record'
        WHEN s.unrecorded THEN 'has a step that no record tells of'
        WHEN NOT s.agrees THEN 'does not have its steps as their records tell them'
        WHEN v.closed_at IS NOT NULL AND s.closed_at IS NULL THEN 'is done, and no record says so'
        WHEN v.closed_at IS DISTINCT FROM s.closed_at THEN 'is not done as its record says'
        WHEN v.opened_at <> s.opened_at OR v.review_by <>
            v.opened_at + make_interval(secs => (v.filing ->> 'review_within_s')::bigint)
          THEN 'has another deadline than its record gives it' END AS what
      FROM holdfast.reviews v FULL JOIN found s ON s.code = v.code) f
  WHERE f.what IS NOT NULL)" +
         kAtMost;
}

constexpr const char* kTokens = R"(
created AS (
  SELECT DISTINCT ON (t.said #>> '{token,id}') t.said #>> '{token,id}' AS id, t.index,
         t.said -> 'token' AS token
    FROM told t WHERE t.role = 'audit' AND t.event = 'token_created'
    ORDER BY t.said #>> '{token,id}', t.index),
revoked AS (
  SELECT DISTINCT ON (t.said #>> '{token,id}') t.said #>> '{token,id}' AS id, t.index,
         t.said - 'event' AS revocation
    FROM told t WHERE t.role = 'audit' AND t.event = 'token_revoked'
    ORDER BY t.said #>> '{token,id}', t.index)
SELECT f.index, 'the API token ' || f.id || ' ' || f.what FROM (
    SELECT coalesce(k.id::text, c.id) AS id, coalesce(r.index, c.index) AS index, CASE
        WHEN k.id IS NULL THEN 'is missing'
        WHEN c.id IS NULL AND (k.created_at <= gone.newest) IS NOT TRUE THEN 'was made by no record'
        WHEN k.content <> c.token OR k.sha256 <> decode(c.token ->> 'sha256', 'hex')
          OR k.expires_at <> (c.token ->> 'expires_at')::timestamptz
          THEN 'is not the one that its record made'
        WHEN r.id IS NOT NULL AND k.revoked_at IS NULL THEN 'is not revoked as its record says'
        WHEN k.revocation IS DISTINCT FROM r.revocation
          AND (k.revoked_at <= gone.newest) IS NOT TRUE THEN 'is revoked by no record'
        END AS what
      FROM gone, holdfast.tokens k FULL JOIN created c ON c.id = k.id::text
      LEFT JOIN revoked r ON r.id = coalesce(k.id::text, c.id)) f
  WHERE f.what IS NOT NULL)";

// A generation ends with the first of a higher number that takes effect. Of what comes before
// records that were dropped, only what a record says is held against the table.
constexpr const char* kGenerations = R"(
changes AS (
  SELECT t.index, t.role, t.writer, t.event, t.said, (t.said ->> 'generation')::bigint AS number
    FROM told t WHERE t.said ? 'generation'
      AND t.event IN ('offered', 'activated', 'approved', 'rejected', 'recovered')),
active AS (
  SELECT c.number, c.index FROM changes c WHERE c.event IN ('activated', 'approved', 'recovered')
    ORDER BY c.index DESC LIMIT 1),
made AS (
  SELECT o.number, o.index, o.writer, o.said, d.index AS decided, d.said AS decision, CASE
      WHEN d.event = 'rejected' THEN 'rejected'
      WHEN o.number = a.number THEN 'active'
      WHEN o.event = 'activated' OR d.event IS NOT NULL OR EXISTS (
          SELECT FROM changes c WHERE c.number > o.number
            AND c.event IN ('activated', 'approved', 'recovered')) THEN 'superseded'
      ELSE 'pending' END AS state
    FROM changes o LEFT JOIN active a ON true
    LEFT JOIN changes d ON d.number = o.number AND d.event IN ('approved', 'rejected', 'recovered')
    WHERE o.event IN ('offered', 'activated'))
SELECT f.index, 'the generation ' || f.number || ' of rules ' || f.what FROM (
    SELECT coalesce(g.number, m.number) AS number, coalesce(m.decided, m.index) AS index, CASE
        WHEN g.number IS NULL THEN 'is missing'
        WHEN m.number IS NULL AND (g.offered_at <= gone.newest) IS NOT TRUE
          THEN 'was offered by no record'
        WHEN g.offer <> m.said OR g.sha256 <> m.said ->> 'sha256' OR g.writer::text <> m.writer
          THEN 'is not the one that its record offered'
        WHEN g.state <> m.state AND NOT EXISTS (
            SELECT FROM holdfast.dropped_ranges d WHERE d.until > m.index)
          THEN format('is %s, but its records make it %s', g.state, m.state)
        WHEN m.number IS NULL AND g.state = 'active' AND EXISTS (
            SELECT FROM active a WHERE a.number <> g.number AND NOT EXISTS (
              SELECT FROM holdfast.dropped_ranges d WHERE d.until > a.index))
          THEN 'is active, but records make another so'
        WHEN g.decision IS DISTINCT FROM m.decision
          AND (g.decided_at <= gone.newest) IS NOT TRUE THEN 'has a decision that no record tells of'
        WHEN EXISTS (
            SELECT FROM jsonb_array_elements(g.offer -> 'files') f WHERE NOT EXISTS (
              SELECT FROM holdfast.rule_files k WHERE k.name = f.value ->> 'name'
                AND k.sha256 = decode(f.value ->> 'sha256', 'hex') AND k.sha256 = sha256(k.bytes)))
          THEN 'has other files than its record names' END AS what
      FROM gone, holdfast.generations g FULL JOIN made m ON m.number = g.number) f
  WHERE f.what IS NOT NULL)";

// Holds, step by step: a step that comes too late, or breaks the rule of two people, changes
// nothing. Where later records were dropped, some step may have been among them.
constexpr const char* kHolds = R"(
said AS (
  SELECT t.said #>> '{hold,id}' AS hold, t.index, t.event, t.said, t.said #>> '{by,person}' AS who,
         jsonb_strip_nulls(jsonb_build_object('event', t.event, 'by', t.said -> 'by',
           'reason', t.said ->> 'reason', 'record', t.id)) AS step,
         row_number() OVER (PARTITION BY t.said #>> '{hold,id}' ORDER BY t.index) AS place
    FROM told t WHERE t.role = 'audit' AND t.event IN (
      'hold_placed', 'hold_confirmed', 'hold_lift_asked', 'hold_lifted')),
fold AS (
  SELECT s.hold, s.place, 'placed' AS state, s.who AS waits_on, s.index AS placed,
         s.index AS changed, s.said -> 'hold' AS content, jsonb_build_array(s.step) AS history
    FROM said s WHERE s.place = 1 AND s.event = 'hold_placed'
  UNION ALL
  SELECT f.hold, s.place, coalesce(n.state, f.state),
         CASE WHEN n.state IS NULL THEN f.waits_on
           WHEN s.event = 'hold_lift_asked' THEN s.who END,
         f.placed, CASE WHEN n.state IS NULL THEN f.changed ELSE s.index END, f.content,
         CASE WHEN n.state IS NULL THEN f.history ELSE f.history || s.step END
    FROM fold f JOIN said s ON s.hold = f.hold AND s.place = f.place + 1,
         LATERAL (SELECT CASE
           WHEN s.event = 'hold_confirmed' AND f.state = 'placed' AND f.waits_on <> s.who
             THEN 'held'
           WHEN s.event = 'hold_confirmed' AND f.state = 'lifting' THEN 'held'
           WHEN s.event = 'hold_lift_asked' AND f.state IN ('placed', 'held') THEN 'lifting'
           WHEN s.event = 'hold_lifted' AND f.state = 'lifting' AND f.waits_on <> s.who
             THEN 'lifted' END AS state) n),
made AS (
  SELECT DISTINCT ON (f.hold) f.*, EXISTS (
      SELECT FROM holdfast.dropped_ranges d WHERE d.until > f.placed) AS in_part
    FROM fold f ORDER BY f.hold, f.place DESC),
kept AS (
  SELECT h.*, (SELECT jsonb_agg(s.value - 'at' ORDER BY s.ordinality)
                 FROM jsonb_array_elements(h.history) WITH ORDINALITY s) AS steps
    FROM holdfast.holds h)
SELECT f.placed, 'the legal hold ' || f.hold || ' ' || f.what FROM (
    SELECT coalesce(h.id::text, m.hold) AS hold, m.placed, CASE
        WHEN h.id IS NULL AND NOT m.in_part THEN 'is not in force as its record says'
        WHEN h.id IS NULL THEN NULL
        -- What is not lifted keeps the record that placed it.
        WHEN m.hold IS NULL AND h.state <> 'lifted' THEN 'was placed by no record'
        WHEN m.hold IS NULL THEN NULL
        WHEN h.content <> m.content OR h.placed_index <> m.placed
          OR h.mailboxes IS DISTINCT FROM holdfast.search_names(m.content -> 'mailboxes')
          THEN 'is not in force as its record says'
        WHEN m.in_part THEN NULL
        WHEN h.state <> m.state
          THEN format('is %s, but its records make it %s', h.state, m.state)
        WHEN h.waits_on IS DISTINCT FROM m.waits_on OR h.changed_index <> m.changed
          OR h.steps IS DISTINCT FROM m.history
          THEN 'does not have its steps as their records tell them' END AS what
      FROM kept h FULL JOIN made m ON m.hold = h.id::text) f
  WHERE f.what IS NOT NULL)";

constexpr const char* kRetention = R"(
policy AS (
  SELECT t.index, t.said FROM told t
    WHERE t.role = 'retention' AND t.event = 'retention_policy' ORDER BY t.index DESC LIMIT 1),
drops AS (
  SELECT t.index, (t.said ->> 'first')::bigint AS first, (t.said ->> 'until')::bigint AS until,
         (t.said ->> 'age_s')::bigint AS age_s
    FROM told t WHERE t.role = 'retention' AND t.event = 'partition_dropped'),
gone_by AS (
  SELECT d.index, d.first, d.until FROM drops d
  UNION SELECT k.record_index, k.first, k.until FROM holdfast.dropped_ranges k)
SELECT p.index, 'what retention may drop is not what its newest record says'
  FROM holdfast.retention_policy r LEFT JOIN policy p ON true
  WHERE (r.floor_age IS DISTINCT FROM make_interval(secs => (p.said ->> 'floor_s')::bigint)
         OR r.anchored <> coalesce((p.said ->> 'anchored')::boolean, true))
    -- A newer one may be gone.
    AND NOT EXISTS (SELECT FROM holdfast.dropped_ranges d WHERE d.until > coalesce(p.index, 0))
UNION ALL
SELECT d.index, format('the table dropped_ranges does not say of the records %s to %s what the log says',
                       coalesce(k.first, d.first), coalesce(k.until, d.until) - 1)
  FROM holdfast.dropped_ranges k FULL JOIN drops d ON d.first = k.first
  WHERE (k.until = d.until AND k.record_index = d.index) IS NOT TRUE
    -- The record that said so may be gone itself.
    AND NOT (d.first IS NULL AND EXISTS (
      SELECT FROM drops o WHERE k.record_index >= o.first AND k.record_index < o.until))
UNION ALL
SELECT greatest(g.index, 0),
       format('the records %s to %s are not gone as it says: the log holds the record %s',
              g.first, g.until - 1, l.index)
  FROM gone_by g, LATERAL (SELECT min(l.index) AS index FROM holdfast.log l
                             WHERE l.index >= g.first AND l.index < g.until) l
  WHERE l.index IS NOT NULL
UNION ALL
-- The floor outlives the record that set it, and only another record takes it away.
SELECT d.index, format('drops the records %s to %s, which no floor allows', d.first, d.until - 1)
  FROM holdfast.retention_policy r, drops d
  WHERE (r.floor_age <= make_interval(secs => d.age_s)) IS NOT TRUE
    AND d.index = (SELECT max(o.index) FROM drops o)
    AND NOT EXISTS (SELECT FROM policy p WHERE p.index > d.index)
    AND NOT EXISTS (SELECT FROM holdfast.dropped_ranges k WHERE k.until > d.index))";

constexpr const char* kOpenWriters = R"(
SELECT o.intent_index, format('the operation %s is open for another writer than its intent''s',
                              o.operation_id)
  FROM holdfast.open_operations o JOIN holdfast.log l ON l.index = o.intent_index
  WHERE position(convert_to('"writer":{"id":"' || o.writer || '"', 'UTF8') IN l.entry) = 0)";

// Derived in one step with the search table, so nothing is looked at that this lacks.
constexpr const char* kUnsettled = R"(
WITH unknown AS MATERIALIZED (
  SELECT r.operation_id, r.index, r.time FROM holdfast.record_search r
    WHERE r.kind = 'outcome' AND r.result = 'unknown' AND r.operation_id IS NOT NULL),
settled AS MATERIALIZED (
  SELECT r.operation_id, max(r.index) AS index FROM holdfast.record_search r
    WHERE r.kind = 'reconciliation' AND r.result IN ('executed', 'not_executed')
    GROUP BY r.operation_id)
SELECT f.index, format('the operation %s is %s', f.operation_id, f.what) FROM (
    SELECT o.index, coalesce(u.operation_id, o.operation_id) AS operation_id, CASE
        WHEN o.index IS NULL THEN 'to be settled, but no record says that its outcome is unknown'
        WHEN u.operation_id IS NOT NULL AND s.index > o.index
          THEN 'to be settled, although a record settles it'
        WHEN u.since <> o.time THEN 'to be settled since another time than its record says'
        -- The record that settled it may be gone.
        WHEN u.operation_id IS NULL AND (s.index > o.index) IS NOT TRUE AND NOT EXISTS (
            SELECT FROM holdfast.dropped_ranges d WHERE d.until > o.index)
          THEN 'unknown, settled by no record, and not among those to be settled' END AS what
      FROM holdfast.unsettled u
      FULL JOIN unknown o ON o.operation_id = u.operation_id AND o.index = u.outcome_index
      LEFT JOIN settled s ON s.operation_id = coalesce(u.operation_id, o.operation_id)) f
  WHERE f.what IS NOT NULL)";

// Whoever ends the operation of another process can only call it unknown.
constexpr const char* kSettledOperations = R"(
ended AS (
  SELECT u.operation_id, min(u.index) AS index FROM (
      SELECT r.operation_id, r.index FROM holdfast.record_search r
        WHERE r.kind = 'outcome' AND r.result = 'unknown'
      UNION ALL
      SELECT t.operation_id, t.index FROM tail t
        WHERE t.kind = 'outcome' AND t.result = 'unknown') u
    JOIN holdfast.log l ON l.index = u.index WHERE l.role = 'audit' GROUP BY u.operation_id)
SELECT e.index, format(CASE
      WHEN k.operation_id IS NULL
        THEN 'the operation %s was ended by another process, and the database does not say so'
      ELSE 'the operation %s was ended by another process, and no record says so' END,
      coalesce(k.operation_id, e.operation_id))
  FROM holdfast.settled_operations k FULL JOIN ended e ON e.operation_id = k.operation_id
  WHERE k.operation_id IS NULL
    -- These rows stay when their records go.
    OR (e.operation_id IS NULL AND NOT EXISTS (SELECT FROM holdfast.dropped_ranges)))";

}  // namespace

std::vector<std::string> state_checks() {
  std::string recursive = kTold;
  recursive.insert(recursive.find("WITH ") + 5, "RECURSIVE ");
  return {approvals_check(),
          std::string(kApprovalOrder) + kAtMost,
          reviews_check(),
          std::string(kTold) + kTokens + kAtMost,
          std::string(kTold) + kGenerations + kAtMost,
          recursive + kHolds + kAtMost,
          std::string(kTold) + kRetention + kAtMost,
          std::string(kOpenWriters) + kAtMost,
          std::string(kUnsettled) + kAtMost,
          std::string(kTold) + kSettledOperations + kAtMost};
}

std::string untaken_steps_sql() {
  return R"(
SELECT g.place FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS g (record, code, place)
  WHERE NOT EXISTS (SELECT FROM holdfast.approval_history h
                      WHERE h.code = g.code AND h.record = g.record)
    AND NOT EXISTS (SELECT FROM holdfast.approvals a
                      WHERE a.code = g.code AND a.claimed_at IS NOT NULL
                        AND a.claim_record = g.record)
    AND NOT EXISTS (SELECT FROM holdfast.review_history h
                      WHERE h.code = g.code AND h.record = g.record))";
}

}  // namespace holdfast::audit
