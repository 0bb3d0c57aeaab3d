"""JSON log lines on stderr."""
import json
import sys
import time


def log(level: str, message: str, **fields) -> None:
    """One line; `level` is debug, info, warning or error."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": level, "service": "sidecar", "message": message}
    print(json.dumps({**line, **fields}), file=sys.stderr, flush=True)
