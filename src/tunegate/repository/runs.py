"""DVC's run cache: which runs happened, by what they were run on. On this machine, and on the DVC remote.

DVC keeps a file per run, named by a hash of the command, parameters and dependencies (the key) and by one of all of it
with the outputs. Both follow from a lock entry alone. Reads only. A person who may write to the cache or the remote can
write such a file without a run: this module cannot tell.
"""

import copy
import functools
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError
from tunegate.files import parse_yaml, read_text
from tunegate.repository.lock import Entry, is_md5
from tunegate.repository.remote import open_dvc, retried

HERE = "run cache here"
REMOTE = "run cache on the remote"


def key_of(raw: dict[str, Any]) -> str:
    """The run cache's name for what a lock entry was run on: command, parameters, dependencies, paths of outputs."""
    return _hash(raw, key=True)


class Runs:
    """The runs that the project in `root` remembers."""

    def __init__(self, root: Path, *, remote: bool = True) -> None:
        self._root = root
        self._ask_remote = remote

    def find(self, entry: Entry) -> str:
        """Where the run that made `entry` is remembered: `HERE`, `REMOTE`, or the empty text.

        Raises InputError when the file there does not match the entry, MachineError when the remote does not answer.
        """
        name = self._name(entry.raw)
        file = self._folder / name
        if file.is_file():
            _check(read_text(file), entry, str(file))
            return HERE
        if self._remote is None:
            return ""
        text = retried(lambda: self._from_remote(name), place="run cache")
        if text is None:
            return ""
        _check(text, entry, f"DVC remote: runs/{name}")
        return REMOTE

    def with_key(self, key: str) -> list[dict[str, Any]]:
        """The runs with `key` whose outputs this machine has, as lock entries; damaged files are skipped."""
        runs = []
        for file in sorted((self._folder / key[:2] / key).glob("*")):
            try:
                raw = parse_yaml(read_text(file), place=str(file), generated=True)
            except InputError:
                continue
            if isinstance(raw, dict) and _hash(raw) == file.name and self._has(raw.get("outs", [])):
                runs.append(raw)
        return runs

    def newest(self, key: str) -> dict[str, Any] | None:
        """The run on this machine with `key` that DVC would restore, as a lock entry: the one written last."""
        times = {file.name: file.stat().st_mtime for file in (self._folder / key[:2] / key).glob("*")}
        return max(self.with_key(key), key=lambda raw: times[_hash(raw)], default=None)

    @property
    def no_remote(self) -> str:
        """Why the remote cannot be asked; empty where it can."""
        return self._remote_or_why if isinstance(self._remote_or_why, str) else ""

    @functools.cached_property
    def _remote_or_why(self) -> Any:
        from dvc.config import RemoteConfigError
        from dvc.exceptions import DvcException

        if not self._ask_remote:
            return "the DVC remote was not asked"
        if not self._repo.config["core"].get("remote"):
            return "no DVC remote is configured"
        try:
            store = self._repo.cloud.get_remote_odb(None, "verify", hash_name="md5-dos2unix")
        except RemoteConfigError:
            return "a cloud-versioned remote keeps no runs"
        except DvcException as error:
            problem = f"the DVC remote cannot be opened: {error}"
            raise MachineError(problem, place=str(self._root), remedy="check `dvc remote list`") from None
        if store.fs.protocol in ("http", "https"):
            return "a remote over HTTP keeps no runs"
        return store

    @property
    def _remote(self) -> Any:
        return None if isinstance(self._remote_or_why, str) else self._remote_or_why

    @functools.cached_property
    def _repo(self) -> Any:
        return open_dvc(self._root)

    @functools.cached_property
    def _folder(self) -> Path:
        return Path(self._repo.cache.local_cache_dir) / "runs"

    def _from_remote(self, name: str) -> str | None:
        path = self._remote.fs.join(self._remote.path, "runs", *name.split("/"))
        try:
            with self._remote.fs.open(path, "rb") as stream:
                return bytes(stream.read()).decode("utf-8", "replace")
        except FileNotFoundError:
            return None

    def _has(self, outs: list[dict[str, Any]]) -> bool:
        cache = self._repo.cache.local
        return all(
            is_md5(out.get("md5"), folder=True) and Path(cache.oid_to_path(out["md5"])).is_file() for out in outs
        )

    @staticmethod
    def _name(raw: dict[str, Any]) -> str:
        key = key_of(raw)
        return f"{key[:2]}/{key}/{_hash(raw)}"


def _hash(raw: dict[str, Any], *, key: bool = False) -> str:
    from dvc.stage.cache import _get_cache_hash

    return str(_get_cache_hash(copy.deepcopy(raw), key=key))


def _check(text: str, entry: Entry, place: str) -> None:
    remedy = "delete this file; where the run was made, `dvc push --run-cache` again"
    try:
        raw = parse_yaml(text, place=place, generated=True)
    except InputError as error:
        raise InputError(f"damaged run cache: {error.problem}", place=place, remedy=remedy) from None
    if not isinstance(raw, dict) or _hash(raw) != _hash(entry.raw):
        raise InputError(
            f"damaged run cache: not the run of `{entry.stage}` it is named for", place=place, remedy=remedy
        )
