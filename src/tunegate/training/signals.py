"""Signals while training: noted, so that a step is done wholly or not at all, and answered after it."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

from tunegate.errors import Stopped

_SAME_SECONDS = 1.0
"""A second signal so soon is the first one, sent to the process and to its group, as timeout(1) does."""


@contextlib.contextmanager
def noted(*, impatient: bool = False) -> Iterator[list[int]]:
    """While open, SIGINT and SIGTERM are only added to the list; `impatient`, a second one raises Stopped.

    A process of a team is not impatient: it may get a signal from its launcher and from the scheduler too.
    """
    caught: list[int] = []
    since = 0.0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal since
        if not caught:
            since = time.monotonic()
        elif impatient and time.monotonic() - since > _SAME_SECONDS:
            raise Stopped(number)
        caught.append(number)

    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def leave(number: int, step: int) -> None:
    """Say where the run resumes and raise Stopped: the process ends with 128 + the signal's number."""
    print(f"\ntrain: checkpoint saved after step {step}; `dvc repro` resumes there", file=sys.stderr)  # noqa: T201
    raise Stopped(number)
