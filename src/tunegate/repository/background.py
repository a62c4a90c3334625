"""Stages that run in a scratch project while their caller does other things; their output goes to a file.

Starts a process group of its own, so that a stop reaches what DVC started too. A caller that is killed outright leaves
such a group behind: `end_leftovers` finds it by a mark in its environment.
"""

import collections
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunegate.errors import InputError, MachineError
from tunegate.repository.scratch import end, environment_of, failure_of

_LAST_LINES = 200
_PROCESSES = Path("/proc")
_MARK = "TUNEGATE_BACKGROUND"
"""Environment variable of all that is started here, and of nothing else: the scratch project's folder."""


class Background:
    """`dvc repro` for the stages `targets` in the scratch project `folder`."""

    def __init__(
        self, folder: Path, targets: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._targets, self._log = targets, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro", *targets],
                cwd=folder,
                env=environment_of(folder) | dict(environment or {}) | {_MARK: str(folder.resolve())},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """End it with all that it started: SIGTERM, and SIGKILL for what still runs some seconds later."""
        end(self._process)

    def failure(self) -> InputError | MachineError:
        """What made it fail: the stage's own error, or the last line of output."""
        with self._log.open(encoding="utf-8", errors="replace") as output:
            last = collections.deque((line.rstrip() for line in output), maxlen=_LAST_LINES)
        return failure_of(list(last), self._targets, self._process.returncode)


def end_leftovers(folder: Path) -> list[int]:
    """Kill what a `Background` in `folder` or below it started, and return the ids; nothing else that works there.

    Where the system does not tell a process's environment (it has no /proc), there are none.
    """
    processes = [int(entry.name) for entry in _PROCESSES.glob("[0-9]*") if _started_in(entry, folder.resolve())]
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return processes


def _started_in(entry: Path, folder: Path) -> bool:
    try:
        settings = (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return False
    mark = os.fsencode(f"{_MARK}=")
    return any(Path(os.fsdecode(s[len(mark) :])).is_relative_to(folder) for s in settings if s.startswith(mark))
