"""When a traced call arrived, computed and was answered. The caller makes spans of it: nothing here exports anything.

A caller that traces sends the gRPC metadata `traceparent`; it finds the times, as JSON, in the trailing metadata `stemma-times`.
"""
import json
import threading
import time

TRACEPARENT = "traceparent"
TIMES = "stemma-times"

_of_this_thread = threading.local()


class CallTimes:
    """Of one unary call: nanoseconds since the epoch, written as text because JSON's numbers are doubles."""

    def __init__(self):
        self._began = time.time_ns()
        self._computed: list[tuple[int, int]] = []

    def computed(self, start: int, end: int) -> None:
        """A job of this call on the compute thread."""
        self._computed.append((start, end))

    def metadata(self) -> tuple[tuple[str, str], ...]:
        times = {"began": str(self._began), "ended": str(time.time_ns()), "computed": [[str(a), str(b)] for a, b in self._computed]}
        return ((TIMES, json.dumps(times)),)


def begin(context) -> CallTimes | None:
    """None where the caller does not trace. Until `end` it is that of the calling thread."""
    traced = any(key == TRACEPARENT for key, _ in context.invocation_metadata())
    _of_this_thread.times = CallTimes() if traced else None
    return _of_this_thread.times


def end() -> None:
    _of_this_thread.times = None


def current() -> CallTimes | None:
    return getattr(_of_this_thread, "times", None)
