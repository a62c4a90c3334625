"""A new snapshot of one source outside: fetch, check, merge, install; or nothing, where the source did not change.

Works below .tunegate/refresh/<source>/ and writes the snapshot in data/raw when all of it is there. One refresh of a
source at a time. Does not know how a source is read: `sql`, `rest` and `objects` do.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunegate.data.refresh import object_store, rest, sql
from tunegate.data.refresh.checks import check_columns, check_forward, check_unique, joint_columns, refuse_empty
from tunegate.data.refresh.cursor_values import packed
from tunegate.data.refresh.merge import Changes, Keeps, Merge
from tunegate.data.refresh.snapshot import Kinds, Record, Snapshot
from tunegate.data.refresh.spool import Spool
from tunegate.data.refresh.value_types import Kind
from tunegate.data.sources.declaration import Source
from tunegate.data.sources.external_declaration import Object, Rest, Sql, key_of
from tunegate.errors import InputError, MachineError, TunegateError
from tunegate.files import STATE, sha256_of, to_json
from tunegate.repository.tracked_files import add, added_file

FOLDER = STATE / "refresh"


@dataclasses.dataclass(frozen=True)
class Wish:
    """How to refresh."""

    full: bool = False
    """Read everything again, also where a cursor is declared."""
    allow_empty: bool = False
    """A source without rows gives a snapshot without rows."""
    dry_run: bool = False
    """Say what would change, and write nothing."""
    memory: int = 2**30
    """Bytes that the work database may keep in memory."""
    seen: Callable[[int], object] = lambda _: None
    """Told how many rows came, each time that some did."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a refresh."""

    source: str
    changed: bool
    """Whether the snapshot is a new one, or would be."""
    changes: Changes
    received: int
    """Rows that came from outside, those that came twice included."""
    resumed: int
    """Rows that an earlier refresh had fetched before it was stopped."""
    size: int
    """Bytes of the new snapshot."""
    finished: bool
    """Whether a snapshot that an earlier refresh had made ready, and was then stopped, was put into place as well."""
    git_add: tuple[str, ...] = ()
    """What git is to keep of it: files that this refresh wrote."""


def refresh(source: Source, raw: Path, place: str, wish: Wish) -> Outcome:
    """Refresh the snapshot of `source` in the folder `raw`, and let DVC track it; `place` names sources.yaml.

    Raises InputError, MachineError or RefusedError, and then the old snapshot is as it was.
    """
    folder = FOLDER / source.name
    with _locked(folder.with_suffix(".lock"), place):
        if not wish.dry_run:
            return _Refresh(source, Snapshot(raw, source.name, folder), folder, place, wish).run()
        if Snapshot(raw, source.name, folder).is_ready:
            remedy = "run it without --dry-run: what was stopped is then finished"
            raise InputError("a refresh was stopped while it put a snapshot into place", place=place, remedy=remedy)
        folder = folder.with_suffix(".dry")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            return _Refresh(source, Snapshot(raw, source.name, folder), folder, place, wish).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Refresh:
    def __init__(self, source: Source, snapshot: Snapshot, folder: Path, place: str, wish: Wish) -> None:
        assert source.outside is not None
        self._name, self._declared, self._snapshot = source.name, source.outside, snapshot
        self._asked = self._declared.model_dump(mode="json", exclude_defaults=True)
        self._folder, self._wish = folder, wish
        self._kind: Kinds = "sql" if source.sql else "rest" if source.rest else "object"
        self._place = f"{place}.{self._kind}"
        self._key = key_of(self._declared)
        zone, cursor = getattr(self._declared, "time_zone", None), getattr(self._declared, "cursor", None)
        cursor = getattr(cursor, "column", cursor)
        self._spool = Spool(folder, self._key, self._place, zone=zone, cursor=cursor)
        self._spool.seen = wish.seen

    def run(self) -> Outcome:
        # Stopped before it was put into place, or after: both are finished by doing it again.
        finished = self._snapshot.install()
        written = self._finish() if finished else ()
        record = self._snapshot.record()
        same = record is not None and record.declared == self._asked
        known = record if same and not self._wish.full else None
        self._spool.open(_fingerprint(self._asked, known, self._wish.full))
        try:
            self._fetch(known)
        except InputError:
            self._spool.clear()  # what is mended at the source must be read again
            raise
        try:
            outcome, new = self._concluded(record, known)
        except TunegateError:
            self._spool.clear()  # all of it was fetched, and is no snapshot: asking again may give another answer
            raise
        if new and not self._wish.dry_run:
            self._snapshot.prepare(new)
        untracked = not added_file(self._snapshot.path).is_file()
        if self._snapshot.install() or (untracked and not self._wish.dry_run):
            written = self._finish()
        self._spool.clear()
        changed = outcome.changed or bool(written)
        return dataclasses.replace(outcome, changed=changed, finished=finished, git_add=written)

    def _finish(self) -> tuple[str, ...]:
        files = add(Path(), self._snapshot.path)
        self._spool.clear()
        return tuple(path.as_posix() for path in (self._snapshot.record_path, *files))

    def _fetch(self, known: Record | None) -> None:
        declared, spool = self._declared, self._spool
        if spool.done:
            return
        if isinstance(declared, Sql):
            sql.fetch(declared, known.cursor if known else None, spool, self._place)
        elif isinstance(declared, Rest):
            rest.fetch(declared, known.cursor if known else None, spool, self._place)
        else:
            object_store.fetch(declared, known.files if known else None, spool, self._place)
        spool.finish()

    def _concluded(self, record: Record | None, known: Record | None) -> tuple[Outcome, Record | None]:
        """What becomes of the snapshot, and its new record where it changes; the new rows are then written."""
        spool, since = self._spool, known.cursor if known else None
        empty = self._is_empty(since)
        if empty and not self._wish.allow_empty:
            refuse_empty(record.rows if record else None, self._place)
        if record and record.declared == self._asked:
            whole = bool(spool.rows) and self._reads_all(known)
            check_columns(record, spool, self._place, self._snapshot.record_path, whole=whole)
        columns, compared = self._columns(record, keeps_old=known is not None)
        with Merge(self._folder / "work", self._wish.memory, columns, self._key) as merge:
            merge.load(spool.pages, self._snapshot.path if compared else None)
            check_unique(self._declared, merge, self._place)
            check_forward(since, self._declared, merge, self._place)
            changes = merge.merge("none" if empty else self._keeps(known))
            return self._outcome(record, merge, changes)

    def _reads_all(self, known: Record | None) -> bool:
        """Whether the rows that came show all columns of the source."""
        if isinstance(self._declared, Object):
            return not self._keeps(known)
        return known is None or known.cursor is None or isinstance(self._declared, Sql)

    def _outcome(self, record: Record | None, merge: Merge, changes: Changes) -> tuple[Outcome, Record | None]:
        same_rows = record is not None and not changes.any and record.columns == merge.columns
        rows = self._snapshot.path
        if not same_rows:
            rows = self._snapshot.new_path
            merge.write(rows)
        changed = not same_rows or record is None or record.declared != self._asked
        size = rows.stat().st_size
        outcome = Outcome(self._name, changed, changes, self._spool.rows, self._spool.resumed, size, finished=False)
        return outcome, self._record(merge, changes, sha256_of(rows)) if changed else None

    def _record(self, merge: Merge, changes: Changes, sha256: str) -> Record:
        return Record(
            source=self._name,
            kind=self._kind,
            declared=self._asked,
            cursor=self._cursor(merge),
            files=self._spool.state.get("files", {}),
            columns=merge.columns,
            rows=changes.rows,
            sha256=sha256,
            refreshed=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    def _columns(self, record: Record | None, *, keeps_old: bool) -> tuple[dict[str, Kind], bool]:
        """The columns of the new snapshot, and whether the old one's rows can be compared with them."""
        found = dict(self._spool.columns)
        if record is None:
            return {**dict.fromkeys(self._key, "empty"), **found}, False
        joint = joint_columns(record.columns, found, exactly=record.declared != self._asked)
        if joint is None or not set(self._key) <= record.columns.keys():
            return {**dict.fromkeys(self._key, "empty"), **found}, False
        if keeps_old or not found:
            return joint, True
        return {name: joint[name] for name in found}, True

    def _is_empty(self, since: dict[str, Any] | None) -> bool:
        """Whether the source as a whole has no rows; an API that has nothing new does not say."""
        if isinstance(self._declared, Object):
            return not self._spool.state.get("files")
        if isinstance(self._declared, Sql) and since is not None:
            return self._spool.state.get("largest") is None
        return since is None and not self._spool.rows

    def _keeps(self, known: Record | None) -> Keeps:
        if isinstance(self._declared, Object):
            listed = self._spool.state.get("files", {})
            return sorted(name for name, facts in known.files.items() if listed.get(name) == facts) if known else []
        return "all" if known and known.cursor is not None else "none"

    def _cursor(self, merge: Merge) -> dict[str, Any] | None:
        if isinstance(self._declared, Sql):
            found: dict[str, Any] | None = self._spool.state.get("largest")
            return found
        if isinstance(self._declared, Rest) and self._declared.cursor:
            column = self._declared.cursor.column
            largest = merge.largest(column) if column in merge.columns else None
            return None if largest is None else packed(largest, f"{self._place}.cursor")
        return None


@contextlib.contextmanager
def _locked(path: Path, place: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            problem = f"another refresh of this source is running (process {file.read().strip()})"
            raise MachineError(problem, place=place, remedy="wait for it") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _fingerprint(asked: dict[str, Any], known: Record | None, full: bool) -> str:
    facts = {"asked": asked, "known": known and known.sha256, "full": full}
    return hashlib.sha256(to_json(facts).encode()).hexdigest()
