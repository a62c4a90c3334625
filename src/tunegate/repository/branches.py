"""Commits that come and go: a change's head from `origin`, results onto its branch, a proposal on a branch of its own.

Never forces a push and never merges: a branch that moved meanwhile is someone's work. A proposal is made from git's
objects: it touches no working tree, no index and no branch that exists.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tunegate.errors import InputError, MachineError, RefusedError, UsageError
from tunegate.repository import lock as locks
from tunegate.repository.git import run_git
from tunegate.repository.revisions import Repository

BOT = {"NAME": "tunegate", "EMAIL": "tunegate@localhost"}
"""Who commits and notes what no person did."""
BOT_IDENTITY = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in BOT.items()}
"""Environment variables with which git commits as `BOT`."""

_MOVED = ("fetch first", "non-fast-forward", "stale info", "cannot lock ref")


def fetch(repository: Repository, sha: str, *, ref: str = "", environment: dict[str, str] | None = None) -> None:
    """Make sure that the commit `sha` is here, from `origin`'s `ref` where it is not.

    Raises InputError when it is not there either.
    """
    if _has(repository, sha):
        return
    repository.run("fetch", "--quiet", "--no-tags", "origin", ref or sha, environment=environment)
    if not _has(repository, sha):
        remedy = "the branch moved meanwhile: the job for its new commit will answer"
        raise InputError("no longer what origin has there", place=f"{sha[:12]} at {ref}", remedy=remedy)


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


def identity_in(repository: Repository) -> dict[str, str]:
    """Environment variables with which git can commit here: none where a person has said who they are."""
    try:
        repository.run("config", "user.email")
    except MachineError:
        return BOT_IDENTITY
    return {}


def propose(repository: Repository, branch: str, commit: str, path: str, text: str, message: str) -> str:
    """Create `branch` from `commit` with one more commit, in which the project's file `path` is `text`; return it.

    A branch on which exactly this was proposed before is left as it is. Raises RefusedError when it holds anything
    else, UsageError for a name that git refuses.
    """
    check_name(repository, branch)
    tree = _tree_with(repository, commit, path, text)
    if tip := _tip_of(repository, branch):
        if repository.run("rev-parse", f"{tip}^{{tree}}").strip() == tree:
            return tip
        remedy = f"name another with --propose, or delete it: git branch -D {branch}"
        raise RefusedError("the branch exists, and holds something else", place=branch, remedy=remedy)
    who = identity_in(repository)
    sha = repository.run("commit-tree", tree, "-p", commit, "-m", message, environment=who).strip()
    # The zeros: only where there is no such branch yet.
    repository.run("update-ref", f"refs/heads/{branch}", sha, "0" * 40)
    return sha


def check_name(repository: Repository, branch: str) -> None:
    """Raises UsageError where `branch` is not a name for a branch."""
    try:
        repository.run("check-ref-format", "--branch", branch)
    except MachineError:
        problem = f"not a name for a branch (got {branch!r})"
        raise UsageError(problem, place="--propose", remedy="for instance search/rank") from None


def _has(repository: Repository, sha: str) -> bool:
    try:
        repository.run("cat-file", "-e", f"{sha}^{{commit}}")
    except MachineError:
        return False
    return True


def _ignored(repository: Repository, paths: Sequence[str]) -> list[str]:
    given = "".join(f"{path}\0" for path in paths).encode()
    done = run_git(repository.root, "check-ignore", "-z", "--stdin", given=given)
    return [path for path in done.stdout.decode().split("\0") if path]


def _tip_of(repository: Repository, branch: str) -> str:
    return repository.run("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").strip()


def _tree_with(repository: Repository, commit: str, path: str, text: str) -> str:
    where = f"{repository.prefix}{path}"
    mode = repository.run("ls-tree", "--full-tree", "--format=%(objectmode)", commit, "--", where).strip() or "100644"
    with tempfile.TemporaryDirectory(prefix="tunegate-index-") as folder:
        new, index = Path(folder) / "content", {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        new.write_text(text, encoding="utf-8")
        blob = repository.run("hash-object", "-w", "--no-filters", "--", str(new)).strip()
        repository.run("read-tree", commit, environment=index)
        # --cacheinfo takes paths from the top of the repository.
        repository.run("update-index", "--add", "--cacheinfo", f"{mode},{blob},{where}", environment=index)
        return repository.run("write-tree", environment=index).strip()
