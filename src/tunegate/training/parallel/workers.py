"""One process that was started to train with others: its output, its last lines, how it ended."""

import collections
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

from tunegate.errors import InconclusiveError, InputError, RefusedError, TunegateError, UsageError

ERRORS: dict[int, type[TunegateError]] = {
    kind.exit_code: kind for kind in (UsageError, RefusedError, InconclusiveError)
}
"""What an exit code of one process makes the error of the run; others say that the machine could not."""

RENDEZVOUS_FILE = "TUNEGATE_RENDEZVOUS_FILE"
"""The variable with the path of the file through which the processes of one machine find each other."""

CHILD = "TUNEGATE_CHILD"
"""The variable that says: end when standard input ends, for then the process that started you is gone."""

LOST_PEER = "another process of the run has ended"
"""What a process prints that lost a peer; the cause is elsewhere."""

_LINES = 12
_GRACE_SECONDS = 5.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def number_of(name: str, *, below: int, default: str = "") -> int:
    """The number from 0 that a launcher set in the environment. Raises InputError with the variable as its place."""
    text = os.environ.get(name, default)
    if not text.isdecimal() or int(text) >= below:
        problem = f"must be a number from 0 to {below - 1} (got {text!r})"
        raise InputError(problem, place=name, remedy="let the launcher and `compute` in params.yaml say the same")
    return int(text)


class Worker:
    """A process with `environment` added to this one's. It ends when this process does.

    The first process's output is shown as it comes; of the others only the last lines are kept.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.rank = int(environment["RANK"])
        self.code: int | None = None
        """Its exit code once it has ended, negative for a signal."""
        self.ended_at = float("inf")
        self._tail = collections.deque[str](maxlen=_LINES)
        first = environment["RANK"] == "0"
        self._process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.PIPE,  # never written: it closes when this process ends, however it ends
            stdout=None if first else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C comes through this process, once
        )
        self._reader = threading.Thread(target=self._follow, args=(first,), daemon=True)
        self._reader.start()

    @property
    def last_lines(self) -> str:
        """Its last lines on stderr, indented."""
        return "\n".join(f"  {line}" for line in self._tail)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self.code or 0
        if code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name
        return f"was killed by {name}" + (" (memory may have been short)" if -code == signal.SIGKILL else "")

    @property
    def signal_number(self) -> int:
        """The signal at whose request it ended, SIGINT or SIGTERM; 0 when that is not so."""
        code = self.code or 0
        number = -code if code < 0 else code - 128
        return number if number in _STOP_SIGNALS else 0

    def signal(self, number: int) -> None:
        """Pass a signal on, if it still runs."""
        if self.code is None:
            self._process.send_signal(number)

    def end(self) -> None:
        """End it if it still runs, by force after some seconds: it may wait for one that is gone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.signal(number)
            self._reader.join(_GRACE_SECONDS)
            if self.code is not None:
                return
        self._reader.join()

    def _follow(self, shown: bool) -> None:
        stream = self._process.stderr
        assert stream is not None
        self._read(stream, shown)
        self.code = self._process.wait()
        self.ended_at = time.monotonic()

    def _read(self, stream: IO[bytes], shown: bool) -> None:
        rest = b""
        while chunk := os.read(stream.fileno(), 65536):
            if shown:
                sys.stderr.write(chunk.decode("utf-8", "replace"))
                sys.stderr.flush()
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            self._keep(lines)
        self._keep([rest])

    def _keep(self, lines: list[bytes]) -> None:
        self._tail.extend(text for line in lines if (text := line.decode("utf-8", "replace").rstrip()))
