"""Signals while training: noted, so that a step is done wholly or not at all, and answered after it."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from tunegate.errors import Stopped


@contextlib.contextmanager
def noted() -> Iterator[list[int]]:
    """While open, SIGINT and SIGTERM are only added to the list."""
    caught: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
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
