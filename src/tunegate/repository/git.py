"""The one place that runs `git`: never waits for a password or a lock, and its errors are git's own words.

git's messages are those of the C locale, since some are recognised by their words.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tunegate.errors import MachineError

_TIMEOUT_SECONDS = 120
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
HOOK_VARIABLES = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"),
)
"""What git tells its hooks about their repository; in another repository they would mislead git."""

Completed = subprocess.CompletedProcess[bytes]


def run_git(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
    seconds: float = _TIMEOUT_SECONDS,
    other_repository: bool = False,
) -> Completed:
    """What became of `git` in `folder`, with `given` on its standard input and `environment` added.

    `other_repository` drops what a hook's environment says about the hook's own. Raises MachineError where git is
    missing or does not end within `seconds`; an exit code is the caller's to judge.
    """
    variables = {name: text for name, text in os.environ.items() if not (other_repository and name in HOOK_VARIABLES)}
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(
            command,
            env=variables | _QUIET | dict(environment or {}),
            input=given,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except OSError:
        raise MachineError("git is not installed", place="PATH", remedy="install git 2.38 or newer") from None
    except subprocess.TimeoutExpired:
        remedy = "look at the disk or the network it waits for"
        raise MachineError(f"no answer in {seconds:g} s", place=" ".join(command), remedy=remedy) from None


def output_of(done: Completed, place: str, remedy: str = "see what git says") -> str:
    """What git printed. Raises MachineError, with git's words, where it failed."""
    if done.returncode:
        raise MachineError(words_of(done), place=place, remedy=remedy)
    return done.stdout.decode("utf-8", "replace")


def words_of(done: Completed) -> str:
    """What git said on stderr, or its exit code where it said nothing."""
    return done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
