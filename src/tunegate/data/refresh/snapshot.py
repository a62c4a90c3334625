"""A snapshot in data/raw: `<source>.parquet` with the rows, and `<source>.snapshot.json`, its record.

The record says what was declared, where fetching ended, and the hash of the rows; git keeps it, DVC keeps the rows.
Both are replaced together: what a kill interrupts is finished by the next refresh.
"""

import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tunegate.data.refresh.value_types import Kind
from tunegate.errors import InputError
from tunegate.files import read_json, sha256_of, write_json
from tunegate.params import Closed, parse

SourceKind = Literal["sql", "rest", "object"]

_READY = "ready.json"


class Record(Closed):
    """What a snapshot is: no secret is in it."""

    source: str
    """The name of the source."""
    kind: SourceKind
    """What it is a snapshot of."""
    declared: dict[str, Any]
    """The source's declaration, whose secrets are names of environment variables."""
    cursor: dict[str, Any] | None
    """The largest value of the cursor column, where the next refresh begins."""
    files: dict[str, dict[str, Any]] = Field(default={})
    """The files of an object store, with size and version."""
    columns: dict[str, Kind]
    """The columns, and what kind of values they hold."""
    rows: int
    """How many rows."""
    sha256: str
    """Of the Parquet file."""
    refreshed: str
    """When the rows last changed, in UTC."""


class Snapshot:
    """The snapshot of the source `name` in the folder `raw`; `spool` is where a new one is made ready."""

    def __init__(self, raw: Path, name: str, spool: Path) -> None:
        self.path = raw / f"{name}.parquet"
        self.record_path = raw / f"{name}.snapshot.json"
        self._ready = spool / _READY
        self.new_path = spool / "new.parquet"

    def record(self) -> Record | None:
        """The record, or None without one. Raises InputError when the rows are not those that it names."""
        if not self.record_path.is_file():
            return None
        place = str(self.record_path)
        remedy = "restore it from git"
        record = parse(Record, read_json(self.record_path), place=place, remedy=remedy)
        if not self.path.is_file():
            remedy = f"run `dvc pull {self.path}`; without the rows, delete {place}: everything is then read again"
            raise InputError(f"its rows are not here: {self.path}", place=place, remedy=remedy)
        if sha256_of(self.path) != record.sha256:
            remedy = f"run `dvc checkout {self.path}`, or restore {place}: both must be of one commit"
            raise InputError(f"not the rows that {place} names", place=str(self.path), remedy=remedy)
        return record

    @property
    def is_ready(self) -> bool:
        """Whether a new snapshot waits to be put into place."""
        return self._ready.is_file()

    def prepare(self, record: Record) -> None:
        """Say that the new rows are complete: they and `record` now become the snapshot, also after a kill."""
        write_json(self._ready, {"replaces": self._record_now(), "record": record.model_dump(mode="json")})

    def install(self) -> bool:
        """Put what is ready into place; return whether there was anything.

        What was made ready to replace another record than the one that is here now is thrown away: it is older.
        """
        if not self.is_ready:
            return False
        ready = read_json(self._ready)
        is_done = self.record_path.is_file() and read_json(self.record_path) == ready["record"]
        if ready["replaces"] != self._record_now() and not is_done:
            self._ready.unlink()
            self.new_path.unlink(missing_ok=True)
            return False
        if self.new_path.is_file():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Never written into: the old file may be a link into DVC's cache.
            shutil.move(self.new_path, self.path)
        write_json(self.record_path, ready["record"])
        return True

    def _record_now(self) -> str | None:
        return sha256_of(self.record_path) if self.record_path.is_file() else None
