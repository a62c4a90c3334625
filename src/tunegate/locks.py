"""A lock between the processes of one machine, which the system releases when its holder ends, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tunegate.errors import MachineError


@contextlib.contextmanager
def file_lock(path: Path, problem: str, *, place: str, remedy: str) -> Iterator[None]:
    """Hold the lock file `path` during the block; the file stays, and says which process was the last to hold it.

    Raises MachineError with `problem` and the number of the process that holds it, without waiting for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise MachineError(f"{problem} (process {file.read().strip()})", place=place, remedy=remedy) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
