"""A file that DVC tracks on its own (`dvc add`): DVC's cache keeps its bytes, git the `.dvc` file that names them.

Writes DVC's cache, the `.dvc` file and the folder's `.gitignore`. Does not know what the file holds.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError
from tunegate.repository.remote import open_dvc, retried


def check_can_add(root: Path, path: Path) -> None:
    """Raise InputError when the project in `root` is not DVC's, or git itself keeps `path`."""
    with open_dvc(root) as repo:
        tracked = repo.scm.is_tracked(str(path.resolve())) if hasattr(repo.scm, "is_tracked") else False
    if tracked:
        remedy = f"run `git rm --cached {path}`: DVC is to keep it"
        raise InputError("git keeps this file itself", place=str(path), remedy=remedy)


def add(root: Path, path: Path) -> list[Path]:
    """Let DVC track the file `path` of the project in `root`; return what git is to keep for it.

    Raises MachineError when DVC cannot, with its words.
    """
    from dvc.exceptions import DvcException

    try:
        with _without_advice(), open_dvc(root) as repo:
            if not _holds(repo, path):
                repo.add([str(path.resolve())])
    except DvcException as error:
        raise MachineError(f"`dvc add` fails: {error}", place=str(path), remedy="fix that, and run it again") from None
    ignored = path.parent / ".gitignore"
    return [added_file(path), *([ignored] if ignored.is_file() else [])]


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    # DVC lists what to give to git; the caller lists it together with its other files.
    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _is_missing(out: Any) -> bool:
    return out.protocol == "local" and bool(out.is_in_repo) and not out.exists


def _holds(repo: Any, path: Path) -> bool:
    """Whether DVC tracks the file as it is: adding it again would give it another time."""
    if not added_file(path).is_file():
        return False
    out = repo.find_outs_by_path(str(path.resolve()))[0]
    return not out.changed()


def bring_added(root: Path) -> list[str]:
    """Put every file that `dvc add` made and that is not in the project `root` there, from DVC's cache or its remote.

    DVC itself leaves them out where outputs may be missing, and a stage that reads their folder then seems changed.
    What other commands than `dvc add` made is left alone: it may name an address outside. Returns their paths. Raises
    MachineError when the remote does not answer or does not have them.
    """
    with open_dvc(root) as repo:
        stages = [stage for stage in repo.index.stages if not stage.cmd and not stage.deps]
        missing = [stage for stage in stages if any(map(_is_missing, stage.outs))]
        if missing:
            targets = [stage.path for stage in missing]
            retried(lambda: repo.pull(targets=targets), place=", ".join(stage.relpath for stage in missing))
        return [str(out) for stage in missing for out in stage.outs]


def added_file(path: Path) -> Path:
    """The `.dvc` file of `path`."""
    return path.with_name(f"{path.name}.dvc")
