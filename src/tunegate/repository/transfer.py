"""What a job on CI exchanges with the DVC remote: its settings from a secret, the run cache, everything a run made.

Writes `.dvc/config.local`, DVC's own untracked file for credentials, and DVC's cache. No error quotes the settings.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import read_text, write_text
from tunegate.repository.remote import open_dvc, retried

SETTINGS = "TUNEGATE_DVC_CONFIG"
"""The variable with the text of a `.dvc/config.local`: the remote's address and credentials."""

_MARK = "# From the variable TUNEGATE_DVC_CONFIG; tunegate ci writes this file anew.\n"


def write_settings(root: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Write what `TUNEGATE_DVC_CONFIG` holds where DVC looks for it; return whether it holds anything.

    Raises InputError when it is not in DVC's format, or a file that is not ours is in the way.
    """
    text = environment.get(SETTINGS, "").strip()
    if not text:
        return False
    path = root / ".dvc" / "config.local"
    if path.exists() and not read_text(path).startswith(_MARK):
        remedy = f"unset the variable, or delete {path}"
        raise InputError("set, but this clone has settings of its own", place=SETTINGS, remedy=remedy)
    _check(text)
    write_text(path, f"{_MARK}{text}\n")
    path.chmod(0o600)
    return True


def fetch_runs(root: Path) -> int:
    """Bring the runs that the DVC remote remembers into the run cache here; return how many.

    Without a remote, or with one that cannot hold runs, it is none. Raises MachineError when the remote does not
    answer.
    """
    from dvc.stage.cache import RunCacheNotSupported

    def fetch(repo: Any) -> int:
        if not repo.config["core"].get("remote"):
            return 0
        try:
            return len(repo.stage_cache.pull(None))
        except RunCacheNotSupported:
            return 0

    return _with_retries(root, fetch, "dvc fetch --run-cache")


def push_runs(root: Path) -> int:
    """Send every output that dvc.lock names, and the run cache, to the DVC remote; return how many files went.

    Raises InputError without a remote, MachineError when it does not take them.
    """

    def push(repo: Any) -> int:
        if not repo.config["core"].get("remote"):
            remedy = f"`dvc remote add --default`, or the secret {SETTINGS} (docs/ci.md)"
            raise InputError("no DVC remote to push to", place=".dvc/config", remedy=remedy)
        return int(repo.push(run_cache=True))

    return _with_retries(root, push, "dvc push --run-cache")


def _with_retries(root: Path, action: Callable[[Any], int], place: str) -> int:
    def ask() -> int:
        with open_dvc(root) as repo:
            return action(repo)

    return retried(ask, place=place)


def _check(text: str) -> None:
    from configobj import ConfigObj, ConfigObjError

    try:
        ConfigObj(text.splitlines(), interpolation=False)
    except ConfigObjError as error:
        # Its message quotes the line, which may be the one with the password.
        number = getattr(error, "line_number", None)
        where = f"line {number} of it" if number else "it"
        remedy = "it is the text that `dvc remote modify --local` writes into .dvc/config.local"
        raise InputError(f"{where} is not in DVC's format", place=SETTINGS, remedy=remedy) from None
