"""Fails one outside step of a guarded call after another, and checks the invariants each time.

The number in a test's name is the step that fails:

    1 probe        Graph is asked who the caller is
    2 lookup       Graph is asked whose mailbox it is
    3 intent       its commit in the database
    4 connection   TCP and TLS to Graph
    5 request      is sent, and Graph acts on it
    6 answer       Graph's, comes back
    7 outcome      its commit in the database
    8 reply        goes to the client

What fails there: Graph refuses, resets, falls silent or talks nonsense; the database is gone, hangs,
is killed or cut off in the middle of a commit; the proxy is killed or stops for a while; the client
goes away. Afterwards what is down comes back, everything begun must come to its end, and what the
simulator saw, what the log says and what the client was told must agree (support/invariants.py).
"""
import signal
import socket
import ssl
import threading
import unittest
import uuid

from base import REQUESTER, StackCase
from holds import HELD_SECONDS_MAX, LogLock, wait_until
from invariants import Answered, entries_with_commit_times, terminal_records

PROBE, LOOKUP, CALL = "/me?$select=id", "userPrincipalName", "permanentDelete"
UNREACHABLE, UNKNOWN = (502, "HoldfastUpstreamUnreachable"), (502, "HoldfastOutcomeUnknown")
UNAVAILABLE, DENIED = (503, "HoldfastAuditUnavailable"), (403, "HoldfastDenied")
DONE, NO_ANSWER = (204, None), (None, None)
# Short, so that what a dead process left behind is settled while the test waits.
SETTINGS = {"audit_log.lease": "3s", "audit_log.append_timeout": "1s",
            "upstream.connect_timeout": "2s"}


class FaultCase(StackCase):
    def setUp(self):
        super().setUp()
        self.locks, self.database_down = [], False
        self.addCleanup(self.repair)
        # Identity and mailbox are known from here on, where the configuration lets them be.
        self.assertEqual(self.call("POST", self.path(0))[0], 204)

    def begin(self, owner="me", token=None):
        """The call that the fault strikes, under way; its answer may never come."""
        target, known = self.path(1, owner=owner), len(self.answered)

        def work():
            try:
                self.call("POST", target, token)
            except OSError:
                pass

        self.struck = threading.Thread(target=work, daemon=True)
        self.struck.start()
        wait_until(lambda: len(self.answered) > known, "the call to begin")
        self.told = self.answered[-1]

    def answer(self):
        """(status, code) that the struck call ended with; no status when it got no answer."""
        self.struck.join(HELD_SECONDS_MAX)
        self.assertFalse(self.struck.is_alive(), "the call hangs")
        return self.told.status, self.told.code

    def fresh_token(self):
        """A token that nobody has seen: Graph must be asked about it."""
        return self.simulator.token(user=REQUESTER)

    def results(self):
        """What the struck call's intents ended with; no intents: an empty list."""
        log = entries_with_commit_times(self.stack)
        ended = terminal_records(log)
        return [ended[entry["operation_id"]] for entry, _ in log if entry["kind"] == "intent"
                and entry["request"]["client_request_id"] == self.told.client_request_id]

    def acted(self):
        """How many items Graph has purged for the struck call."""
        return len([entry for entry in self.seen(self.ids("messages")[1]) if entry["acted"]])

    def settle(self, *results, acted=None):
        """Everything comes back and ends; `results`: how the struck call may have ended."""
        self.repair()
        self.check_invariants()
        self.assertIn(self.results(), [[[result]] if result else [] for result in results])
        if acted is not None:
            self.assertEqual(self.acted(), acted)
        self.assertEqual(self.call("POST", self.path(9))[0], 204)
        self.check_invariants()

    def repair(self):
        self.simulator.control("DELETE", "faults")
        if self.stack.relay:
            self.stack.relay.release_all()
        if self.database_down:
            self.stack.cluster.start()
            self.database_down = False
        self.stack.cluster.resume()
        for lock in self.locks:
            lock.release()
        self.locks = []
        self.stack.proxy.signal(signal.SIGCONT)
        if not self.stack.proxy.running():
            self.stack.proxy.start()
        self.stack.proxy.wait_ready(60)
        wait_until(lambda: self.sql("SELECT count(*) FROM holdfast.open_operations") == "0",
                   "every operation to end")

    def sql(self, text):
        return self.stack.cluster.sql(text)

    def kill_database(self):
        self.stack.cluster.kill()
        self.database_down = True

    def cut_database(self):
        self.sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                 "WHERE usename = 'holdfast_proxy'")

    def lock_log(self):
        self.locks.append(LogLock(self.stack.cluster))
        return self.locks[-1]


class QuestionFaults(FaultCase):
    """Graph does not say who is calling, or whose mailbox it is: then nothing is begun."""
    options = {"config": {**SETTINGS, "identity.probe_timeout": "1s",
                          "identity.mailbox_cache": "0ms"}}

    def strike(self, question, told, kind, value=None):
        self.simulator.fault(kind, value, target_contains=question)
        self.begin(token=self.fresh_token() if question == PROBE else None)
        self.assertEqual(self.answer(), told)
        self.assertEqual(self.seen(self.ids("messages")[1]), [])
        self.settle(None)

    def test_fault_1_probe_refused(self):
        self.strike(PROBE, UNREACHABLE, "refuse")

    def test_fault_1_probe_reset(self):
        self.strike(PROBE, UNREACHABLE, "close_before_read")

    def test_fault_1_probe_silent(self):
        self.strike(PROBE, UNREACHABLE, "delay", 3000)

    def test_fault_1_probe_closed(self):
        self.strike(PROBE, UNREACHABLE, "close_after_act")

    def test_fault_1_probe_half_reply(self):
        self.strike(PROBE, UNREACHABLE, "half_reply")

    def test_fault_1_probe_garbage(self):
        self.strike(PROBE, UNREACHABLE, "garbage")

    def test_fault_1_probe_503(self):
        self.strike(PROBE, UNREACHABLE, "status", 503)

    def test_fault_1_probe_401(self):
        self.strike(PROBE, (401, "InvalidAuthenticationToken"), "status", 401)

    def test_fault_2_lookup_refused(self):
        self.strike(LOOKUP, DENIED, "refuse")

    def test_fault_2_lookup_reset(self):
        self.strike(LOOKUP, DENIED, "close_before_read")

    def test_fault_2_lookup_silent(self):
        self.strike(LOOKUP, DENIED, "delay", 3000)

    def test_fault_2_lookup_half_reply(self):
        self.strike(LOOKUP, DENIED, "half_reply")

    def test_fault_2_lookup_garbage(self):
        self.strike(LOOKUP, DENIED, "garbage")

    def test_fault_2_lookup_404(self):
        self.strike(LOOKUP, DENIED, "status", 404)


class GraphFaults(FaultCase):
    """Graph misbehaves when the call reaches it."""
    options = {"config": {**SETTINGS, "upstream.response_timeout": "2s"}}

    def strike(self, kind, value=None, told=UNKNOWN, result="unknown", acted=0):
        self.simulator.fault(kind, value, target_contains=CALL)
        self.begin()
        self.assertEqual(self.answer(), told)
        self.settle(result, acted=acted)

    def test_fault_4_connection_refused(self):
        self.strike("refuse", told=UNREACHABLE, result="not_sent")

    def test_fault_5_request_reset(self):
        self.strike("close_before_read")

    def test_fault_5_graph_silent(self):
        self.strike("delay", 4000, acted=None)

    def test_fault_6_answer_closed(self):
        self.strike("close_after_act", acted=1)

    def test_fault_6_answer_half(self):
        self.strike("half_reply", acted=1)

    def test_fault_6_answer_garbage(self):
        self.strike("garbage", acted=1)

    def test_fault_6_answer_slow_is_an_answer(self):
        self.strike("slow_body", 20, told=DONE, result="executed", acted=1)

    def test_fault_6_answer_500_after_acting(self):
        self.strike("status", {"status": 500, "act": True}, acted=1)

    def test_fault_6_answer_503(self):
        self.strike("status", 503)

    def test_fault_6_answer_408(self):
        self.strike("status", 408)

    def test_fault_6_answer_302(self):
        self.strike("status", 302)

    def test_fault_6_answer_429_is_a_refusal(self):
        self.strike("status", 429, told=(429, "TooManyRequests"), result="refused")

    def test_fault_6_answer_401_is_a_refusal(self):
        self.strike("status", 401, told=(401, "InvalidAuthenticationToken"), result="refused")


class HeldFaults(FaultCase):
    """The call is held at a step while database, connection, proxy or client fail."""
    options = {"relayed": True,
               "config": {**SETTINGS, "upstream.response_timeout": "30s",
                          "identity.probe_timeout": "30s"}}

    def hold(self, point, text=CALL, **call):
        """Begins the call and waits until it stands at that point of its way to Graph."""
        hold = self.stack.relay.hold(point, "" if point == "connect" else text)
        self.begin(**call)
        hold.wait()
        return hold

    def hold_intent(self):
        """Begins the call and waits until its intent is about to be written."""
        lock = self.lock_log()
        self.begin()
        lock.wait_for_append()
        return lock

    def hold_outcome(self):
        """Begins the call and waits until its outcome is about to be written: Graph has acted."""
        hold = self.hold("answer")
        lock = self.lock_log()
        hold.release()
        lock.wait_for_append()
        return lock

    def kill_proxy(self):
        self.stack.proxy.kill()
        self.assertEqual(self.answer(), NO_ANSWER)

    def kill_proxy_before_it_hears(self, lock):
        """The append commits while the proxy stands still, and then it is dead."""
        self.stack.proxy.signal(signal.SIGSTOP)
        lock.release()
        wait_until(lambda: not self.sql("SELECT 1 FROM pg_stat_activity WHERE state = 'active' "
                                        "AND query LIKE '%append_proxy%' "
                                        "AND usename = 'holdfast_proxy'"), "the commit")
        self.stack.proxy.kill()
        # Had the machine been slow, the proxy would have given up waiting before it was stopped.
        return self.answer()

    def wait_until_audit_settled(self):
        """With no proxy alive."""
        wait_until(lambda: self.sql("SELECT count(*) FROM holdfast.open_operations") == "0",
                   "holdfast audit to settle what the dead proxy left")

    def refuses(self):
        """A guarded call is refused and nothing of it leaves; an ordinary one passes."""
        self.begin()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.assertEqual(self.seen(self.ids("messages")[1]), [])
        self.assertEqual(self.call("GET", "/v1.0/me?$select=id")[0], 200)
        self.assertEqual(self.stack.request("GET", "/holdfast/readyz")[0], 503)

    def begin_raw(self):
        """The call on a connection that the test can drop; returns it."""
        context = ssl.create_default_context(cafile=str(self.stack.ca_file))
        connection = context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.stack.proxy_port), HELD_SECONDS_MAX),
            server_hostname="localhost")
        self.told = Answered(str(uuid.uuid4()))
        self.answered.append(self.told)
        connection.sendall((f"POST {self.path(1)} HTTP/1.1\r\nHost: localhost\r\n"
                            f"Authorization: Bearer {self.stack.requester}\r\n"
                            f"client-request-id: {self.told.client_request_id}\r\n"
                            "Content-Length: 0\r\n\r\n").encode())
        return connection

    def client_goes(self, point):
        """The call goes on without its client, to the same end."""
        hold = self.stack.relay.hold(point, CALL)
        connection = self.begin_raw()
        hold.wait()
        connection.close()
        hold.release()
        wait_until(lambda: self.results() == [["executed"]], "the outcome")
        self.settle("executed", acted=1)

    # 1 and 2: the questions.

    def test_fault_1_probe_proxy_killed(self):
        self.hold("request", PROBE, token=self.fresh_token())
        self.kill_proxy()
        self.settle(None)

    def test_fault_1_probe_database_killed(self):
        hold = self.hold("answer", PROBE, token=self.fresh_token())
        self.kill_database()
        hold.release()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.settle(None)

    def test_fault_2_lookup_proxy_killed(self):
        self.hold("request", LOOKUP, owner=f"users/{REQUESTER}")
        self.kill_proxy()
        self.settle(None)

    def test_fault_2_lookup_database_hung(self):
        owner = self.simulator.mailboxes[REQUESTER]["id"]
        hold = self.hold("answer", LOOKUP, owner=f"users/{owner}")
        self.stack.cluster.pause()
        hold.release()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.settle(None, "not_sent", acted=0)

    # 3: the intent.

    def test_fault_3_intent_database_gone(self):
        self.stack.cluster.stop()
        self.database_down = True
        self.refuses()
        self.settle(None)

    def test_fault_3_intent_database_crashed(self):
        self.kill_database()
        self.refuses()
        self.settle(None)

    def test_fault_3_intent_database_hung(self):
        self.stack.cluster.pause()
        self.refuses()
        self.settle(None, "not_sent")

    def test_fault_3_intent_database_killed_mid_commit(self):
        self.hold_intent()
        self.kill_database()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.settle(None)

    def test_fault_3_intent_connection_cut_mid_commit(self):
        self.hold_intent().cut_waiting()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.settle(None)

    def test_fault_3_intent_database_hung_mid_commit(self):
        self.hold_intent()
        self.stack.cluster.pause()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.settle("not_sent", acted=0)

    def test_fault_3_intent_committed_after_giving_up(self):
        lock = self.hold_intent()
        self.assertEqual(self.answer(), UNAVAILABLE)
        lock.release()
        self.settle("not_sent", acted=0)

    def test_fault_3_intent_connection_cut_after_giving_up(self):
        lock = self.hold_intent()
        self.assertEqual(self.answer(), UNAVAILABLE)
        lock.cut_waiting()
        self.settle(None)

    def test_fault_3_intent_proxy_killed_then_committed(self):
        lock = self.hold_intent()
        self.stack.proxy.kill()
        lock.release()
        self.settle("unknown", acted=0)

    def test_fault_3_intent_proxy_killed_then_cut(self):
        lock = self.hold_intent()
        self.stack.proxy.kill()
        lock.cut_waiting()
        self.settle(None)

    def test_fault_3_intent_proxy_killed_and_back_before_commit(self):
        lock = self.hold_intent()
        self.stack.proxy.kill()
        self.stack.proxy.start()
        self.wait_until_epoch_is_asked_for()
        lock.release()
        self.settle("unknown", acted=0)

    def wait_until_epoch_is_asked_for(self):
        wait_until(lambda: self.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                    "AND query LIKE '%raise_epoch%'"), "the new proxy to take over")

    def test_fault_3_intent_committed_proxy_killed_before_it_hears(self):
        lock = self.hold_intent()
        self.assertIn(self.kill_proxy_before_it_hears(lock), (NO_ANSWER, UNAVAILABLE))
        self.settle("unknown", "not_sent", acted=0)

    def test_fault_3_intent_committed_audit_settles(self):
        lock = self.hold_intent()
        self.stack.proxy.kill()
        lock.release()
        wait_until(self.results, "the intent")
        self.wait_until_audit_settled()
        self.settle("unknown", acted=0)

    # 4: the connection to Graph.

    def connection_ends(self, how):
        self.hold("connect").release(how)
        self.assertEqual(self.answer(), UNREACHABLE)
        self.settle("not_sent", acted=0)

    def test_fault_4_connection_closed(self):
        self.connection_ends("close")

    def test_fault_4_connection_reset(self):
        self.connection_ends("reset")

    def test_fault_4_connection_answers_garbage(self):
        self.connection_ends("garbage")

    def test_fault_4_connection_silent(self):
        self.hold("connect")
        self.assertEqual(self.answer(), UNREACHABLE)
        self.settle("not_sent", acted=0)

    def test_fault_4_connection_proxy_killed(self):
        self.hold("connect")
        self.kill_proxy()
        self.settle("unknown", acted=0)

    def test_fault_4_connection_database_killed(self):
        hold = self.hold("connect")
        self.kill_database()
        hold.release("reset")
        self.assertEqual(self.answer(), UNREACHABLE)
        self.settle("not_sent", acted=0)

    def test_fault_4_connection_database_hung(self):
        hold = self.hold("connect")
        self.stack.cluster.pause()
        hold.release("reset")
        self.assertEqual(self.answer(), UNREACHABLE)
        self.settle("not_sent", acted=0)

    # 5: the request is on its way, or Graph is at work.

    def test_fault_5_request_closed(self):
        self.hold("request").release("close")
        self.assertEqual(self.answer(), UNKNOWN)
        self.settle("unknown", acted=0)

    def test_fault_5_request_proxy_killed_arrives_later(self):
        self.hold("request")
        self.kill_proxy()
        self.stack.proxy.start().wait_ready()
        self.settle("unknown")
        wait_until(self.acted, "the request that was on its way")
        self.check_invariants()

    def test_fault_5_request_proxy_killed_and_lost(self):
        hold = self.hold("request")
        self.kill_proxy()
        hold.release("reset")
        self.settle("unknown", acted=0)

    def test_fault_5_request_database_killed(self):
        hold = self.hold("request")
        self.kill_database()
        hold.release()
        self.assertEqual(self.answer(), DONE)
        self.settle("executed", acted=1)

    def test_fault_5_request_database_killed_and_reset(self):
        hold = self.hold("request")
        self.kill_database()
        hold.release("reset")
        self.assertEqual(self.answer(), UNKNOWN)
        self.settle("unknown", acted=0)

    def test_fault_5_request_connection_cut(self):
        hold = self.hold("request")
        self.cut_database()
        hold.release()
        self.assertEqual(self.answer(), DONE)
        self.settle("executed", acted=1)

    def test_fault_5_request_client_gone(self):
        self.client_goes("request")

    # 6: Graph has acted; its answer is on its way.

    def test_fault_6_answer_proxy_killed(self):
        self.hold("answer")
        self.kill_proxy()
        self.settle("unknown", acted=1)

    def test_fault_6_answer_proxy_killed_audit_settles(self):
        self.hold("answer")
        self.kill_proxy()
        self.wait_until_audit_settled()
        self.assertEqual(self.results(), [["unknown"]])
        self.settle("unknown", acted=1)

    def test_fault_6_answer_database_killed(self):
        hold = self.hold("answer")
        self.kill_database()
        hold.release()
        self.assertEqual(self.answer(), DONE)
        self.settle("executed", acted=1)

    def test_fault_6_answer_database_hung(self):
        hold = self.hold("answer")
        self.stack.cluster.pause()
        hold.release()
        self.assertEqual(self.answer(), DONE)
        # Nothing new is begun before the spool has drained.
        self.assertEqual(self.stack.request("GET", "/holdfast/readyz")[0], 503)
        self.settle("executed", acted=1)

    def test_fault_6_answer_lost_and_database_hung(self):
        hold = self.hold("answer")
        self.stack.cluster.pause()
        hold.release("half")
        self.assertEqual(self.answer(), UNKNOWN)
        self.settle("unknown", acted=1)

    def test_fault_6_answer_writer_stops_past_its_lease(self):
        hold = self.hold("answer")
        self.stack.proxy.signal(signal.SIGSTOP)
        self.wait_until_audit_settled()
        hold.release()
        self.stack.proxy.signal(signal.SIGCONT)
        self.assertEqual(self.answer(), DONE)
        self.settle("unknown", acted=1)
        late = [entry["outcome"]["reported"] for entry in self.stack.entries()
                if entry["kind"] == "reconciliation"
                and entry["operation_id"] == self.record(self.told.record)["operation_id"]]
        self.assertEqual(late, ["executed"])

    def test_fault_6_answer_client_gone(self):
        self.client_goes("answer")

    # 7: the outcome.

    def test_fault_7_outcome_database_killed_mid_commit(self):
        self.hold_outcome()
        self.kill_database()
        self.assertEqual(self.answer(), DONE)
        self.settle("executed", acted=1)

    def test_fault_7_outcome_connection_cut_mid_commit(self):
        self.hold_outcome().cut_waiting()
        self.assertEqual(self.answer(), DONE)
        self.settle("executed", acted=1)

    def test_fault_7_outcome_database_hung_mid_commit(self):
        self.hold_outcome()
        self.stack.cluster.pause()
        self.assertEqual(self.answer(), DONE)
        self.settle("executed", acted=1)

    def test_fault_7_outcome_committed_and_spooled(self):
        lock = self.hold_outcome()
        self.assertEqual(self.answer(), DONE)  # Not waited for: it is in the spool.
        lock.release()
        self.settle("executed", acted=1)

    def test_fault_7_outcome_spooled_proxy_killed(self):
        self.hold_outcome()
        self.kill_database()
        self.assertEqual(self.answer(), DONE)
        self.stack.proxy.kill()
        self.settle("executed", acted=1)

    def test_fault_7_outcome_spooled_proxy_killed_audit_settles(self):
        lock = self.hold_outcome()
        self.assertEqual(self.answer(), DONE)
        self.stack.proxy.kill()
        lock.cut_waiting()
        lock.release()
        self.wait_until_audit_settled()
        # The spool brings the truth afterwards.
        self.settle("unknown", acted=1)

    def test_fault_7_outcome_proxy_killed_then_committed(self):
        lock = self.hold_outcome()
        self.stack.proxy.kill()
        lock.release()
        self.settle("executed", acted=1)

    def test_fault_7_outcome_proxy_killed_then_cut(self):
        lock = self.hold_outcome()
        self.stack.proxy.kill()
        lock.cut_waiting()
        # Unless it had given up waiting: then the spool knows.
        self.settle("unknown", "executed", acted=1)

    def test_fault_7_outcome_proxy_killed_and_back_before_commit(self):
        lock = self.hold_outcome()
        self.stack.proxy.kill()
        self.stack.proxy.start()
        self.wait_until_epoch_is_asked_for()
        lock.release()
        self.settle("executed", acted=1)

    # 8: the reply.

    def test_fault_8_reply_proxy_killed_before_it_hears(self):
        lock = self.hold_outcome()
        self.assertIn(self.kill_proxy_before_it_hears(lock), (NO_ANSWER, DONE))
        self.settle("executed", acted=1)

    def test_fault_8_reply_proxy_killed_as_it_leaves(self):
        connection = self.begin_raw()
        wait_until(lambda: self.results() == [["executed"]], "the outcome")
        self.stack.proxy.kill()
        with connection:
            try:
                received = connection.recv(65536)
            except OSError:
                received = b""
        # All of it, or nothing at all.
        self.assertTrue(not received or received.startswith(b"HTTP/1.1 204 "), received)
        self.settle("executed", acted=1)

    def test_fault_8_reply_client_gone(self):
        hold = self.stack.relay.hold("answer", CALL)
        connection = self.begin_raw()
        hold.wait()
        lock = self.lock_log()
        hold.release()
        lock.wait_for_append()
        connection.close()
        lock.release()
        self.settle("executed", acted=1)


if __name__ == "__main__":
    unittest.main()
