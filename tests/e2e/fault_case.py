"""What the fault tests share: a call to strike, what became of it, how everything comes back."""
import signal
import socket
import ssl
import threading
import uuid

from base import REQUESTER, StackCase
from holds import HELD_SECONDS_MAX, LogLock, StandbyWait, wait_until
from invariants import Answered, entries_with_commit_times, terminal_records

PROBE, LOOKUP, CALL = "/me?$select=id", "userPrincipalName", "permanentDelete"
UNREACHABLE, UNKNOWN = (502, "HoldfastUpstreamUnreachable"), (502, "HoldfastOutcomeUnknown")
UNAVAILABLE, DENIED = (503, "HoldfastAuditUnavailable"), (403, "HoldfastDenied")
DONE, NO_ANSWER = (204, None), (None, None)
# A lease that no slow machine lets run out, but where a test waits for just that.
SETTINGS = {"audit_log.lease": "60s", "audit_log.append_timeout": "1s",
            "upstream.connect_timeout": "3s"}


class FaultCase(StackCase):
    def setUp(self):
        super().setUp()
        self.locks, self.database_down = [], False
        self.addCleanup(self.repair)
        # Identity and mailbox are known from here on, where the configuration lets them be.
        self.wait_until_served(0)

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

    def wait_until_served(self, index):
        """Service as ever. A machine so slow that a lease runs out refuses once, and harmlessly."""
        def served():
            status = self.call("POST", self.path(index))[0]
            self.assertIn(status, (204, 503))
            return status == 204

        wait_until(served, "a guarded call to be served")

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
        self.wait_until_served(9)
        self.check_invariants()

    def repair(self):
        self.simulator.control("DELETE", "faults")
        if self.stack.relay:
            self.stack.relay.release_all()
        if self.stack.network:
            self.stack.network.heal()
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
        self.wait_until_ended("every operation to end")

    def wait_until_ended(self, what):
        wait_until(lambda: self.sql("SELECT count(*) FROM holdfast.open_operations") == "0", what)

    def sql(self, text):
        return self.stack.cluster.sql(text)

    def kill_database(self):
        self.stack.cluster.kill()
        self.database_down = True

    def cut_database(self):
        self.sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                 "WHERE usename = 'holdfast_proxy'")

    def lock(self, kind):
        """A LogLock or a StandbyWait, taken away again after the fault."""
        self.locks.append(kind(self.stack.cluster))
        return self.locks[-1]


class HeldCase(FaultCase):
    """Can hold the call at each of its steps: by a relay before Graph, by locks in the database."""
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
        lock = self.lock(LogLock)
        self.begin()
        lock.wait_for_append()
        return lock

    def hold_outcome(self):
        """Begins the call and waits until its outcome is about to be written: Graph has acted."""
        hold = self.hold("answer")
        lock = self.lock(LogLock)
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
        self.wait_until_ended("holdfast audit to settle what the proxy left")

    def wait_until_epoch_is_asked_for(self):
        wait_until(lambda: self.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                    "AND query LIKE '%raise_epoch%'"), "the new proxy to take over")

    def wait_for_standby(self, lock):
        """From before the write of the append to between its commit and the news of that."""
        standby = self.lock(StandbyWait)
        lock.release()
        standby.wait_for_append()
        return standby

    def late_results(self):
        """What the struck call's reconciliations say."""
        return [entry["outcome"]["reported"] for entry in self.stack.entries()
                if entry["kind"] == "reconciliation"
                and entry["operation_id"] == self.record(self.told.record)["operation_id"]]

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


class ShortLeaseCase(HeldCase):
    """Waits for a lease to run out; as short as lets the steps before it be done in time."""
    options = {**HeldCase.options,
               "config": {**HeldCase.options["config"], "audit_log.lease": "3s"}}
