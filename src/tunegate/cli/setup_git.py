"""`tunegate setup-git`: the settings of this clone that a repository cannot bring along.

Writes .git/config, .git/info/attributes and .gitattributes. Without it git treats dvc.lock safely: as a
conflict whenever both sides changed it (`dvc.lock -merge`).
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from tunegate.files import read_text, write_text
from tunegate.repository.lock import FILE
from tunegate.repository.revisions import Repository, open_repository

_SECTION = "merge.tunegate-lock"
_SAFE = f"{FILE} -merge"
# Only the clone's own attributes name the driver: they win over .gitattributes, and a clone in which it is not
# installed has no such line. There, git would take an unknown driver for "merge line by line".
_LINE = f"{FILE} merge=tunegate-lock"


def setup_git(
    remove: Annotated[bool, typer.Option("--remove", help="Undo it in this clone.")] = False,
) -> None:
    """Install the merge driver for dvc.lock in this clone. Example: tunegate setup-git

    May be run again, and must be in every clone that is to have the driver. The file .gitattributes then says
    `dvc.lock -merge`, for clones without it: commit that.
    """
    repository = open_repository()
    attributes = repository.root / repository.run("rev-parse", "--git-path", "info/attributes").strip()
    done = _remove(repository, attributes) if remove else _install(repository, attributes)
    print("\n".join(done) if done else "nothing to do")


def _install(repository: Repository, attributes: Path) -> list[str]:
    command = f"{shlex.quote(sys.executable)} -m tunegate.cli lock merge %O %A %B --path %P"
    settings = {f"{_SECTION}.name": "tunegate: stage by stage", f"{_SECTION}.driver": command}
    done = []
    for key, value in settings.items():
        if _setting(repository, key) != value:
            repository.run("config", "--local", key, value)
            done.append(f"git config {key}: {value}")
    if _with_line(attributes, f"/{repository.prefix}{_LINE}"):
        done.append(f"{attributes}: {_LINE}")
    shared = repository.root / ".gitattributes"
    lines = read_text(shared).splitlines() if shared.is_file() else []
    if not any(line.split()[:1] == [FILE] and "-merge" in line.split() for line in lines):
        _with_line(shared, _SAFE)
        done.append(f"{shared.name}: {_SAFE} (commit this: clones without the driver then stop at a conflict)")
    return done


def _remove(repository: Repository, attributes: Path) -> list[str]:
    done = []
    if _setting(repository, f"{_SECTION}.driver"):
        repository.run("config", "--local", "--remove-section", _SECTION)
        done.append(f"git config {_SECTION}: removed")
    line = f"/{repository.prefix}{_LINE}"
    lines = read_text(attributes).splitlines() if attributes.is_file() else []
    if line in lines:
        write_text(attributes, "".join(f"{kept}\n" for kept in lines if kept != line))
        done.append(f"{attributes}: {_LINE}: removed")
    return done


def _setting(repository: Repository, key: str) -> str:
    return repository.run("config", "--local", "--default", "", "--get", key).strip()


def _with_line(file: Path, line: str) -> bool:
    text = read_text(file) if file.is_file() else ""
    if line in text.splitlines():
        return False
    write_text(file, text + ("" if not text or text.endswith("\n") else "\n") + line + "\n")
    return True
