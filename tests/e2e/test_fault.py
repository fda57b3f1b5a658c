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

What fails there: Graph refuses, resets, falls silent or talks nonsense; the database is gone,
hangs, is killed or cut off in the middle of a commit; the proxy is killed or stops for a while; the
client goes away. Afterwards what is down comes back, everything begun must come to its end, and
what the simulator saw, the log says and the client was told must agree (support/invariants.py).
"""
import json
import re
import signal
import unittest

from base import REQUESTER
from fault_case import (CALL, DENIED, DONE, LOOKUP, NO_ANSWER, PROBE, SETTINGS, UNAVAILABLE,
                        UNKNOWN, UNREACHABLE, FaultCase, HeldCase, ShortLeaseCase)
from holds import LogLock, wait_until


class QuestionFaults(FaultCase):
    """Graph does not say who is calling, or whose mailbox it is: then nothing is begun."""
    options = {"config": {**SETTINGS, "identity.probe_timeout": "2s",
                          "identity.mailbox_cache": "0ms"}}

    def strike(self, question, told, kind, value=None):
        token = self.fresh_token() if question == PROBE else None
        self.simulator.fault(kind, value, target_contains=question)
        self.begin(token=token)
        self.assertEqual(self.answer(), told)
        self.assertEqual(self.seen(self.ids("messages")[1]), [])
        self.settle(None)

    def test_fault_1_probe_refused(self):
        self.strike(PROBE, UNREACHABLE, "refuse")

    def test_fault_1_probe_reset(self):
        self.strike(PROBE, UNREACHABLE, "close_before_read")

    def test_fault_1_probe_silent(self):
        self.strike(PROBE, UNREACHABLE, "delay", 5000)

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
        self.strike(LOOKUP, DENIED, "delay", 5000)

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


class HeldFaults(HeldCase):
    """The call is held at a step while database, connection, proxy or client fail."""

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

    def test_fault_3_intent_database_killed_after_commit(self):
        self.wait_for_standby(self.hold_intent())
        self.kill_database()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.settle("not_sent", acted=0)

    def test_fault_3_intent_standby_given_up(self):
        self.wait_for_standby(self.hold_intent()).cancel_waiting()
        self.assertEqual(self.answer(), UNAVAILABLE)
        self.settle("not_sent", acted=0)

    def test_fault_3_intent_proxy_killed_then_committed(self):
        lock = self.hold_intent()
        self.stack.proxy.kill()
        lock.release()
        # Unless it had given up waiting: then the spool knows.
        self.settle("unknown", "not_sent", acted=0)

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
        # Unless it had given up waiting: then the spool knows.
        self.settle("unknown", "not_sent", acted=0)

    def test_fault_3_intent_committed_proxy_killed_before_it_hears(self):
        lock = self.hold_intent()
        self.assertIn(self.kill_proxy_before_it_hears(lock), (NO_ANSWER, UNAVAILABLE))
        self.settle("unknown", "not_sent", acted=0)

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
        status, _, body = self.stack.request("GET", "/holdfast/readyz")
        self.assertEqual((status, json.loads(body)["spooled"]), (503, 1))
        self.assertEqual(self.call("POST", self.path(2))[0], 503)
        self.settle("executed", acted=1)

    def test_fault_6_answer_lost_and_database_hung(self):
        hold = self.hold("answer")
        self.stack.cluster.pause()
        hold.release("half")
        self.assertEqual(self.answer(), UNKNOWN)
        self.settle("unknown", acted=1)

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

    def test_fault_7_outcome_database_killed_after_commit(self):
        self.wait_for_standby(self.hold_outcome())
        self.kill_database()
        self.assertEqual(self.answer(), DONE)
        self.settle("executed", acted=1)

    def test_fault_7_outcome_standby_given_up(self):
        self.wait_for_standby(self.hold_outcome()).cancel_waiting()
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
                reply = connection.recv(65536).decode()
            except OSError:
                reply = ""
        if reply:  # Then all of it, and the truth.
            self.assertRegex(reply, r"(?s)\AHTTP/1\.1 204 .*\r\n\r\n\Z")
            self.told.status = 204
            self.told.record = re.search(r"(?i)\r\nholdfast-record: (\S+)", reply)[1]
        self.settle("executed", acted=1)

    def test_fault_8_reply_client_gone(self):
        hold = self.stack.relay.hold("answer", CALL)
        connection = self.begin_raw()
        hold.wait()
        lock = self.lock(LogLock)
        hold.release()
        lock.wait_for_append()
        connection.close()
        lock.release()
        self.settle("executed", acted=1)


class SettledFaults(ShortLeaseCase):
    """The writer is gone for longer than its lease, and `holdfast audit` settles what it left."""

    def test_fault_3_intent_committed_audit_settles(self):
        lock = self.hold_intent()
        self.stack.proxy.kill()
        lock.release()
        wait_until(self.results, "the intent")
        self.wait_until_audit_settled()
        self.settle("unknown", acted=0)

    def test_fault_6_answer_proxy_killed_audit_settles(self):
        self.hold("answer")
        self.kill_proxy()
        self.wait_until_audit_settled()
        self.assertEqual(self.results(), [["unknown"]])
        self.settle("unknown", acted=1)

    def test_fault_6_answer_writer_stops_past_its_lease(self):
        hold = self.hold("answer")
        self.stack.proxy.signal(signal.SIGSTOP)
        self.wait_until_audit_settled()
        hold.release()
        self.stack.proxy.signal(signal.SIGCONT)
        self.assertEqual(self.answer(), DONE)
        self.settle("unknown", acted=1)
        self.assertEqual(self.late_results(), ["executed"])

    def test_fault_7_outcome_spooled_proxy_killed_audit_settles(self):
        lock = self.hold_outcome()
        self.assertEqual(self.answer(), DONE)
        self.stack.proxy.kill()
        lock.cut_waiting()
        lock.release()
        self.wait_until_audit_settled()
        self.settle("unknown", acted=1)
        # The spool has brought the truth afterwards.
        self.assertEqual(self.late_results(), ["executed"])


if __name__ == "__main__":
    unittest.main()
