"""A process that scores answers (reward_worker.py), with a time limit for each call."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

from tunegate.training.techniques import reward_worker

STARTING_SECONDS = 60.0
"""How long reading a file with a function may take: it imports what it needs."""

_KEPT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
_READ = 65_536


class RewardError(Exception):
    """What went wrong in the process, as the end of a sentence."""


class RewardProcess:
    """One reward, ready to score answers."""

    def __init__(self, config: dict[str, Any], seconds: float) -> None:
        """Start it; `seconds` is how long a call may take. Raises RewardError when it cannot run."""
        self._seconds = seconds
        self._left = b""
        # -P and -s: nothing but what is installed can be imported, so that one file is all there is to name.
        command = [sys.executable, "-P", "-s", str(Path(reward_worker.__file__))]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        weakref.finalize(self, _end, self._process)
        reply = self._ask(config, STARTING_SECONDS)
        if "error" in reply:
            raise RewardError(reply["error"])

    def value(self, answer: str, row: dict[str, Any]) -> float:
        """What the reward says of an answer. Raises RewardError when it gives no finite value in time."""
        reply = self._ask({"answer": answer, "row": row, "seconds": self._seconds}, self._seconds)
        if "error" in reply:
            raise RewardError(reply["error"])
        return float(reply["value"])

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            line = self._line(time.monotonic() + seconds)
        except BrokenPipeError:
            line = b""
        except TimeoutError:
            _end(self._process)
            raise RewardError(f"took longer than {seconds:g} seconds") from None
        if not line:
            raise RewardError(f"ended its process with code {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _line(self, deadline: float) -> bytes:
        """The next line; empty when the process has ended. Raises TimeoutError."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._left:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                chunk = os.read(self._process.stdout.fileno(), _READ)
                if not chunk:
                    return b""
                self._left += chunk
        line, _, self._left = self._left.partition(b"\n")
        return line


def _environment() -> dict[str, str]:
    """Little of ours, and no secret; the same order of sets in every run."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and what it has started, except what moved to another session."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(BrokenPipeError):
            if stream is not None:
                stream.close()
