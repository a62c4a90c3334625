import json
import math
import subprocess
import sys
from typing import Any

import pytest

from tunegate.training.techniques import reward_worker


def replies(*requests: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and replies of a worker that gets these and then the end of its input."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    command, text = [sys.executable, "-P", "-s", reward_worker.__file__], {"text": True, "input": lines}
    done = subprocess.run(command, capture_output=True, check=False, timeout=30, **text)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def ask(answer: str, seconds: float = 10.0) -> dict[str, Any]:
    return {"answer": answer, "row": {}, "seconds": seconds}


def test_a_worker_is_ready_answers_in_order_and_ends_with_its_input() -> None:
    code, lines = replies({"kind": "regex", "pattern": "[a-z]+ \\d"}, ask("room 7"), ask("room"))
    assert (code, lines) == (0, [{"ready": True}, {"value": 1.0}, {"value": 0.0}])


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"kind": "regex", "pattern": "(a"}, "missing )"),
        ({"kind": "json_schema", "schema": {"type": "objekt"}}, "SchemaError"),
        ({"kind": "python", "path": "/nowhere/answers.py", "function": "f"}, "FileNotFoundError"),
    ],
)
def test_what_cannot_run_is_the_only_reply(config: dict[str, Any], error: str) -> None:
    code, (reply,) = replies(config, ask("roof"))
    assert code == 0
    assert error in reply["error"]


def test_a_call_that_hangs_ends_by_itself_where_nobody_is_left_to_kill_it() -> None:
    # The limit is twice the time of a call and five seconds.
    code, lines = replies({"kind": "regex", "pattern": "(a+)+b"}, ask("a" * 60, seconds=-2.4))
    assert code != 0
    assert lines == [{"ready": True}]


@pytest.mark.parametrize(
    ("given", "reply"),
    [
        (True, {"value": 1.0}),
        (2, {"value": 2.0}),
        (math.inf, {"error": "returned inf, which is not finite"}),
        ("1.0", {"error": "returned '1.0', which is not finite"}),
        (None, {"error": "returned None, which is not finite"}),
    ],
)
def test_only_finite_numbers_are_values(given: Any, reply: dict[str, Any]) -> None:
    assert reward_worker._value(lambda _answer, _row: given, ask("")) == reply
