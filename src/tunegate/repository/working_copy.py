"""What git says about the working copy: commit, branch, and whether the files are the commit's.

No git, no repository and a shallow clone are ordinary situations here, not errors. Which paths are results, and may
differ from the commit, the caller says.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tunegate.errors import MachineError
from tunegate.repository.git import run_git

UNVERSIONED = "unversioned"
"""The commit of a folder that is in no git repository, or in one without a commit."""

_TIMEOUT_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Checkout:
    """The state of a working copy."""

    commit: str
    """Forty hexadecimal digits, or `UNVERSIONED`."""
    branch: str
    """The branch, or the empty text: a detached head, as CI checks out, has none."""
    dirty: bool
    """Whether files differ from the commit. True when that is not known."""

    @property
    def short(self) -> str:
        """The commit for people: eight digits, and a `+` when files differ from it."""
        if self.commit == UNVERSIONED:
            return UNVERSIONED
        return self.commit[:8] + ("+" if self.dirty else "")


def checkout(folder: Path, *, results: Sequence[str] = ()) -> Checkout:
    """The state of the working copy that `folder` is in.

    `results` are paths, relative to `folder`, that a pipeline rewrites while it runs: a change in them says nothing
    about what the run was made from, so they are left out of `dirty`.
    """
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not commit:
        return Checkout(UNVERSIONED, "", dirty=True)
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD") or ""
    excluded = [f":(exclude){path}" for path in results]
    changed = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".", *excluded)
    return Checkout(commit, branch, dirty=changed is None or bool(changed))


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None when git is missing, fails or hangs (on a network disk, say)."""
    try:
        done = run_git(folder, *arguments, seconds=_TIMEOUT_SECONDS)
    except MachineError:
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
