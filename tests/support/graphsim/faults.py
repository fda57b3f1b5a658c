"""Faults that the next matching requests suffer.

    {"match": {"method": "POST", "target_contains": "permanentDelete"},
     "fault": "close_after_act", "times": 1}

delay            waits `value` ms, then acts and answers
refuse           closes idle connections at once and resets the next `times` new ones at accept;
                 no request has been seen by then, so `match` cannot be applied
close_before_read  resets the connection when the request arrives, acting on nothing
close_after_act  acts, then closes without an answer
half_reply       acts, then sends half of the answer and closes
garbage          acts, then sends bytes that are not HTTP and closes
slow_body        acts, then sends the body (or the end of a bodiless head) in small pieces,
                 `value` ms apart (50 if absent)
status           answers `value`: a status, or {"status", "act"?, "headers"?, "body"?}

`times` is how many requests a fault strikes, 1 if absent; 0 means until it is taken away. Of
several that match, the oldest strikes.
"""

FAULTS = {"delay", "refuse", "close_before_read", "close_after_act", "half_reply", "garbage",
          "slow_body", "status"}
KEYS = {"match", "fault", "value", "times"}


class BadFault(Exception):
    pass


class Fault:
    def __init__(self, number, kind, value, times, method, target_contains):
        self.number = number
        self.kind = kind
        self.value = value
        self.times = times  # 0: for ever.
        self.struck = 0
        self.method = method
        self.target_contains = target_contains

    def matches(self, method, target):
        return (not self.method or self.method == method) \
            and self.target_contains.lower() in target.lower()

    def describe(self):
        return {"id": self.number, "fault": self.kind, "value": self.value, "times": self.times,
                "struck": self.struck,
                "match": {"method": self.method, "target_contains": self.target_contains}}


def check_value(kind, value):
    if kind in ("delay", "slow_body"):
        if value is None and kind == "slow_body":
            return 50
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0:
            raise BadFault(f"{kind} needs a value in milliseconds")
        return value
    if kind == "status":
        value = value if isinstance(value, dict) else {"status": value}
        status = value.get("status")
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise BadFault("status needs a value from 200 to 599")
        if set(value) - {"status", "act", "headers", "body"}:
            raise BadFault("the value of status takes status, act, headers and body")
    return value


class Faults:
    def __init__(self):
        self.armed = []
        self.count = 0

    def clear(self):
        self.armed = []

    def add(self, wanted):
        if not isinstance(wanted, dict) or set(wanted) - KEYS:
            raise BadFault("a fault takes match, fault, value and times")
        kind, match = wanted.get("fault"), wanted.get("match") or {}
        if kind not in FAULTS:
            raise BadFault("fault must be one of " + ", ".join(sorted(FAULTS)))
        if not isinstance(match, dict) or set(match) - {"method", "target_contains"}:
            raise BadFault("match takes method and target_contains")
        times = wanted.get("times", 1)
        if times is None:
            times = 0
        if not isinstance(times, int) or times < 0:
            raise BadFault("times must be a number, 0 for until it is taken away")
        self.count += 1
        fault = Fault(self.count, kind, check_value(kind, wanted.get("value")), times,
                      (match.get("method") or "").upper(), match.get("target_contains") or "")
        self.armed.append(fault)
        return fault

    def strike(self, fault):
        fault.struck += 1
        if fault.times and fault.struck >= fault.times:
            self.armed.remove(fault)
        return fault

    def at_accept(self):
        """The refuse fault that a new connection suffers, or None."""
        for fault in self.armed:
            if fault.kind == "refuse":
                return self.strike(fault)
        return None

    def for_request(self, method, target):
        for fault in self.armed:
            if fault.kind != "refuse" and fault.matches(method, target):
                return self.strike(fault)
        return None
