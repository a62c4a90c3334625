"""Bringing commits here and back: a change's head from `origin`, and a new commit of results onto its branch.

Never forces a push and never merges: a branch that moved meanwhile is someone's work. Does not know DVC beyond the
name of its lock.
"""

import subprocess
from collections.abc import Sequence

from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.repository import lock as locks
from tunegate.repository.revisions import Repository

BOT = {"NAME": "tunegate", "EMAIL": "tunegate@localhost"}
"""Who commits and notes what no person did."""
BOT_IDENTITY = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in BOT.items()}
"""Environment variables with which git commits as `BOT`."""

_MOVED = ("fetch first", "non-fast-forward", "stale info", "cannot lock ref")


def fetch(repository: Repository, wanted: str, *, ref: str = "", environment: dict[str, str] | None = None) -> None:
    """Make sure that the commit `wanted` is here, from `origin`'s `ref` where it is not.

    Raises InputError when it is not there either.
    """
    if _has(repository, wanted):
        return
    repository.run("fetch", "--quiet", "--no-tags", "origin", ref or wanted, environment=environment)
    if not _has(repository, wanted):
        remedy = "the branch moved meanwhile: the job for its new commit will answer"
        raise InputError("no longer what origin has there", place=f"{wanted[:12]} at {ref}", remedy=remedy)


def results_of(repository: Repository, lock: locks.Lock) -> list[str]:
    """The files that a run leaves to git: dvc.lock, and the outputs that DVC does not cache."""
    outs = [path for entry in lock.values() for path in entry.outs]
    ignored = set(_ignored(repository, outs))
    return [locks.FILE, *(path for path in outs if path not in ignored and (repository.root / path).exists())]


def commit(repository: Repository, paths: Sequence[str], message: str) -> str | None:
    """Commit `paths`, and nothing else, onto HEAD; return the commit, or None where they did not change."""
    repository.run("add", "--", *paths)
    if not repository.run("status", "--porcelain", "--untracked-files=no", "--", *paths).strip():
        return None
    # A project's hooks check what people write.
    who = identity_in(repository)
    repository.run("commit", "--quiet", "--no-verify", "--message", message, "--", *paths, environment=who)
    return repository.resolve("HEAD")


def push(repository: Repository, sha: str, branch: str, *, environment: dict[str, str]) -> None:
    """Move `origin`'s branch forward to `sha`. Raises RefusedError when it has commits that `sha` lacks."""
    try:
        repository.run("push", "--quiet", "origin", f"{sha}:refs/heads/{branch}", environment=environment)
    except MachineError as error:
        if any(words in error.problem for words in _MOVED):
            problem = "the branch moved while the run went on, and nothing is ever overwritten"
            remedy = "the run is in the run cache: the job for the branch's new commit takes from it what fits"
            raise RefusedError(problem, place=f"git push origin {branch}", remedy=remedy) from None
        remedy = "may this job write contents? docs/ci.md lists the permissions"
        raise MachineError(error.problem, place=f"git push origin {branch}", remedy=remedy) from None


def _has(repository: Repository, sha: str) -> bool:
    try:
        repository.run("cat-file", "-e", f"{sha}^{{commit}}")
    except MachineError:
        return False
    return True


def _ignored(repository: Repository, paths: Sequence[str]) -> list[str]:
    command = ["git", "-C", str(repository.root), "check-ignore", "-z", "--stdin"]
    given = "".join(f"{path}\0" for path in paths).encode()
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    return [path for path in done.stdout.decode().split("\0") if path]


def identity_in(repository: Repository) -> dict[str, str]:
    """Environment variables with which git can commit here: none where a person has said who they are."""
    try:
        repository.run("config", "user.email")
    except MachineError:
        return BOT_IDENTITY
    return {}
