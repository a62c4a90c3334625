"""A change proposed on a branch of its own, made from git's objects: no working tree, index or other branch is touched.

Runs git. Never moves a branch that exists. Does not know what is proposed, or why.
"""

import tempfile
from pathlib import Path

from tunegate.errors import MachineError, RefusedError, UsageError
from tunegate.repository.branches import identity_in
from tunegate.repository.revisions import Repository


def propose(repository: Repository, branch: str, commit: str, path: str, text: str, message: str) -> str:
    """Begin `branch` at `commit` with one more commit, in which the project's file `path` is `text`; return it.

    A branch on which exactly this was proposed before is left as it is. Raises RefusedError when it holds anything
    else, UsageError for a name that git does not take.
    """
    check_name(repository, branch)
    tree = _tree_with(repository, commit, path, text)
    if known := _known(repository, branch):
        if repository.run("rev-parse", f"{known}^{{tree}}").strip() == tree:
            return known
        remedy = f"name another with --propose, or delete it: git branch -D {branch}"
        raise RefusedError("the branch exists, and holds something else", place=branch, remedy=remedy)
    who = identity_in(repository)
    made = repository.run("commit-tree", tree, "-p", commit, "-m", message, environment=who).strip()
    # The zeros: only where there is no such branch yet.
    repository.run("update-ref", f"refs/heads/{branch}", made, "0" * 40)
    return made


def check_name(repository: Repository, branch: str) -> None:
    """Raises UsageError where `branch` is no name for a branch."""
    try:
        repository.run("check-ref-format", "--branch", branch)
    except MachineError:
        problem = f"not a name for a branch (got {branch!r})"
        raise UsageError(problem, place="--propose", remedy="for instance search/rank") from None


def _known(repository: Repository, branch: str) -> str:
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
