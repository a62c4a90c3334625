"""A file that DVC tracks on its own (`dvc add`): DVC's cache keeps its bytes, git the `.dvc` file that names them.

Writes DVC's cache, the `.dvc` file and the folder's `.gitignore`. Does not know what the file holds.
"""

from pathlib import Path

from tunegate.errors import InputError, MachineError
from tunegate.repository.remote import open_dvc


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
        with open_dvc(root) as repo:
            repo.add([str(path.resolve())])
    except DvcException as error:
        raise MachineError(f"`dvc add` fails: {error}", place=str(path), remedy="mend that, and run it again") from None
    ignored = path.parent / ".gitignore"
    return [added_file(path), *([ignored] if ignored.is_file() else [])]


def added_file(path: Path) -> Path:
    """The `.dvc` file of `path`."""
    return path.with_name(f"{path.name}.dvc")
