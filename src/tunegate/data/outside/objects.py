"""Files of an object store, through fsspec, into a spool: those that the snapshot does not have as they are now.

Opens connections. A file is known by its size and by its version (etag, checksum, or the time it was changed); one that
changes while it is copied is an error. Every row gets the columns `_file` and `_line`. Does not know what becomes of
them.
"""

import itertools
import posixpath
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunegate.data.outside.credentials import scrubbed, secret_of
from tunegate.data.outside.spool import PAGE_ROWS, Spool
from tunegate.data.sources.outside_declaration import FILE_COLUMN, LINE_COLUMN, Object
from tunegate.data.sources.records import read_records
from tunegate.errors import InputError, MachineError, TunegateError

Files = Mapping[str, Mapping[str, Any]]

_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "md5", "checksum", "version_id", "mtime", "LastModified")
_LATER = "what was fetched is kept: check the address, the network and the credentials, and run the refresh again"


def fetch(declared: Object, known: Files | None, spool: Spool, place: str) -> None:
    """Bring the rows of every file that is not in `known` as it is now into `spool`; leave all files in `spool.state`.

    Raises InputError for a file that is no data, MachineError when the store does not answer.
    """
    secrets = {option: secret_of(variable, place) for option, variable in declared.env.items()}
    try:
        store = _Store(declared, secrets)
        listed = store.files()
        done: dict[str, Any] = spool.state.get("files", {})
        if any(listed.get(name) != facts for name, facts in done.items()):
            spool.clear()  # a file changed since this refresh was stopped: what it had then must not stay
            done = {}
        for name in sorted(listed.keys() - done.keys()):
            if listed[name] != (known or {}).get(name):
                store.read(name, listed[name], spool, place)
            done[name] = listed[name]
            spool.add([], {"files": done})
    except (TunegateError, KeyboardInterrupt):
        raise
    except ImportError as error:
        raise MachineError(scrubbed(error, secrets.values()), place=place, remedy="install that package") from None
    except Exception as error:  # every kind of store has its own
        problem = f"cannot read the store: {type(error).__name__}: {scrubbed(error, secrets.values())}"
        raise MachineError(problem, place=place, remedy=_LATER) from None


class _Store:
    def __init__(self, declared: Object, secrets: Mapping[str, str]) -> None:
        import fsspec

        self._files, self._pattern = fsspec.url_to_fs(declared.url, **{**declared.options, **secrets})
        fixed = itertools.takewhile(lambda part: not _is_glob(part), posixpath.dirname(self._pattern).split("/"))
        self._base = "/".join(fixed)

    def files(self) -> dict[str, dict[str, Any]]:
        """Size and version of each file, by its name below the fixed part of the URL."""
        self._files.invalidate_cache()
        if _is_glob(self._pattern):
            found = self._files.glob(self._pattern, detail=True)
        else:
            found = {self._pattern: self._files.info(self._pattern)}
        return {self._name(path): _facts(info) for path, info in found.items() if info["type"] == "file"}

    def read(self, name: str, facts: Mapping[str, Any], spool: Spool, place: str) -> None:
        """Copy one file and add its rows to `spool`."""
        path = posixpath.join(self._base, name)
        copy = spool.folder / "copy" / posixpath.basename(name)
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir(parents=True)
        self._files.get_file(path, str(copy))
        self._files.invalidate_cache()
        if _facts(self._files.info(path)) != facts or copy.stat().st_size != facts["size"]:
            problem = f"{name} changed while it was read"
            raise MachineError(problem, place=place, remedy="run the refresh again")
        rows = _rows(copy, name)
        while page := list(itertools.islice(rows, PAGE_ROWS)):
            # No state of their own: after a kill the file is read again as a whole.
            spool.add(page, None)
        shutil.rmtree(copy.parent)

    def _name(self, path: str) -> str:
        return path.removeprefix(self._base).lstrip("/")


def _rows(copy: Path, name: str) -> Iterator[dict[str, Any]]:
    from tunegate.data.sources.locating import Located

    for number, record in enumerate(read_records(Located(copy, name)), 1):
        reserved = next((column for column in (FILE_COLUMN, LINE_COLUMN) if column in record.values), None)
        if reserved is not None:
            problem = f"a column {reserved!r}: the snapshot itself has one of this name"
            raise InputError(problem, place=record.place, remedy="rename it in the file")
        yield {FILE_COLUMN: name, LINE_COLUMN: number, **record.values}


def _facts(info: Mapping[str, Any]) -> dict[str, Any]:
    version = next((str(info[key]) for key in _VERSIONS if info.get(key) is not None), "")
    return {"size": info["size"], "version": version}


def _is_glob(path: str) -> bool:
    return any(character in path for character in "*?[")
