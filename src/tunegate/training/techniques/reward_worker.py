"""The process that runs what people wrote about answers: a function, a pattern or a schema. Run as a script.

Reads one JSON object a line from stdin, first what to run and then the answers, and writes one a line to stdout. Only
its parent decides how long a call may take, and kills it; it ends itself where the parent is gone. Knows nothing of
tunegate and imports nothing of it.
"""

import contextlib
import ctypes
import importlib.util
import json
import math
import os
import random
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Judge = Callable[[str, dict[str, Any]], Any]

_NEW_USER = 0x10000000
"""CLONE_NEWUSER of Linux."""


def _python(order: dict[str, Any]) -> Judge:
    spec = importlib.util.spec_from_file_location("rewards", order["path"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, order["function"], None)
    if not callable(found):
        raise TypeError(f"has no function {order['function']!r}")
    return found  # type: ignore[no-any-return]


def _regex(order: dict[str, Any]) -> Judge:
    pattern = re.compile(order["pattern"])
    return lambda answer, _row: pattern.fullmatch(answer) is not None


def _json_schema(order: dict[str, Any]) -> Judge:
    from jsonschema.validators import validator_for
    from referencing import Registry

    kind = validator_for(order["schema"])
    kind.check_schema(order["schema"])
    # A registry of its own: references are never fetched from elsewhere.
    validator = kind(order["schema"], registry=Registry())

    def judge(answer: str, _row: dict[str, Any]) -> bool:
        try:
            return bool(validator.is_valid(json.loads(answer, parse_constant=_no_json)))
        except (ValueError, RecursionError):  # the latter of an answer like [[[[…
            return False

    return judge


def _no_json(name: str) -> None:
    raise ValueError(name)


_KINDS = {"python": _python, "regex": _regex, "json_schema": _json_schema}


def _value(judge: Judge, request: dict[str, Any]) -> dict[str, Any]:
    random.seed(0)
    try:
        found = judge(request["answer"], request["row"])
    except Exception as error:  # whatever people's code raises is for the parent to tell
        return {"error": f"raised {type(error).__name__}: {error}"}
    try:
        # Numbers of every library are told from texts, which float would read.
        value = math.nan if isinstance(found, str | bytes | bytearray) else float(found)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        value = math.nan
    if math.isfinite(value):
        return {"value": value}
    return {"error": f"returned {found!r:.80}, which is no finite number"}


def _apart() -> None:
    """Go into a user namespace of its own, where the kernel allows it.

    From there the memory of our other processes, and so the environment that they were started with, cannot be read in
    /proc, not even by root.
    """
    user = os.geteuid()
    if ctypes.CDLL(None).unshare(_NEW_USER) == 0:
        with contextlib.suppress(OSError):
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")


def main() -> None:
    """Serve until stdin ends."""
    _apart()
    # What the function prints must not be taken for an answer of this process.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(value: dict[str, Any]) -> None:
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    order = json.loads(sys.stdin.readline())
    try:
        judge = _KINDS[order["kind"]](order)
    except Exception as error:  # as above
        reply({"error": f"{type(error).__name__}: {error}"})
        return
    reply({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        # Where the parent was killed, nobody else ends a call that hangs: the kernel does.
        signal.setitimer(signal.ITIMER_REAL, 2 * request["seconds"] + 5)
        reply(_value(judge, request))
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
