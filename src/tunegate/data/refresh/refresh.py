"""A new snapshot of one external source: fetch, check, merge, install; or nothing, where the source did not change.

Works in .tunegate/refresh/<source>/ and replaces the snapshot in data/raw when all rows are there. One refresh of a
source at a time.
"""

import dataclasses
import datetime
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunegate.data.refresh import object_store, rest, sql
from tunegate.data.refresh.checks import check_columns, check_forward, check_unique, joint_columns, refuse_empty
from tunegate.data.refresh.merge import Changes, Keeps, Merge
from tunegate.data.refresh.snapshot import Record, Snapshot, SourceKind
from tunegate.data.refresh.spool import Spool
from tunegate.data.refresh.value_types import Kind, packed
from tunegate.data.sources.declaration import Source
from tunegate.data.sources.external_declaration import Object, Rest, Sql, key_of
from tunegate.errors import InputError, TunegateError
from tunegate.files import STATE, sha256_of, to_json
from tunegate.locks import file_lock
from tunegate.repository.tracked_files import add, added_file

FOLDER = STATE / "refresh"


@dataclasses.dataclass(frozen=True)
class RefreshOptions:
    """How to refresh."""

    full: bool = False
    """Read everything again, also where a cursor is declared."""
    allow_empty: bool = False
    """A source without rows gives a snapshot without rows."""
    dry_run: bool = False
    """Report what would change, and write nothing."""
    memory: int = 2**30
    """Bytes that the work database may keep in memory."""
    on_rows: Callable[[int], object] = lambda _: None
    """Called with the number of rows, each time that some came."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a refresh."""

    source: str
    changed: bool
    """Whether the snapshot is a new one, or would be."""
    changes: Changes
    received: int
    """Rows that the source gave, repeated ones included."""
    resumed: int
    """Rows that an earlier refresh had fetched before it was stopped."""
    size: int
    """Bytes of the new snapshot."""
    finished: bool
    """Whether a snapshot that an earlier refresh had made ready, and was then stopped, was put into place as well."""
    git_add: tuple[str, ...] = ()
    """The files for git that this refresh wrote."""


def refresh(source: Source, raw: Path, place: str, options: RefreshOptions) -> Outcome:
    """Refresh the snapshot of `source` in the folder `raw`, and let DVC track it; `place` names sources.yaml.

    Raises InputError, MachineError or RefusedError, and then the old snapshot is as it was.
    """
    folder = FOLDER / source.name
    problem = "another refresh of this source is running"
    with file_lock(folder.with_suffix(".lock"), problem, place=place, remedy="wait for it"):
        if not options.dry_run:
            return _Refresh(source, Snapshot(raw, source.name, folder), folder, place, options).run()
        if Snapshot(raw, source.name, folder).is_ready:
            remedy = "run it without --dry-run: what was stopped is then finished"
            raise InputError("a refresh was stopped while it put a snapshot into place", place=place, remedy=remedy)
        folder = folder.with_suffix(".dry")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            return _Refresh(source, Snapshot(raw, source.name, folder), folder, place, options).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Refresh:
    def __init__(self, source: Source, snapshot: Snapshot, folder: Path, place: str, options: RefreshOptions) -> None:
        assert source.external is not None
        self._name, self._declared, self._snapshot = source.name, source.external, snapshot
        self._declaration = self._declared.model_dump(mode="json", exclude_defaults=True)
        self._folder, self._options = folder, options
        self._kind: SourceKind = "sql" if source.sql else "rest" if source.rest else "object"
        self._place = f"{place}.{self._kind}"
        self._key = key_of(self._declared)
        zone, cursor = getattr(self._declared, "time_zone", None), getattr(self._declared, "cursor", None)
        cursor = getattr(cursor, "column", cursor)
        self._spool = Spool(folder, self._key, self._place, zone=zone, cursor=cursor)
        self._spool.on_rows = options.on_rows

    def run(self) -> Outcome:
        # Stopped before it was put into place, or after: both are finished by doing it again.
        finished = self._snapshot.install()
        written = self._finish() if finished else ()
        record = self._snapshot.record()
        same = record is not None and record.declared == self._declaration
        previous = record if same and not self._options.full else None
        self._spool.open(_fingerprint(self._declaration, previous, self._options.full))
        try:
            self._fetch(previous)
        except InputError:
            self._spool.clear()  # what is corrected at the source must be read again
            raise
        try:
            outcome, new = self._merged(record, previous)
        except TunegateError:
            self._spool.clear()  # all of it was fetched, and is not a snapshot: another read may give other rows
            raise
        if new and not self._options.dry_run:
            self._snapshot.prepare(new)
        untracked = not added_file(self._snapshot.path).is_file()
        if self._snapshot.install() or (untracked and not self._options.dry_run):
            written = self._finish()
        self._spool.clear()
        changed = outcome.changed or bool(written)
        return dataclasses.replace(outcome, changed=changed, finished=finished, git_add=written)

    def _finish(self) -> tuple[str, ...]:
        files = add(Path(), self._snapshot.path)
        self._spool.clear()
        return tuple(path.as_posix() for path in (self._snapshot.record_path, *files))

    def _fetch(self, previous: Record | None) -> None:
        declared, spool = self._declared, self._spool
        if spool.done:
            return
        if isinstance(declared, Sql):
            sql.fetch(declared, previous.cursor if previous else None, spool, self._place)
        elif isinstance(declared, Rest):
            rest.fetch(declared, previous.cursor if previous else None, spool, self._place)
        else:
            object_store.fetch(declared, previous.files if previous else None, spool, self._place)
        spool.finish()

    def _merged(self, record: Record | None, previous: Record | None) -> tuple[Outcome, Record | None]:
        """The outcome, and the snapshot's new record where it changes; the new rows are then written.

        `record` is the snapshot's, `previous` the same where this refresh builds on it.
        """
        spool, since = self._spool, previous.cursor if previous else None
        empty = self._is_empty(since)
        if empty and not self._options.allow_empty:
            refuse_empty(record.rows if record else None, self._place)
        if record and record.declared == self._declaration:
            whole = bool(spool.rows) and self._reads_all(previous)
            check_columns(record, spool, self._place, self._snapshot.record_path, whole=whole)
        columns, compared = self._columns(record, keeps_old=previous is not None)
        with Merge(self._folder / "work", self._options.memory, columns, self._key) as merge:
            merge.load(spool.pages, self._snapshot.path if compared else None)
            check_unique(self._declared, merge, self._place)
            check_forward(since, self._declared, merge, self._place)
            changes = merge.merge("none" if empty else self._keeps(previous))
            return self._outcome(record, merge, changes)

    def _reads_all(self, previous: Record | None) -> bool:
        """Whether the rows that came show all columns of the source."""
        if isinstance(self._declared, Object):
            return not self._keeps(previous)
        return previous is None or previous.cursor is None or isinstance(self._declared, Sql)

    def _outcome(self, record: Record | None, merge: Merge, changes: Changes) -> tuple[Outcome, Record | None]:
        same_rows = record is not None and not changes.any and record.columns == merge.columns
        rows = self._snapshot.path
        if not same_rows:
            rows = self._snapshot.new_path
            merge.write(rows)
        changed = not same_rows or record is None or record.declared != self._declaration
        size = rows.stat().st_size
        outcome = Outcome(self._name, changed, changes, self._spool.rows, self._spool.resumed, size, finished=False)
        return outcome, self._record(merge, changes, sha256_of(rows)) if changed else None

    def _record(self, merge: Merge, changes: Changes, sha256: str) -> Record:
        return Record(
            source=self._name,
            kind=self._kind,
            declared=self._declaration,
            cursor=self._cursor(merge),
            files=self._spool.state.get("files", {}),
            columns=merge.columns,
            rows=changes.rows,
            sha256=sha256,
            refreshed=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    def _columns(self, record: Record | None, *, keeps_old: bool) -> tuple[dict[str, Kind], bool]:
        """The columns of the new snapshot, and whether the old one's rows can be compared with them."""
        fetched = dict(self._spool.columns)
        if record is None:
            return {**dict.fromkeys(self._key, "empty"), **fetched}, False
        joint = joint_columns(record.columns, fetched, exactly=record.declared != self._declaration)
        if joint is None or not set(self._key) <= record.columns.keys():
            return {**dict.fromkeys(self._key, "empty"), **fetched}, False
        if keeps_old or not fetched:
            return joint, True
        return {name: joint[name] for name in fetched}, True

    def _is_empty(self, since: dict[str, Any] | None) -> bool:
        """Whether the source as a whole has no rows; an API that has nothing new does not say."""
        if isinstance(self._declared, Object):
            return not self._spool.state.get("files")
        if isinstance(self._declared, Sql) and since is not None:
            return self._spool.state.get("largest") is None
        return since is None and not self._spool.rows

    def _keeps(self, previous: Record | None) -> Keeps:
        if isinstance(self._declared, Object):
            listed = self._spool.state.get("files", {})
            files = previous.files if previous else {}
            return sorted(name for name, facts in files.items() if listed.get(name) == facts)
        return "all" if previous and previous.cursor is not None else "none"

    def _cursor(self, merge: Merge) -> dict[str, Any] | None:
        if isinstance(self._declared, Sql):
            cursor: dict[str, Any] | None = self._spool.state.get("largest")
            return cursor
        if isinstance(self._declared, Rest) and self._declared.cursor:
            column = self._declared.cursor.column
            largest = merge.largest(column) if column in merge.columns else None
            return None if largest is None else packed(largest, f"{self._place}.cursor")
        return None


def _fingerprint(declaration: dict[str, Any], previous: Record | None, full: bool) -> str:
    facts = {"declaration": declaration, "previous": previous and previous.sha256, "full": full}
    return hashlib.sha256(to_json(facts).encode()).hexdigest()
