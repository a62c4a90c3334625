"""Files of an object store, through fsspec, into a spool: those that the snapshot does not have as they are now.

A file is identified by its size and by its version (etag, checksum, or the time it was changed); where a store gives
none, it is fetched each time and identified by its bytes. One that changes while it is copied is an error. Every row
gets the columns `_file` and `_line`.
"""

import contextlib
import itertools
import posixpath
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunegate.data.refresh.spool import PAGE_ROWS, Spool
from tunegate.data.sources.external_declaration import FILE_COLUMN, LINE_COLUMN, Object, secret_of
from tunegate.data.sources.records import read_records
from tunegate.errors import InputError, MachineError
from tunegate.files import sha256_of
from tunegate.text import without_secrets

Facts = Mapping[str, Any]
Files = Mapping[str, Facts]

_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "md5", "checksum", "version_id", "generation", "sha")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modify", "modificationTime", "last_write_time")
_LATER = "what was fetched is kept: check the address, the network and the credentials, and run the refresh again"


def fetch(declared: Object, previous: Files | None, spool: Spool, place: str) -> None:
    """Bring the rows of every file that `previous` lacks as it is now into `spool`; leave all files in `spool.state`.

    Raises InputError for a file that is not data, MachineError when the store does not answer.
    """
    secrets = {option: secret_of(variable, place) for option, variable in declared.env.items()}
    store = _Store(declared, secrets, place)
    listed = store.files()
    done: dict[str, Any] = spool.state.get("files", {})
    if any(listed.get(name) != facts for name, facts in done.items()):
        spool.clear()  # a file changed since this refresh was stopped: what it had then must not stay
        done = {}
    for name in sorted(listed.keys() - done.keys()):
        done[name] = store.read(name, listed[name], (previous or {}).get(name), spool)
        spool.add([], {"files": done})


@contextlib.contextmanager
def _store_errors(secrets: Collection[str], place: str) -> Iterator[None]:
    """Around calls of a store's library alone: each has errors of its own, of no common kind."""
    try:
        yield
    except ImportError as error:
        raise MachineError(without_secrets(error, secrets), place=place, remedy="install that package") from None
    except Exception as error:
        problem = f"cannot read the store: {type(error).__name__}: {without_secrets(error, secrets)}"
        raise MachineError(problem, place=place, remedy=_LATER) from None


class _Store:
    def __init__(self, declared: Object, secrets: Mapping[str, str], place: str) -> None:
        import fsspec

        self._secrets, self._place = secrets.values(), place
        with _store_errors(self._secrets, place):
            self._files, self._pattern = fsspec.url_to_fs(declared.url, **{**declared.options, **secrets})
        fixed = itertools.takewhile(lambda part: not _is_glob(part), posixpath.dirname(self._pattern).split("/"))
        self._base = "/".join(fixed)

    def files(self) -> dict[str, Facts]:
        """Size and version of each file, by its name below the fixed part of the URL."""
        with _store_errors(self._secrets, self._place):
            self._files.invalidate_cache()
            if _is_glob(self._pattern):
                entries = self._files.glob(self._pattern, detail=True)
            else:
                entries = {self._pattern: self._files.info(self._pattern)}
            files = {path: info for path, info in entries.items() if info["type"] == "file"}
            listed = {self._name(path): self._facts(path, info) for path, info in files.items()}
        for name in listed:
            _check_layout(name, self._place)
        return listed

    def read(self, name: str, facts: Facts, previous: Facts | None, spool: Spool) -> Facts:
        """Add the rows of one file to `spool` unless it is as `previous`; return what now identifies it."""
        if facts["version"] and facts == previous:
            return facts
        copy = self._copied(name, facts, spool.folder / "copy")
        if not facts["version"]:
            facts = {**facts, "version": f"sha256 {sha256_of(copy)}"}
        rows = _rows(copy, name) if facts != previous else iter(())
        while page := list(itertools.islice(rows, PAGE_ROWS)):
            # No state of their own: after a kill the file is read again as a whole.
            spool.add(page, None)
        shutil.rmtree(copy.parent)
        return facts

    def _copied(self, name: str, facts: Facts, folder: Path) -> Path:
        path = posixpath.join(self._base, name)
        copy = folder / posixpath.basename(name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with _store_errors(self._secrets, self._place):
            self._files.get_file(path, str(copy))
            self._files.invalidate_cache()
            now = self._facts(path, self._files.info(path))
        if now != facts or copy.stat().st_size != facts["size"]:
            problem = f"{name!r} changed while it was read"
            raise MachineError(problem, place=self._place, remedy="run the refresh again")
        return copy

    def _facts(self, path: str, info: Mapping[str, Any]) -> Facts:
        version = next((str(info[key]) for key in (*_VERSIONS, *_TIMES) if info.get(key) is not None), "")
        if not version:
            # Not `ukey`: where a store has none of its own, it is made of what `info` says.
            with contextlib.suppress(NotImplementedError):
                version = str(self._files.modified(path))
        return {"size": info["size"], "version": version}

    def _name(self, path: str) -> str:
        return path.removeprefix(self._base).lstrip("/")


def _rows(copy: Path, name: str) -> Iterator[dict[str, Any]]:
    from tunegate.data.sources.locations import Located

    for number, record in enumerate(read_records(Located(copy, name)), 1):
        reserved = next((column for column in (FILE_COLUMN, LINE_COLUMN) if column in record.values), None)
        if reserved is not None:
            problem = f"a column {reserved!r}: the snapshot itself has one of this name"
            raise InputError(problem, place=record.place, remedy="rename it in the file")
        yield {FILE_COLUMN: name, LINE_COLUMN: number, **record.values}


def _check_layout(name: str, place: str) -> None:
    from tunegate.data.sources.declaration import COMPRESSIONS, RECORD_FORMATS, suffixes_of

    layout, compression = suffixes_of(name)
    if layout not in RECORD_FORMATS or (layout == ".parquet" and compression):
        readable = f"{', '.join(RECORD_FORMATS)}, or one of them and {', '.join(COMPRESSIONS)}"
        problem = f"the file {name!r} has no format that can be read: {readable}"
        raise InputError(problem, place=f"{place}.url", remedy="narrow the glob, for instance to *.jsonl")


def _is_glob(path: str) -> bool:
    return any(character in path for character in "*?[")
