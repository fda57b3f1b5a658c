"""What a superuser of the database can do to the tables that say where approvals, reviews, tokens,
rules, holds and operations stand, while the log stays as it is: `verify` finds each.

Each case has a database of its own, in which records have brought all of those somewhere."""
import datetime
import json
import threading
import unittest
import uuid

from shared_log import wait_until
from test_attack import Attack
from test_retention import RetentionCase

APPROVED, SPENT, PENDING, OUTGROWN, PASSED = (
    f"0a000000-0000-4000-8000-00000000000{n}" for n in range(5))
OPEN_REVIEW, DONE_REVIEW = (f"0b000000-0000-4000-8000-00000000000{n}" for n in range(2))
TOKEN, REVOKED = (f"0c000000-0000-7000-8000-00000000000{n}" for n in range(2))
HOLD = "0d000000-0000-7000-8000-000000000000"
TABLES = ("approvals", "approval_history", "reviews", "review_history", "tokens", "generations",
          "rule_files", "dropped_ranges")
FAR = "2099-01-01T00:00:00.000000Z"
STAGES = [{"count": 1, "from": "compliance", "group": "g1"}]


def person(name):
    return {"name": name, "accounts": [f"t/{name}"], "names": [], "person": f"t/{name}",
            "via": "sign_in"}


def digest(text):
    return (text.replace("-", "") * 64)[:64]


class TablesCase(Attack):
    def setUp(self):
        super().setUp()
        self.clock = datetime.datetime.now(datetime.timezone.utc)
        self.active = int(self.sql("SELECT number FROM holdfast.generations WHERE state = 'active'"))

    def appending(self, role, *records, writer=None):
        """SQL that appends (kind, step or None, content) in one batch as that role; a new writer, or
        one that has appended before, as an outcome's must. Says what was refused, if anything."""
        fresh, writer, entries = writer is None, writer or str(uuid.uuid4()), []
        for kind, _, content in records:
            self.clock += datetime.timedelta(microseconds=1)
            text = json.dumps({"id": str(uuid.uuid4()), "kind": kind, "v": 1,
                               "time": self.clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                               "writer": {"id": writer, "role": role}, **content},
                              sort_keys=True, separators=(",", ":"))
            entries.append(f"'\\x{text.encode().hex()}'::bytea")
        hashes = ", ".join(f"sha256('\\x00'::bytea || {entry})" for entry in entries)
        columns = ([kind for kind, _, _ in records],
                   [content.get("operation_id", "NULL") for _, _, content in records],
                   [step or "NULL" for _, step, _ in records],
                   [str(self.active) if kind == "intent" else "NULL" for kind, _, _ in records])
        kinds, operations, steps, generations = (f"'{{{','.join(column)}}}'" for column in columns)
        more = f", generations => {generations}" if role == "proxy" else ""
        self.writer = writer
        return (f"SET SESSION AUTHORIZATION holdfast_{role};\n"
                + (f"SELECT FROM holdfast.raise_epoch('{writer}', '10min');\n" if fresh else "")
                + f"SELECT refusals FROM holdfast.append_{role}('{writer}', 1, "
                f"ARRAY[{', '.join(entries)}], ARRAY[{hashes}], {kinds}, {operations}, {steps}{more}) "
                "WHERE refusals IS NOT NULL;\n")

    def append(self, role, *records, writer=None):
        self.assertEqual(self.sql(self.appending(role, *records, writer=writer)).strip(), "")

    def calling(self, intent, outcome):
        """SQL of a call by one process."""
        return (self.appending("proxy", intent)
                + self.appending("proxy", outcome, writer=self.writer))

    def call(self, **more):
        return {"operation_id": str(uuid.uuid4()), "actor": {"kind": "user", "user": "ada"},
                "operation": {"action": "permanentDelete"}, "request": {"method": "POST"}, **more}

    def filing(self, code, stages=None, **more):
        return ("decision", "file", self.call(
            decision={"effect": "require_approval", "rules": ["r"]},
            approval={"binding": digest(code), "bound": {}, "code": code, "state": "PENDING",
                      "decide_within_s": 3600, "use_within_s": 3600, "requester": "t/ada",
                      "requested_by": {"name": "Ada", "accounts": ["t/ada"], "names": []},
                      "stages": stages or STAGES, **more}))

    def decision(self, verb, code, state, step, who="bob"):
        return ("approval", verb, {"approval": {"by": person(who), "code": code, "stage": 0,
                                                "state": state, "step": step}})

    def claim(self, code):
        return ("intent", "claim", self.call(
            approval={"binding": digest(code), "code": code, "state": "CLAIMED"}))

    def outcome(self, intent, result, step="end", **more):
        made = {"operation_id": intent[2]["operation_id"], "outcome": {"result": result, **more}}
        if step and "approval" in intent[2]:
            made["approval"] = {"code": intent[2]["approval"]["code"]}
        return ("outcome", step, made)

    def orphan(self):
        """SQL of a call whose process died, so that the audit service ended it; and its operation."""
        intent = ("intent", None, self.call())
        text = self.appending("proxy", intent)
        text += (f"RESET SESSION AUTHORIZATION;\nUPDATE holdfast.writers SET lease_until = now() - "
                 f"interval '1s' WHERE id = '{self.writer}';\n")
        return (text + self.appending("audit", self.outcome(intent, "unknown", None)),
                intent[2]["operation_id"])

    def unknown(self):
        """The same of a call that its own process ended as unknown."""
        intent = ("intent", None, self.call())
        return self.calling(intent, self.outcome(intent, "unknown", None)), intent[2]["operation_id"]

    def evidence(self, operation, result="executed"):
        return ("reconciliation", None, {"operation_id": operation, "outcome": {"result": result}})

    def outcome_of(self, operation):
        return self.index_of(f"kind = 'outcome' AND e ->> 'operation_id' = '{operation}'")

    def spending(self, code):
        """SQL: filed, approved, claimed, given back, claimed again and used."""
        text = self.appending("proxy", self.filing(code))
        text += self.appending("audit", self.decision("approve", code, "APPROVED", 2))
        for result, status in (("refused", 429), ("executed", 204)):
            intent = self.claim(code)
            text += self.calling(intent, self.outcome(intent, result, status=status))
        return text

    def token(self, token, name="robot"):
        return ("system", None, {"system": {"event": "token_created", "token": {
            "id": token, "name": name, "sha256": digest(token), "roles": ["auditor"],
            "expires_at": FAR, "created_by": {"name": "root"}}}})

    def revocation(self, token):
        return ("system", None, {"system": {
            "event": "token_revoked", "by": {"name": "root"}, "token": {"id": token, "name": "x"}}})

    def hold(self, event, who):
        return ("system", None, {"system": {
            "event": event, "by": person(who),
            "hold": {"id": HOLD, "mailboxes": ["Held@contoso.com"], "reason": "x"}}})

    def review(self, code, **more):
        return ("intent", "break_glass", {**self.call(
            decision={"effect": "break_glass", "rules": ["r"]},
            review={"code": code, "requester": "t/ada", "review_within_s": 3600, "state": "OPEN",
                    **more}),
            "request": {"justification": "fire"}})

    def closing(self, code):
        return ("approval", "review", {"review": {
            "code": code, "by": person("bob"), "finding": "ok", "state": "CLOSED"}})

    def offer(self, number):
        return ("rules", None, {"rules": {
            "event": "offered", "generation": self.active + number, "sha256": digest("5"),
            "before": {"generation": self.active}, "files": [], "loosens": [], "people": 2}})

    def rejection(self, number):
        return ("rules", None, {"rules": {
            "event": "rejected", "generation": self.active + number, "sha256": digest("5"),
            "before": {"generation": self.active}, "by": {"name": "bob"}, "reason": "no"}})

    def records(self):
        """Brings everything somewhere; see the constants above."""
        text = self.appending("proxy", self.filing(APPROVED), self.filing(
            PENDING, [{"count": 2, "from": "compliance", "group": "g1"}]), self.filing(OUTGROWN))
        text += self.appending("audit", self.decision("approve", APPROVED, "APPROVED", 2),
                               self.decision("approve", PENDING, "PENDING", 2),
                               self.decision("approve", OUTGROWN, "APPROVED", 2))
        text += self.appending("proxy", self.filing(str(uuid.uuid4()), binding=digest(OUTGROWN),
                                                    replaces=OUTGROWN))
        text += self.appending("proxy", ("decision", None, self.call(
            decision={"effect": "require_approval"}, approval={"code": PENDING, "state": "PENDING"})))
        text += self.spending(SPENT)
        text += self.appending("audit", self.token(TOKEN), self.token(REVOKED))
        text += self.appending("audit", self.revocation(REVOKED))
        text += self.appending("audit", self.hold("hold_placed", "ada"),
                               self.hold("hold_confirmed", "ada"))
        text += self.appending("audit", self.hold("hold_confirmed", "bob"))
        # Nobody lifts alone.
        text += self.appending("audit", *(self.hold(*step) for step in (
            ("hold_lift_asked", "ada"), ("hold_lifted", "ada"), ("hold_confirmed", "bob"))))
        for code in (OPEN_REVIEW, DONE_REVIEW):
            intent = self.review(code)
            text += self.calling(intent, self.outcome(intent, "executed", None))
        text += self.appending("audit", self.closing(DONE_REVIEW))
        text += self.appending("proxy", self.filing(PASSED))
        intent = self.review(str(uuid.uuid4()), binding=digest(PASSED),
                             overrides={"code": PASSED, "step": 1})
        text += self.calling(intent, self.outcome(intent, "executed", None))
        text += self.appending("proxy", self.offer(1), self.offer(2))
        text += self.appending("audit", self.rejection(1))
        self.open_call = self.call()
        text += self.appending("proxy", ("intent", None, self.open_call))
        self.assertEqual(self.sql(text).strip(), "")

    def fill(self, size):
        """Other records until there are so many."""
        while (missing := size - int(self.sql("SELECT next_index FROM holdfast.log_head"))) > 0:
            self.append("audit", *[("access", None, {"access": {"by": "x"}})] * min(missing, 500))

    def derive(self):
        self.sql("SELECT holdfast.derive_search(1000000)")

    def tamper_tables(self, text):
        """With the triggers off, and on again as they were."""
        off = "".join(f"ALTER TABLE holdfast.{table} DISABLE TRIGGER USER;\n" for table in TABLES)
        on = "".join(f"ALTER TABLE holdfast.{table} ENABLE ALWAYS TRIGGER {name};\n"
                     for table, name in self.triggers())
        self.sql(f"BEGIN;\n{off}{text};\n{on}COMMIT")

    def triggers(self):
        names = ", ".join(f"'{table}'" for table in TABLES)
        rows = self.sql("SELECT c.relname, g.tgname FROM pg_trigger g JOIN pg_class c ON c.oid = "
                        f"g.tgrelid WHERE NOT g.tgisinternal AND c.relname IN ({names})")
        return [row.split("|") for row in rows.splitlines()]

    def each_seen(self, table, key, what, changes, index=None):
        """Of the row with that key, one change at a time."""
        self.sql(f"CREATE TABLE kept AS SELECT * FROM holdfast.{table} WHERE {key}")
        columns = {part.split("=")[0].strip() for change in changes for part in change.split("; ")}
        back = ", ".join(f"{column} = kept.{column}" for column in columns)
        for change in changes:
            self.sql(f"UPDATE holdfast.{table} SET {change.replace('; ', ', ')} WHERE {key}")
            self.seen_by_verify(what, index)
            self.sql(f"UPDATE holdfast.{table} t SET {back} FROM kept WHERE t.{key}")
        self.sql("DROP TABLE kept")
        self.not_seen_by_verify()

    def keep_claims(self):
        """Has the history say of all claims what approvals' own rows do, for changes of it."""
        self.sql("SELECT holdfast.keep_claim(code) FROM holdfast.approvals")

    def index_of(self, where):
        return self.sql("SELECT index FROM (SELECT index, kind, convert_from(entry, 'UTF8')::jsonb AS e "
                        f"FROM holdfast.log) l WHERE {where}")


class Tables(TablesCase):
    def setUp(self):
        super().setUp()
        self.records()
        self.derive()

    def test_attack_control_records_and_tables_agree(self):
        self.not_seen_by_verify()
        self.tamper_tables("SELECT 1")
        self.sql("SELECT holdfast.rebuild_search()")
        self.not_seen_by_verify()

    # Tokens.
    def test_attack_insert_an_api_token(self):
        self.sql(f"""INSERT INTO holdfast.tokens (id, sha256, created_at, expires_at, content)
            SELECT gen_random_uuid(), sha256('mine'), created_at, expires_at, content
              FROM holdfast.tokens WHERE id = '{TOKEN}'""")
        output = self.seen_by_verify("the API token .* was made by no record")
        self.assertNotIn(digest(TOKEN), output)

    def test_attack_put_another_secret_behind_an_api_token(self):
        self.sql(f"UPDATE holdfast.tokens SET sha256 = sha256('mine') WHERE id = '{TOKEN}'")
        self.seen_by_verify(f"the API token {TOKEN} is not the one that its record made",
                            self.index_of(f"e #>> '{{system,token,id}}' = '{TOKEN}'"))

    def test_attack_make_an_api_token_last_longer_or_do_more(self):
        self.each_seen("tokens", f"id = '{TOKEN}'",
                       f"the API token {TOKEN} is not the one that its record made",
                       ("expires_at = expires_at + interval '1 year'",
                        """content = jsonb_set(content, '{roles}', '["admin"]')"""))

    def test_attack_take_a_revocation_of_an_api_token_back(self):
        self.sql("UPDATE holdfast.tokens SET revoked_at = NULL, revocation = NULL")
        self.seen_by_verify(f"the API token {REVOKED} is not revoked as its record says",
                            self.index_of("e #>> '{system,event}' = 'token_revoked'"))

    def test_attack_revoke_an_api_token_and_delete_another(self):
        self.sql(f"UPDATE holdfast.tokens SET revoked_at = now(), revocation = '{{}}' "
                 f"WHERE id = '{TOKEN}'")
        self.seen_by_verify(f"the API token {TOKEN} is revoked by no record")
        self.tamper_tables(f"DELETE FROM holdfast.tokens WHERE id = '{REVOKED}'")
        self.seen_by_verify(f"the API token {REVOKED} is missing")

    # Approvals.
    def test_attack_approve_in_the_table_alone(self):
        self.sql("UPDATE holdfast.approvals SET state = 'APPROVED', use_by = now() + use_within "
                 f"WHERE code = '{PENDING}'")
        self.seen_by_verify(f"the approval {PENDING} is APPROVED after 2 steps, but its records make "
                            "it PENDING after 2")

    def test_attack_add_the_decision_of_an_officer(self):
        self.sql(f"""
            INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
              SELECT code, 3, name, 'APPROVED', now(), gen_random_uuid(), content || '{{"step": 3}}'
                FROM holdfast.approval_history WHERE code = '{PENDING}' AND step = 2;
            UPDATE holdfast.approvals SET state = 'APPROVED', step = 3, use_by = now() + use_within
              WHERE code = '{PENDING}'""")
        self.seen_by_verify(f"the approval {PENDING} has a step 3, approve, that no record tells of")

    def test_attack_add_a_decision_and_point_at_the_record_of_another(self):
        for record, what in (
                (f"SELECT record FROM holdfast.approval_history WHERE code = '{APPROVED}' AND step = 2",
                 "does not have step 3, approve, as its record tells it"),
                (f"SELECT record FROM holdfast.approval_history WHERE code = '{PENDING}' AND step = 2",
                 "does not have step 3, approve, as its record tells it")):
            self.tamper_tables(f"""
                DELETE FROM holdfast.approval_history WHERE code = '{PENDING}' AND step = 3;
                INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
                  SELECT code, 3, name, 'APPROVED', now(), ({record}), content || '{{"step": 3}}'
                    FROM holdfast.approval_history WHERE code = '{PENDING}' AND step = 2;
                UPDATE holdfast.approvals SET state = 'APPROVED', step = 3,
                    use_by = now() + use_within WHERE code = '{PENDING}'""")
            self.seen_by_verify(f"the approval {PENDING} {what}")

    def test_attack_let_an_approval_count_that_one_more_had_to_give(self):
        for content in ("content", """jsonb_set(content, '{state}', '"APPROVED"')"""):
            self.tamper_tables(f"""
                UPDATE holdfast.approval_history SET state = 'APPROVED', content = {content}
                  WHERE code = '{PENDING}' AND step = 2;
                UPDATE holdfast.approvals SET state = 'APPROVED', use_by = now() + use_within
                  WHERE code = '{PENDING}'""")
            self.seen_by_verify(f"the approval {PENDING} does not have step 2, approve, as its record")

    def test_attack_reset_a_spent_approval(self):
        reset = f"UPDATE holdfast.approvals SET state = '%s', open = true WHERE code = '{SPENT}'"
        self.sql(reset % "APPROVED")
        self.seen_by_verify(f"the approval {SPENT} does not have step 6, end, as its record tells it")
        self.sql(reset % "EXECUTED")
        self.keep_claims()
        self.sql(reset % "APPROVED")
        self.seen_by_verify(f"the approval {SPENT} is APPROVED after 6 steps, but its records make it "
                            "EXECUTED after 6")

    def test_attack_reset_a_spent_approval_with_its_history(self):
        self.keep_claims()
        claim = self.index_of(f"kind = 'intent' AND e #>> '{{approval,code}}' = '{SPENT}' "
                              "ORDER BY index DESC LIMIT 1")
        self.tamper_tables(f"""
            DELETE FROM holdfast.approval_history WHERE code = '{SPENT}' AND step > 4;
            UPDATE holdfast.approvals a SET state = 'APPROVED', step = 4, open = true,
                claim_record = h.record, operation_id = (
                  SELECT operation_id FROM holdfast.record_search WHERE id = h.record)
              FROM holdfast.approval_history h
              WHERE a.code = '{SPENT}' AND h.code = a.code AND h.step = 3""")
        self.seen_by_verify(f"the approval or review {SPENT} lacks the step that this record takes",
                            claim)

    def test_attack_claim_that_graph_had_refused_what_it_did(self):
        self.keep_claims()
        self.tamper_tables(f"""
            UPDATE holdfast.approval_history SET state = 'APPROVED',
                content = '{{"outcome": {{"result": "not_sent"}}}}'
              WHERE code = '{SPENT}' AND step = 6;
            UPDATE holdfast.approvals SET state = 'APPROVED' WHERE code = '{SPENT}'""")
        self.seen_by_verify(f"the approval {SPENT} does not have step 6, end, as its record tells it")

    def test_attack_take_the_steps_of_an_approval_in_another_order(self):
        self.keep_claims()
        self.tamper_tables(f"""
            UPDATE holdfast.approval_history SET step = step + 10 WHERE code = '{SPENT}' AND step > 2;
            UPDATE holdfast.approval_history
              SET step = CASE step WHEN 15 THEN 3 WHEN 16 THEN 4 ELSE step - 8 END
              WHERE code = '{SPENT}' AND step > 2;
            UPDATE holdfast.approvals SET state = 'APPROVED' WHERE code = '{SPENT}'""")
        self.seen_by_verify(f"the approval {SPENT} has a step 5, claim, that cannot follow those before")

    def test_attack_bind_an_approval_to_another_call(self):
        self.sql(f"UPDATE holdfast.approvals SET binding = sha256('') WHERE code = '{APPROVED}'")
        self.seen_by_verify(f"the approval {APPROVED} is bound to another call than its record says")
        self.sql("UPDATE holdfast.approvals SET filing = jsonb_set(filing, '{binding}', "
                 f"to_jsonb(encode(binding, 'hex'))) WHERE code = '{APPROVED}'")
        self.seen_by_verify(f"the approval {APPROVED} does not have step 1, file, as its record tells")

    def test_attack_let_an_approval_last_longer(self):
        self.each_seen("approvals", f"code = '{APPROVED}'",
                       f"the approval {APPROVED} has other deadlines than its records give it", (
                           "use_by = use_by + interval '1 day'",
                           "decide_by = decide_by + interval '1 day'",
                           "filed_at = filed_at + interval '1 day'; decide_by = decide_by + interval '1 day'",
                           "use_within = '1 day'; use_by = use_by - use_within + interval '1 day'"))

    def test_attack_let_another_call_have_claimed_an_approval(self):
        for code, changes in ((SPENT, ("operation_id = gen_random_uuid()", "operation_id = NULL")),
                              (APPROVED, ("operation_id = gen_random_uuid()",))):
            self.each_seen("approvals", f"code = '{code}'",
                           f"the approval {code} is claimed by another call than its records say",
                           changes)

    def test_attack_change_the_claim_that_an_approval_has(self):
        """Its last one, which is not in the history yet."""
        lost = "has a step 6, (end|claim), that (no record tells of|cannot follow those before it)"
        for changes, what in (
                (("claim_record = gen_random_uuid()",),
                 "has a step 5, claim, that no record tells of"),
                (("end_record = gen_random_uuid()", "ended_at = NULL; end_record = NULL"), lost),
                (("""outcome = '{"result": "not_sent"}'""", "outcome = NULL"),
                 "does not have step 6, end, as its record tells it"),
                (("open = true", "unsettled = operation_id"),
                 "is not where those are looked for that are EXECUTED")):
            self.each_seen("approvals", f"code = '{SPENT}'", f"the approval {SPENT} {what}", changes)

    def test_attack_count_the_steps_of_an_approval_otherwise(self):
        self.sql(f"UPDATE holdfast.approvals SET step = 9 WHERE code = '{APPROVED}'")
        self.seen_by_verify(f"the approval {APPROVED} is APPROVED after 9 steps, but its records make it "
                            "APPROVED after 2")
        self.tamper_tables(f"UPDATE holdfast.approval_history SET step = 9 WHERE code = '{APPROVED}' "
                           "AND step = 2")
        self.seen_by_verify(f"the approval {APPROVED} has a step 9, approve, that cannot follow")

    def test_attack_take_a_step_of_one_record_twice(self):
        self.keep_claims()
        self.tamper_tables(f"""
            INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
              SELECT code, step + 4, name, state, at, record, content FROM holdfast.approval_history
                WHERE code = '{SPENT}' AND step IN (3, 4);
            UPDATE holdfast.approval_history SET step = step + 10 WHERE code = '{SPENT}' AND step > 4;
            UPDATE holdfast.approval_history SET step = CASE WHEN step > 16 THEN step - 12 ELSE step - 8 END
              WHERE code = '{SPENT}' AND step > 10;
            UPDATE holdfast.approvals SET step = 8 WHERE code = '{SPENT}'""")
        self.seen_by_verify(f"the approval {SPENT} has a step 5, claim, that cannot follow those before")

    def test_attack_revoke_and_replace_an_approval_by_no_record(self):
        for name, state, record, content in (
                ("revoke", "REVOKED", "gen_random_uuid()", "'{}'"),
                ("invalidate", "INVALIDATED",
                 f"(SELECT record FROM holdfast.approval_history WHERE code = '{PENDING}' AND step = 1)",
                 f"""'{{"replaced_by": "{PENDING}"}}'""")):
            self.tamper_tables(f"""
                DELETE FROM holdfast.approval_history WHERE code = '{APPROVED}' AND step = 3;
                INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
                  VALUES ('{APPROVED}', 3, '{name}', '{state}', now(), {record}, {content});
                UPDATE holdfast.approvals SET state = '{state}', step = 3 WHERE code = '{APPROVED}'""")
            self.seen_by_verify(f"the approval {APPROVED} (has a step 3, revoke, that no record tells of|"
                                "does not have step 3, invalidate, as its record tells it)")

    def test_attack_revive_an_approval_that_was_outgrown(self):
        self.tamper_tables(f"""
            DELETE FROM holdfast.approval_history WHERE code = '{OUTGROWN}' AND step = 3;
            UPDATE holdfast.approvals SET state = 'APPROVED', step = 2 WHERE code = '{OUTGROWN}'""")
        self.seen_by_verify(f"the approval {OUTGROWN} is APPROVED although the approval .* replaced it")

    def test_attack_revive_an_approval_that_a_call_went_past(self):
        self.tamper_tables(f"""
            DELETE FROM holdfast.approval_history WHERE code = '{PASSED}' AND step = 2;
            UPDATE holdfast.approvals SET state = 'PENDING', step = 1 WHERE code = '{PASSED}'""")
        self.seen_by_verify(f"the approval {PASSED} is PENDING although the call of the review .* went "
                            "past it")

    def test_attack_end_an_approval_by_a_call_that_went_past_another(self):
        self.tamper_tables(f"""
            INSERT INTO holdfast.approval_history (code, step, name, state, at, record, content)
              SELECT '{APPROVED}', 3, name, state, at, record, content FROM holdfast.approval_history
                WHERE code = '{PASSED}' AND step = 2;
            UPDATE holdfast.approvals SET state = 'INVALIDATED', step = 3 WHERE code = '{APPROVED}'""")
        self.seen_by_verify(f"the approval {APPROVED} does not have step 3, invalidate, as its record")

    def test_attack_make_an_old_approval_the_newest(self):
        self.sql(f"UPDATE holdfast.approvals SET number = DEFAULT WHERE code = '{OUTGROWN}'")
        self.seen_by_verify("is not numbered in the order of the records")

    def test_attack_invent_and_delete_an_approval(self):
        self.sql("""INSERT INTO holdfast.approvals (code, binding, state, step, filed_at, decide_by,
                use_within, use_by, filing)
            SELECT gen_random_uuid(), binding, state, 0, filed_at, decide_by, use_within, use_by, filing
              FROM holdfast.approvals""" + f" WHERE code = '{APPROVED}'")
        self.seen_by_verify("the approval .* has no step, so no record made it")
        self.tamper_tables(f"DELETE FROM holdfast.approval_history WHERE code = '{PENDING}'; "
                           f"DELETE FROM holdfast.approvals WHERE code = '{PENDING}'")
        self.seen_by_verify(f"the approval or review {PENDING} lacks the step that this record takes",
                            self.index_of(f"kind = 'decision' AND e #>> '{{approval,code}}' = "
                                          f"'{PENDING}' ORDER BY index LIMIT 1"))

    def test_attack_delete_an_approval_or_a_review_and_leave_its_history(self):
        self.tamper_tables("SET LOCAL session_replication_role = replica; "
                           f"DELETE FROM holdfast.approvals WHERE code = '{PENDING}'")
        self.seen_by_verify(f"the approval {PENDING} is missing")
        self.tamper_tables("SET LOCAL session_replication_role = replica; "
                           f"DELETE FROM holdfast.reviews WHERE code = '{OPEN_REVIEW}'")
        self.seen_by_verify(f"the review {OPEN_REVIEW} is missing")

    # Reviews.
    def test_attack_mark_a_review_as_done(self):
        self.sql(f"UPDATE holdfast.reviews SET closed_at = now() WHERE code = '{OPEN_REVIEW}'")
        self.seen_by_verify(f"the review {OPEN_REVIEW} is done, and no record says so")
        self.sql("INSERT INTO holdfast.review_history (code, name, at, record, content) SELECT "
                 "code, 'close', closed_at, gen_random_uuid(), '{}' FROM holdfast.reviews "
                 f"WHERE code = '{OPEN_REVIEW}'")
        self.seen_by_verify(f"the review {OPEN_REVIEW} has a step that no record tells of")

    def test_attack_change_what_a_review_is_of(self):
        self.sql("UPDATE holdfast.reviews SET filing = jsonb_set(filing, '{requester}', '\"t/bob\"') "
                 f"WHERE code = '{OPEN_REVIEW}'")
        self.seen_by_verify(f"the review {OPEN_REVIEW} does not have its steps as their records tell")

    def test_attack_put_a_review_off(self):
        self.each_seen("reviews", f"code = '{OPEN_REVIEW}'",
                       f"the review {OPEN_REVIEW} has another deadline than its record gives it", (
                           "review_by = 'infinity'", "opened_at = opened_at + interval '1 day'; "
                           "review_by = review_by + interval '1 day'"))

    def test_attack_invent_a_review(self):
        self.sql("INSERT INTO holdfast.reviews (code, opened_at, review_by, filing) SELECT "
                 "gen_random_uuid(), opened_at, review_by, filing FROM holdfast.reviews LIMIT 1")
        self.seen_by_verify("the review .* was opened by no record")

    def test_attack_open_a_review_again_and_delete_another(self):
        self.sql(f"UPDATE holdfast.reviews SET closed_at = NULL WHERE code = '{DONE_REVIEW}'")
        self.seen_by_verify(f"the review {DONE_REVIEW} is not done as its record says")
        self.tamper_tables(f"DELETE FROM holdfast.review_history WHERE code = '{OPEN_REVIEW}'; "
                           f"DELETE FROM holdfast.reviews WHERE code = '{OPEN_REVIEW}'")
        self.seen_by_verify(f"the approval or review {OPEN_REVIEW} lacks the step that this record takes",
                            self.index_of(f"e #>> '{{review,code}}' = '{OPEN_REVIEW}'"))

    # Rules.
    def test_attack_put_a_generation_of_rules_in_force(self):
        for number in (self.active + 1, self.active + 2):
            self.sql("BEGIN; UPDATE holdfast.generations SET state = 'superseded' WHERE state = 'active';"
                     f"UPDATE holdfast.generations SET state = 'active', decided_at = now() "
                     f"WHERE number = {number}; COMMIT")
            was = "rejected" if number == self.active + 1 else "pending"
            self.seen_by_verify(f"the generation {number} of rules is active, but its records make it "
                                f"{was}")

    def test_attack_have_a_generation_approved_by_nobody(self):
        self.sql("UPDATE holdfast.generations SET decision = offer || '{\"event\": \"approved\"}' "
                 f"WHERE number = {self.active + 2}")
        self.seen_by_verify(f"the generation {self.active + 2} of rules has a decision that no record")

    def test_attack_invent_a_generation_of_rules(self):
        self.sql(f"""BEGIN; UPDATE holdfast.generations SET state = 'superseded' WHERE state = 'active';
            INSERT INTO holdfast.generations (number, sha256, state, offered_at, offer, writer)
              SELECT number + 9, sha256, 'active', offered_at, offer, writer
                FROM holdfast.generations WHERE number = {self.active}; COMMIT""")
        self.seen_by_verify(f"the generation {self.active + 9} of rules was offered by no record")

    def test_attack_change_what_a_generation_is(self):
        self.each_seen("generations", f"number = {self.active + 2}",
                       f"the generation {self.active + 2} of rules is not the one that its record", (
                           "offer = offer || '{\"loosens\": [1]}'", "sha256 = 'x'",
                           "writer = gen_random_uuid()"))
        self.tamper_tables(f"DELETE FROM holdfast.generations WHERE number = {self.active + 2}")
        self.seen_by_verify(f"the generation {self.active + 2} of rules is missing")

    def test_attack_change_the_rules_behind_a_generation(self):
        self.sql("ALTER TABLE holdfast.rule_files DROP CONSTRAINT rule_files_sha256; UPDATE "
                 "holdfast.rule_files SET bytes = bytes || 'x' WHERE name = 'rules'")
        self.seen_by_verify(f"the generation {self.active} of rules has other files than its record")

    # Holds.
    def test_attack_invent_a_hold(self):
        self.sql("INSERT INTO holdfast.holds (id, state, mailboxes, placed_index, changed_index, content, "
                 "history) SELECT gen_random_uuid(), state, mailboxes, placed_index, changed_index, "
                 "content, history FROM holdfast.holds")
        self.seen_by_verify("the legal hold .* was placed by no record")

    def test_attack_lift_and_delete_a_hold(self):
        self.sql("UPDATE holdfast.holds SET state = 'lifted'")
        self.seen_by_verify(f"the legal hold {HOLD} is lifted, but its records make it held")
        self.sql("DELETE FROM holdfast.holds")
        self.seen_by_verify(f"the legal hold {HOLD} is not in force as its record says",
                            self.index_of("e #>> '{system,event}' = 'hold_placed'"))

    def test_attack_change_who_confirmed_a_hold(self):
        self.each_seen("holds", f"id = '{HOLD}'",
                       f"the legal hold {HOLD} does not have its steps as their records tell them", (
                           "history = jsonb_set(history, '{1,by,name}', '\"eve\"')",
                           "changed_index = changed_index + 1", "waits_on = 't/eve'"))

    def test_attack_change_what_a_hold_is_on(self):
        self.each_seen("holds", f"id = '{HOLD}'",
                       f"the legal hold {HOLD} is not in force as its record says", (
                           "mailboxes = '{other@contoso.com}'", "placed_index = placed_index + 1",
                           "content = content || '{\"reason\": \"y\"}'"))

    # What is open, and what retention may do.
    def test_attack_forget_an_open_operation(self):
        operation = self.open_call["operation_id"]
        self.sql(f"DELETE FROM holdfast.open_operations WHERE operation_id = '{operation}'")
        self.seen_by_verify(f"the operation {operation} has no outcome, but the database does not have "
                            "it open", self.index_of(f"e ->> 'operation_id' = '{operation}'"))

    def test_attack_open_an_operation_that_is_over(self):
        index, operation, writer = self.first("intent")
        self.sql(f"INSERT INTO holdfast.open_operations VALUES ('{operation}', '{writer}', {index})")
        self.seen_by_verify(f"the operation {operation} is open in the database, but not in the log",
                            index)

    def test_attack_give_an_open_operation_to_another_writer(self):
        self.sql("UPDATE holdfast.open_operations SET writer = gen_random_uuid()")
        self.seen_by_verify("is open for another writer than its intent's")

    def test_attack_lower_the_floor_of_retention(self):
        self.sql("UPDATE holdfast.retention_policy SET floor_age = '1s', anchored = false")
        self.seen_by_verify("what retention may drop is not what its newest record says")

    def test_attack_say_that_records_were_dropped(self):
        self.sql("INSERT INTO holdfast.dropped_ranges (first, until, record_index) VALUES (5, 9, 9)")
        self.seen_by_verify("the table dropped_ranges does not say of the records 5 to 8 what the")


class Unknown(TablesCase):
    def setUp(self):
        super().setUp()
        orphan, self.orphaned = self.orphan()
        text, self.open = self.unknown()
        settled, self.settled = self.unknown()
        self.assertEqual(self.sql(orphan + text + settled).strip(), "")
        self.append("audit", self.evidence(self.open, "indeterminate"),
                    self.evidence(self.settled, "not_executed"))

    def test_attack_control_what_is_not_derived_yet_is_no_fault(self):
        self.not_seen_by_verify()
        while self.sql("SELECT holdfast.derive_search(2)") != "0":
            self.not_seen_by_verify()
        self.sql("SELECT holdfast.index_search(1000000)")
        self.not_seen_by_verify()
        self.assertEqual(self.sql("SELECT operation_id FROM holdfast.unsettled ORDER BY outcome_index"),
                         f"{self.orphaned}\n{self.open}")
        self.sql("SELECT holdfast.rebuild_search(); SELECT holdfast.derive_search(1000000)")
        self.not_seen_by_verify()

    def test_attack_hide_an_unknown_outcome(self):
        self.derive()
        for operation in (self.open, self.orphaned):
            self.sql(f"DELETE FROM holdfast.unsettled WHERE operation_id = '{operation}'")
            self.seen_by_verify(f"the operation {operation} is unknown, settled by no record, and not "
                                "among those to be settled")
        self.seen_by_verify("to be settled", self.outcome_of(self.orphaned))

    def test_attack_have_what_is_known_settled_again(self):
        self.derive()
        index, operation, _ = self.first("outcome")
        self.sql(f"INSERT INTO holdfast.unsettled VALUES ('{operation}', {index}, now())")
        self.seen_by_verify(f"the operation {operation} is to be settled, but no record says that its "
                            "outcome is unknown")
        self.sql(f"DELETE FROM holdfast.unsettled WHERE operation_id = '{operation}'")
        index = self.outcome_of(self.settled)
        self.sql("INSERT INTO holdfast.unsettled SELECT operation_id, index, time FROM "
                 f"holdfast.record_search WHERE index = {index}")
        self.seen_by_verify(f"the operation {self.settled} is to be settled, although a record settles it",
                            index)

    def test_attack_let_an_unknown_outcome_be_newer_or_of_another_record(self):
        self.derive()
        self.sql("UPDATE holdfast.unsettled SET since = since + interval '1 day' "
                 f"WHERE operation_id = '{self.open}'")
        self.seen_by_verify(f"the operation {self.open} is to be settled since another time than its",
                            self.outcome_of(self.open))
        self.sql("UPDATE holdfast.unsettled SET since = since - interval '1 day', outcome_index = -1 "
                 f"WHERE operation_id = '{self.open}'")
        self.seen_by_verify(f"the operation {self.open} is to be settled, but no record says that")

    def test_attack_forget_who_ended_an_operation(self):
        self.sql("DELETE FROM holdfast.settled_operations")
        for _ in range(2):
            self.seen_by_verify(f"the operation {self.orphaned} was ended by another process, and the "
                                "database does not say so", self.outcome_of(self.orphaned))
            self.derive()

    def test_attack_say_that_another_process_ended_an_operation(self):
        self.sql("INSERT INTO holdfast.settled_operations "
                 f"VALUES ('{self.open}', gen_random_uuid())")
        self.seen_by_verify(f"the operation {self.open} was ended by another process, and no record says")


class Claimed(TablesCase):
    def claimed(self, result, kind="outcome"):
        """An approval whose call has ended so, in the log and in what is open, but not in its own
        tables; its code."""
        self.append("proxy", self.filing(APPROVED))
        self.append("audit", self.decision("approve", APPROVED, "APPROVED", 2))
        intent = self.claim(APPROVED)
        self.sql(self.calling(intent, self.outcome(intent, result)))
        if kind == "reconciliation":
            self.append("audit", (kind, None, {"operation_id": intent[2]["operation_id"],
                                               "outcome": {"result": "executed"}}))
        self.keep_claims()
        self.not_seen_by_verify()
        last = 4 if kind == "outcome" else 5
        self.tamper_tables(f"""
            UPDATE holdfast.approvals a SET step = h.step, state = h.state
              FROM holdfast.approval_history h WHERE h.code = a.code AND h.step = {last - 1};
            DELETE FROM holdfast.approval_history WHERE step = {last}""")

    def test_attack_keep_an_approval_claimed_whose_call_is_over(self):
        self.claimed("executed")
        self.seen_by_verify(f"the approval {APPROVED} is CLAIMED by a call that is over")

    def test_attack_keep_an_approval_unknown_that_evidence_settles(self):
        self.claimed("unknown", "reconciliation")
        settled = f"the approval {APPROVED} is UNKNOWN although a record settles"
        self.seen_by_verify(settled)
        self.derive()
        self.seen_by_verify(settled)


    def test_attack_swap_how_the_calls_of_two_approvals_ended(self):
        for code, result, status in ((SPENT, "executed", 204), (APPROVED, "refused", 429)):
            self.append("proxy", self.filing(code))
            self.append("audit", self.decision("approve", code, "APPROVED", 2))
            intent = self.claim(code)
            self.sql(self.calling(intent, self.outcome(intent, result, status=status)))
        self.keep_claims()
        self.tamper_tables(f"""
            UPDATE holdfast.approval_history h
              SET state = o.state, record = o.record, content = o.content, at = o.at
              FROM holdfast.approval_history o
              WHERE h.step = 4 AND o.step = 4 AND h.code <> o.code;
            UPDATE holdfast.approvals a SET state = h.state
              FROM holdfast.approval_history h WHERE h.code = a.code AND h.step = 4""")
        self.seen_by_verify(f"the approval {SPENT} has a step 4, end, of another call than the one that")


class Dropped(TablesCase, RetentionCase):
    """What is over lies in a partition that retention has dropped since."""
    ends = (512, 1024)
    partition_records = 512

    def setUp(self):
        super().setUp()
        text = self.spending(SPENT)
        text += self.appending("audit", self.token(TOKEN), self.token(REVOKED))
        text += self.appending("audit", self.revocation(REVOKED))
        intent = self.review(DONE_REVIEW)
        text += self.calling(intent, self.outcome(intent, "executed", None))
        text += self.appending("audit", self.closing(DONE_REVIEW))
        for step in (("hold_placed", "ada"), ("hold_confirmed", "bob"), ("hold_lift_asked", "ada")):
            text += self.appending("audit", self.hold(*step))
        text += self.appending("proxy", self.offer(1))
        text += self.appending("audit", self.rejection(1))
        text += self.orphan()[0] + self.unknown()[0]
        self.sql(text)
        self.fill(1100)
        self.append("proxy", self.filing(PENDING))
        self.append("audit", self.hold("hold_lifted", "bob"))
        self.audit_service()
        self.allow()
        wait_until(lambda: self.obstacles()[:2] == [None, None], "partitions that may go")
        self.assertEqual([item["first"] for item in self.drop()], [0, 512])

    def test_attack_control_what_was_dropped_is_no_fault(self):
        self.not_seen_by_verify()

    def test_attack_insert_an_api_token_after_a_drop(self):
        self.sql("INSERT INTO holdfast.tokens (id, sha256, created_at, expires_at, content) SELECT "
                 "gen_random_uuid(), sha256('mine'), now(), expires_at, content FROM holdfast.tokens "
                 f"WHERE id = '{TOKEN}'")
        self.seen_by_verify("the API token .* was made by no record")

    def test_attack_reset_an_approval_whose_records_were_dropped(self):
        self.sql(f"UPDATE holdfast.approvals SET state = 'APPROVED' WHERE code = '{SPENT}'")
        self.seen_by_verify(f"the approval {SPENT} ")
        self.tamper_tables(f"""
            DELETE FROM holdfast.approval_history WHERE code = '{SPENT}' AND step > 2;
            UPDATE holdfast.approvals SET step = 2, claim_record = NULL, operation_id = NULL,
                claimed_at = NULL, ended_at = NULL, end_record = NULL, outcome = NULL
              WHERE code = '{SPENT}'""")
        self.seen_by_verify(f"the approval {SPENT} has a step 1, file, that no record tells of")

    def test_attack_put_rules_in_force_whose_records_were_dropped(self):
        offer = self.offer(2)
        offer[2]["rules"]["event"] = "activated"
        self.append("proxy", offer)
        self.not_seen_by_verify()
        self.sql("BEGIN; UPDATE holdfast.generations SET state = 'superseded' WHERE state = 'active';"
                 f"UPDATE holdfast.generations SET state = 'active' WHERE number = {self.active + 1}; COMMIT")
        self.seen_by_verify(f"the generation {self.active + 1} of rules is active, but records make another")

    def test_attack_change_what_retention_may_drop_and_says_of_it(self):
        self.each_seen("retention_policy", "one_row", "what retention may drop is not what its newest",
                       ("floor_age = '0s'", "anchored = true"))
        self.tamper_tables("UPDATE holdfast.dropped_ranges SET record_index = 7 WHERE first = 0")
        told = "the table dropped_ranges does not say of the records 0 to 511 what the log says"
        self.seen_by_verify(told)
        self.tamper_tables("DELETE FROM holdfast.dropped_ranges WHERE first = 0")
        self.seen_by_verify(told)

    def test_attack_forge_a_record_that_cannot_be_read_as_what_it_claims_to_be(self):
        self.forge({"event": "partition_dropped", "ranges": [], "newest": "never"})
        self.seen_by_verify("the tables cannot be held against the records")

    # What follows the record of a drop cannot lack what went with it.
    def test_attack_append_an_outcome_of_no_call_after_a_drop(self):
        index = Attack.append(self, "outcome", uuid.uuid4(), '"outcome":{"result":"executed"},')
        self.seen_by_verify("has no intent before it", index)

    def test_attack_use_an_approval_that_nobody_gave_twice_after_a_drop(self):
        claim = f'"approval":{{"code":"{uuid.uuid4()}","state":"CLAIMED"}},'
        first, second = (Attack.append(self, "intent", uuid.uuid4(), approval=claim)
                         for _ in range(2))
        output = self.seen_by_verify("was not approved before it", first)
        self.assertRegex(output, f"index {second}: uses the approval .* again, which the intent at "
                                 f"index {first} used")

    def test_attack_open_a_review_again_whose_records_were_dropped(self):
        self.tamper_tables("DELETE FROM holdfast.review_history WHERE name = 'close'; "
                           "UPDATE holdfast.reviews SET closed_at = NULL")
        self.seen_by_verify(f"the review {DONE_REVIEW} has a step that no record tells of")


class DroppedLater(TablesCase, RetentionCase):
    """A hold keeps an unknown outcome that was settled, while the record that did so is gone."""
    ends = (1024, 1280)

    def setUp(self):
        super().setUp()
        text, self.settled = self.unknown()
        more, self.open = self.unknown()
        self.sql(text + more + self.appending("audit", self.hold("hold_placed", "ada")))
        self.fill(1100)
        self.append("audit", self.evidence(self.settled))
        self.fill(1290)
        self.audit_service()
        self.allow()
        wait_until(lambda: self.obstacles()[1] is None, "a partition that may go")
        self.assertEqual([item["first"] for item in self.drop()], [1024])

    def test_attack_control_what_settled_an_outcome_may_be_gone(self):
        self.assertEqual(self.sql("SELECT operation_id FROM holdfast.unsettled"), self.open)
        self.not_seen_by_verify()


class Live(TablesCase):
    def test_attack_control_while_everything_is_being_written(self):
        """A row that is newer than the records that are read is nobody's fault."""
        text = "".join(self.spending(f"0e000000-0000-4000-8000-{number:012x}")
                       + self.appending("audit", self.token(f"0f000000-0000-7000-8000-{number:012x}"))
                       + self.appending("proxy", ("intent", None, self.call()))
                       for number in range(300))
        writer = threading.Thread(target=self.sql, args=(text,))
        before = self.log.size
        writer.start()
        try:
            wait_until(lambda: self.size() > before, "the first records")
            while self.size() < before + 2000 and writer.is_alive():
                self.not_seen_by_verify()
        finally:
            writer.join()
        self.assertGreater(self.size(), before + 2000)
        self.not_seen_by_verify()

    def size(self):
        return int(self.sql("SELECT next_index FROM holdfast.log_head"))


if __name__ == "__main__":
    unittest.main()
