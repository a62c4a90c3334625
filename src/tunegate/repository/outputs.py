"""The outputs that a dvc.lock names, read from DVC's cache or remote and never from or into the working tree.

Every byte is checked against its md5: a damaged cache object is an error that names it, not a wrong verdict. Objects
that the cache lacks are fetched into it, with retries. Hashes and the listings of folders may be part of an untrusted
change: no path is made of one that DVC would not write, and no existing file is overwritten.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import STATE, read_json
from tunegate.repository.lock import Locked, is_inside, is_md5
from tunegate.repository.remote import open_dvc, retried


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
        self._object(locked.md5)
        if not is_inside(locked.path):
            raise InputError("not a path inside the project", place=locked.path, remedy="restore dvc.lock")
        target = self._folder / locked.md5 / Path(locked.path).name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            self._place(locked, target)
        return target

    def cached(self, locked: Locked) -> bool:
        """Whether DVC's cache on this machine holds the whole of `locked`; no remote is asked."""
        if not self._object(locked.md5).is_file():
            return False
        return not locked.md5.endswith(".dir") or all(
            self._object(md5).is_file() for md5 in self._listing(locked).values()
        )

    def md5_in(self, locked: Locked, path: str) -> str:
        """The md5 that DVC gives to the file or folder `path` in the folder `locked`; empty where there is none."""
        from dvc.fs import localfs
        from dvc_data.hashfile.build import build

        file = self.path_of(locked) / path
        if not is_inside(path) or not file.exists():
            return ""
        return str(build(self._repo.cache.local, str(file), localfs, "md5", dry_run=True)[2].hash_info.value)

    @property
    def remote(self) -> str | None:
        """The name of the default DVC remote, or None without one."""
        name = self._repo.config["core"].get("remote")
        return str(name) if name else None

    def _place(self, locked: Locked, target: Path) -> None:
        self._fetch(locked)
        # First next to the target: an incomplete copy must not pass for a complete one.
        partial = Path(tempfile.mkdtemp(prefix="part-", dir=self._folder)) / target.name
        if locked.md5.endswith(".dir"):
            partial.mkdir()
            for name, md5 in self._listing(locked).items():
                path = partial / name
                path.parent.mkdir(parents=True, exist_ok=True)
                _link(self._verified(md5, f"{locked.path}/{name}"), path)
        else:
            _link(self._verified(locked.md5, locked.path), partial)
        partial.rename(target)

    def _listing(self, locked: Locked) -> dict[str, str]:
        """The md5 of each file of a folder, by its path in there."""
        items = read_json(self._verified(locked.md5, locked.path))
        if not isinstance(items, list):
            raise self._bad_listing(locked, "it is not a list")
        files: dict[str, str] = {}
        for item in items:
            name, md5 = (item.get("relpath"), item.get("md5")) if isinstance(item, dict) else (None, None)
            if not is_inside(name) or name in files:
                raise self._bad_listing(locked, f"{name!r} is not a path of a file in it, or is listed twice")
            if not is_md5(md5):
                raise self._bad_listing(locked, f"{name}: {md5!r} is not an md5")
            files[str(name)] = str(md5)
        if both := sorted({parent.as_posix() for name in files for parent in Path(name).parents} & files.keys()):
            raise self._bad_listing(locked, f"{both[0]!r} is both a file and a folder")
        return files

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

        retried(lambda: self._repo.cloud.pull([HashInfo("md5", md5) for md5 in hashes]), place=path)

    def _verified(self, md5: str, path: str) -> Path:
        file = self._object(md5)
        with file.open("rb") as stream:
            actual = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if actual != md5.removesuffix(".dir"):
            problem = f"damaged in DVC's cache: its md5 is {actual}, not {md5}"
            raise InputError(problem, place=path, remedy=f"delete {file} and run `dvc fetch`")
        return file

    def _object(self, md5: str) -> Path:
        # It becomes a part of a path: this is the last check, wherever the hash came from.
        if not is_md5(md5, folder=True):
            raise InputError(
                f"{md5!r} is not an md5", place="DVC's cache", remedy="restore dvc.lock and the .dvc files"
            )
        return Path(self._repo.cache.local.oid_to_path(md5))

    @functools.cached_property
    def _repo(self) -> Any:
        return open_dvc(self._root)

    @staticmethod
    def _bad_listing(locked: Locked, what: str) -> InputError:
        problem = f"the listing of the folder (md5 {locked.md5}) is not one of DVC's: {what}"
        return InputError(problem, place=locked.path, remedy="run its stage again; find out who wrote this object")

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
        with source.open("rb") as stream, target.open("xb") as copy:
            shutil.copyfileobj(stream, copy)
