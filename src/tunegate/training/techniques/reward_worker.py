"""The process that runs the user's rewards: a function, a pattern or a schema. Run as a script.

Reads one JSON object a line from stdin, first what to run and then the answers, and writes one a line to stdout. Only
its parent decides how long a call may take, and kills it; it ends itself where the parent is gone. Imports
nothing of tunegate.
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

RewardFunction = Callable[[str, dict[str, Any]], Any]

_NEW_USER = 0x10000000
"""CLONE_NEWUSER of Linux."""


def _python(config: dict[str, Any]) -> RewardFunction:
    spec = importlib.util.spec_from_file_location("rewards", config["path"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, config["function"], None)
    if not callable(function):
        raise TypeError(f"has no function {config['function']!r}")
    return function  # type: ignore[no-any-return]


def _regex(config: dict[str, Any]) -> RewardFunction:
    pattern = re.compile(config["pattern"])
    return lambda answer, _row: pattern.fullmatch(answer) is not None


def _json_schema(config: dict[str, Any]) -> RewardFunction:
    from jsonschema.validators import validator_for
    from referencing import Registry

    kind = validator_for(config["schema"])
    kind.check_schema(config["schema"])
    # A registry of its own: references are never fetched from elsewhere.
    validator = kind(config["schema"], registry=Registry())

    def score(answer: str, _row: dict[str, Any]) -> bool:
        try:
            return bool(validator.is_valid(json.loads(answer, parse_constant=_no_json)))
        except (ValueError, RecursionError):  # the latter of an answer like [[[[…
            return False

    return score


def _no_json(name: str) -> None:
    raise ValueError(name)


_KINDS = {"python": _python, "regex": _regex, "json_schema": _json_schema}


def _value(reward: RewardFunction, request: dict[str, Any]) -> dict[str, Any]:
    random.seed(0)
    try:
        value_given = reward(request["answer"], request["row"])
    except Exception as error:  # whatever the user's code raises is reported by the parent
        return {"error": f"raised {type(error).__name__}: {error}"}
    try:
        # Numbers of every library are told from texts, which float would read.
        value = math.nan if isinstance(value_given, str | bytes | bytearray) else float(value_given)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        value = math.nan
    if math.isfinite(value):
        return {"value": value}
    return {"error": f"returned {value_given!r:.80}, which is not finite"}


def _isolate() -> None:
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
    _isolate()
    # What the function prints must not be read as a reply of this process.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(value: dict[str, Any]) -> None:
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    config = json.loads(sys.stdin.readline())
    try:
        reward = _KINDS[config["kind"]](config)
    except Exception as error:  # as above
        reply({"error": f"{type(error).__name__}: {error}"})
        return
    reply({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        # Where the parent was killed, only the kernel ends a call that hangs.
        signal.setitimer(signal.ITIMER_REAL, 2 * request["seconds"] + 5)
        reply(_value(reward, request))
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
