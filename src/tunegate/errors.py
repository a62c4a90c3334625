"""The errors tunegate raises on purpose, and the one place that prints them.

    TunegateError            exit 1   something is wrong
    ├── UsageError           exit 2   the command line is wrong
    ├── InputError           exit 1   a file, row or value that people wrote is wrong
    ├── MachineError         exit 1   the machine cannot: disk full, library missing, port taken
    ├── RefusedError         exit 3   everything works, and the answer is no
    └── InconclusiveError    exit 4   the evidence does not decide

Library code raises; only `exit_code_of`, called by stages and by the command line, turns an error into text and a
number. Interrupts exit with 128 + signal (130 for Ctrl-C, 143 for SIGTERM), as shells expect.
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import ClassVar

from tunegate.text import visible

CLEANUP_SECONDS = 2.0
"""How long a stopped process may clean up before it is interrupted again."""


class TunegateError(Exception):
    """An error with a place, a problem and a remedy.

    `place` names where (file, key, row), `problem` what is wrong there with its value, `remedy` what to do next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.place}: {self.problem}" if self.place else self.problem
        return visible(f"error: {head}" + (f"\nfix: {self.remedy}" if self.remedy else ""))


class UsageError(TunegateError):
    """The command line is wrong."""

    exit_code = 2


class InputError(TunegateError):
    """A file, row or value that people wrote is wrong."""


class MachineError(TunegateError):
    """The machine cannot do it: disk full, library missing, port taken."""


class RefusedError(TunegateError):
    """Everything works, and the answer is no."""

    exit_code = 3


class InconclusiveError(TunegateError):
    """The evidence does not decide."""

    exit_code = 4


class Stopped(BaseException):
    """SIGINT or SIGTERM, as an exception, so that `finally` blocks and context managers clean up.

    Not KeyboardInterrupt: where that passes through code made by `exec`, as in many imports, CPython ends the
    process by the signal itself, whatever exit code it was given.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code_of(action: Callable[[], object], *, show_traceback: bool | None = None) -> int:
    """Run `action`; print what went wrong, if anything, on stderr; return the process's exit code.

    A traceback appears only when `show_traceback` is true, or, when it is None, when TUNEGATE_TRACEBACK is 1.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    with_traceback = os.environ.get("TUNEGATE_TRACEBACK") == "1" if show_traceback is None else show_traceback
    try:
        action()
    except TunegateError as error:
        return _report(str(error), error.exit_code, with_traceback)
    except Stopped as stopped:
        signal.setitimer(signal.ITIMER_REAL, 0)
        name = signal.Signals(stopped.number).name
        return _report(f"stopped by {name}: nothing half-written was kept", 128 + stopped.number, with_traceback)
    except Exception as error:
        return _report(str(_converted(error)), 1, with_traceback)
    return 0


def _converted(error: Exception) -> TunegateError:
    """An error of a library as one of ours. DuckDB's for a full disk has no number, and its own class for memory."""
    if isinstance(error, OSError):
        return _from_os(error)
    if os.strerror(errno.ENOSPC) in str(error):
        return _full("")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":
        remedy = "raise compute.memory in params.yaml, or use a machine that has more"
        return MachineError("not enough memory", remedy=remedy)
    remedy = "run again with --traceback and report it"
    return TunegateError(f"unexpected {type(error).__name__}: {error}", remedy=remedy)


def _from_os(error: OSError) -> TunegateError:
    place = str(error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(place)
    return MachineError(error.strerror or str(error), place=place)


def _full(place: str) -> TunegateError:
    remedy = "free some space (`dvc gc --workspace` drops cached outputs no commit names) and run again"
    return MachineError("no space left on the disk", place=place, remedy=remedy)


def _report(text: str, code: int, with_traceback: bool) -> int:
    if with_traceback:
        print(visible(traceback.format_exc()), end="", file=sys.stderr)
    print(visible(text), file=sys.stderr)
    return code


def _stop(number: int, _frame: FrameType | None) -> None:
    # A library that is being imported may swallow the exception with a bare `except`: then it comes again.
    signal.signal(signal.SIGALRM, lambda *_: _stop(number, None))
    signal.setitimer(signal.ITIMER_REAL, CLEANUP_SECONDS)
    raise Stopped(number)
