"""The outputs that a dvc.lock names, read from DVC's cache or remote and never from or into the working tree.

Every byte is checked against its md5: a damaged cache object is an error that names it, not a wrong verdict. Objects
that the cache lacks are fetched into it, with retries. Does not know what an output means.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError
from tunegate.files import STATE, read_json
from tunegate.repository.lock import Locked

_TRIES = 3
_PAUSE_SECONDS = 1.0


class Outputs:
    """A folder with copies of locked outputs; made by `open_outputs`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder

    def path_of(self, locked: Locked) -> Path:
        """A file or folder with the content of `locked`, for reading only.

        Raises InputError when neither cache nor remote have it, or what they have is damaged; MachineError when the
        remote does not answer.
        """
        target = self._folder / locked.md5 / Path(locked.path).name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            self._place(locked, target)
        return target

    def has(self, locked: Locked) -> bool:
        """Whether cache or remote can give `locked`."""
        try:
            self._fetch(locked)
        except InputError:
            return False
        return True

    def cached(self, locked: Locked) -> bool:
        """Whether DVC's cache on this machine holds the whole of `locked`; no remote is asked."""
        if not self._object(locked.md5).is_file():
            return False
        return not locked.md5.endswith(".dir") or all(
            self._object(md5).is_file() for md5 in self._listing(locked).values()
        )

    @property
    def remote(self) -> str | None:
        """The name of the default DVC remote, or None without one."""
        name = self._repo.config["core"].get("remote")
        return str(name) if name else None

    def _place(self, locked: Locked, target: Path) -> None:
        self._fetch(locked)
        if not locked.md5.endswith(".dir"):
            _link(self._verified(locked.md5, locked.path), target)
            return
        partial = target.with_name(f"{target.name}.part")
        for name, md5 in self._listing(locked).items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _link(self._verified(md5, f"{locked.path}/{name}"), path)
        partial.mkdir(exist_ok=True)
        partial.rename(target)

    def _listing(self, locked: Locked) -> dict[str, str]:
        items = read_json(self._verified(locked.md5, locked.path))
        return {item["relpath"]: item["md5"] for item in items}

    def _fetch(self, locked: Locked) -> None:
        if self.cached(locked):
            return
        if not self.remote:
            raise self._lost(locked, "and no DVC remote is configured")
        self._pull([locked.md5], locked.path)
        if locked.md5.endswith(".dir") and self._object(locked.md5).is_file():
            self._pull(list(self._listing(locked).values()), locked.path)
        if not self.cached(locked):
            raise self._lost(locked, "nor does the DVC remote")

    def _pull(self, hashes: list[str], path: str) -> None:
        from dvc_data.hashfile.hash_info import HashInfo

        for attempt in range(1, _TRIES + 1):
            try:
                self._repo.cloud.pull([HashInfo("md5", md5) for md5 in hashes])
                return
            except Exception as error:  # every kind of remote has its own
                if attempt == _TRIES:
                    problem = f"the DVC remote cannot be read, {_TRIES} times: {error}"
                    remedy = "check `dvc remote list`, the network and the credentials"
                    raise MachineError(problem, place=path, remedy=remedy) from None
                time.sleep(_PAUSE_SECONDS * 2**attempt)

    def _verified(self, md5: str, path: str) -> Path:
        found = self._object(md5)
        with found.open("rb") as stream:
            actual = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if actual != md5.removesuffix(".dir"):
            problem = f"damaged in DVC's cache: its md5 is {actual}, not {md5}"
            raise InputError(problem, place=path, remedy=f"delete {found} and run `dvc fetch`")
        return found

    def _object(self, md5: str) -> Path:
        return Path(self._repo.cache.local.oid_to_path(md5))

    @functools.cached_property
    def _repo(self) -> Any:
        from dvc.repo import Repo

        return Repo(str(self._root))

    @staticmethod
    def _lost(locked: Locked, also: str) -> InputError:
        problem = f"its content (md5 {locked.md5}) is not in DVC's cache, {also}"
        return InputError(problem, place=locked.path, remedy="run `dvc push` where it was made")


@contextlib.contextmanager
def open_outputs(root: Path) -> Iterator[Outputs]:
    """Outputs of the project in `root`; their copies are gone when the block ends."""
    state = root / STATE
    state.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="outputs-", dir=state))
    try:
        yield Outputs(root, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    # A hard link costs nothing; across file systems, or where they are forbidden, a copy does.
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
