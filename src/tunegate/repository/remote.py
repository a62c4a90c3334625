"""DVC as a library: the project as DVC opens it, and questions to its remote, asked again where it does not answer.

The error about an answer that never comes quotes no settings.
"""

from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any, TypeVar

from tunegate.errors import InputError, MachineError, TunegateError

TRIES = 3
PAUSE_SECONDS = 1.0

Answer = TypeVar("Answer")


def open_dvc(root: Path) -> Any:
    """DVC's own view of the project in `root`, to be used as it is or in a `with`. Raises InputError without one."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        return Repo(str(root))
    except NotDvcRepoError:
        raise InputError("not a DVC project", place=str(root), remedy="run `dvc init`") from None


def retried(ask: Callable[[], Answer], *, place: str) -> Answer:
    """What `ask` returns, after some tries; our own errors are answers. Raises MachineError when none of them works."""
    for attempt in range(1, TRIES + 1):
        try:
            return ask()
        except TunegateError:
            raise
        except Exception as error:  # every kind of remote has its own
            if attempt == TRIES:
                problem = f"the DVC remote does not answer, {TRIES} times: {type(error).__name__}: {error}"
                remedy = "check `dvc remote list`, the network and the credentials"
                raise MachineError(problem, place=place, remedy=remedy) from None
            sleep(PAUSE_SECONDS * 2**attempt)
    raise AssertionError("unreachable")
