"""What a refresh has fetched so far, on disk: pages of rows, and the state from which fetching goes on after a kill.

In .tunegate/refresh/<source>/. A page and then the state are each written atomically; a page that no state names is
fetched again. What another declaration, another snapshot or yesterday's refresh left is thrown away.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunegate.data.refresh.value_types import Kind, array_of, common, is_double, stored
from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.tables import parquet_batches, write_parquet

ORDER_COLUMN = "tunegate: order"
"""The column of a page that says in which order its rows came."""
PAGE_ROWS = 1_000
"""Rows that are kept together: what a kill costs at most."""
FRESH_SECONDS = 24 * 3600
"""What was fetched longer ago than this is no longer what the source has."""

Row = Mapping[str, Any]


class Spool:
    """The pages of one refresh of one source; `place` names the source in errors, `key` the columns of its key.

    In a column of the key or `cursor`, whole numbers never become numbers with a fraction.
    """

    def __init__(
        self, folder: Path, key: Sequence[str], place: str, *, zone: str | None = None, cursor: str | None = None
    ) -> None:
        self.folder = folder
        self.state: dict[str, Any] = {}
        """The reader's own: what it needs to go on."""
        self.columns: dict[str, Kind] = {}
        """Every column that any row had, and its kind."""
        self.rows = 0
        self.done = False
        self.resumed = 0
        """Rows that an earlier refresh had fetched before it was stopped."""
        self._pages = 0
        self._held: list[Row] = []
        self._unsaved = False
        self._key, self._place, self._zone = tuple(key), place, zone
        self._fixed = {*key, cursor}
        self._large: list[str] = []
        """Columns with a whole number that a number with a fraction (a double) cannot hold."""
        self._fingerprint = ""
        self.on_rows: Callable[[int], object] = lambda _: None
        """Called with the number of rows that came."""

    def open(self, fingerprint: str) -> None:
        """Go on where an earlier refresh with this fingerprint was stopped, or start anew."""
        self._fingerprint = fingerprint
        path = self._progress
        if path.is_file() and time.time() - path.stat().st_mtime < FRESH_SECONDS:
            progress = read_json(path)
            if progress["fingerprint"] == fingerprint:
                self.state, self.columns, self.done = progress["state"], progress["columns"], progress["done"]
                self._pages, self.rows, self._large = progress["pages"], progress["rows"], progress["large"]
                self.resumed = self.rows
                return
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.state, self.columns, self.done = {}, {}, False
        self._pages = self.rows = self.resumed = 0
        self._held, self._large, self._unsaved = [], [], False

    def expect(self, columns: Sequence[str]) -> None:
        """Take note of the columns that rows will have, with or without values."""
        for name in columns:
            self._check_name(name)
            self.columns.setdefault(name, "empty")

    def add(self, rows: Sequence[Row], state: dict[str, Any] | None) -> None:
        """Keep `rows`; after them, fetching would go on from `state`, or, without one, from the state before.

        Raises InputError for a row that cannot be kept.
        """
        for row in rows:
            self._check_key(row)
        self._held.extend(rows)
        self.on_rows(len(rows))
        if len(self._held) >= PAGE_ROWS:
            self._write_page()
            self._unsaved = True
        if state is not None:
            self.state = state
            if self._unsaved:
                self._save()

    def finish(self) -> None:
        """Everything was fetched."""
        self.done = True
        self._save()

    @property
    def pages(self) -> list[Path]:
        """The files with the rows, in the order in which they came."""
        return [self._page(number) for number in range(1, self._pages + 1)]

    def example(self, column: str) -> Any:
        """The first value in a column, None where it has none."""
        batches = (batch for page in self.pages for batch in parquet_batches(page) if column in batch.schema.names)
        values = (value for batch in batches for value in batch.column(column).to_pylist())
        return next((value for value in values if value is not None), None)

    @property
    def _progress(self) -> Path:
        return self.folder / "progress.json"

    def _page(self, number: int) -> Path:
        return self.folder / f"page-{number:08d}.parquet"

    def _write_page(self) -> None:
        table = self._table(self._held)
        write_parquet(self._page(self._pages + 1), table)
        self._pages += 1
        self.rows += len(self._held)
        self._held = []

    def _save(self) -> None:
        if self._held:
            self._write_page()
        self._unsaved = False
        facts = {"fingerprint": self._fingerprint, "pages": self._pages, "rows": self.rows, "done": self.done}
        write_json(self._progress, facts | {"state": self.state, "columns": self.columns, "large": self._large})

    def _table(self, rows: Sequence[Row]) -> pa.Table:
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: self._column(name, rows) for name in names}
        for name, (kind, _) in columns.items():
            self._check_name(name)
            self.columns[name] = self._with_kind(name, kind)
        # A column without a value in this page is left out of it: the next page may say what kind it is.
        filled = {name: array_of(kind, values) for name, (kind, values) in columns.items() if kind != "empty"}
        order = pa.array(range(self.rows, self.rows + len(rows)), pa.int64())
        return pa.table({**filled, ORDER_COLUMN: order})

    def _column(self, name: str, rows: Sequence[Row]) -> tuple[Kind, list[Any]]:
        kind: Kind = "empty"
        values = []
        for row in rows:
            try:
                own, value = stored(row.get(name), self._zone)
            except ValueError as error:
                problem, _, remedy = str(error).rpartition(": ")
                raise InputError(problem, place=self._at(name, row), remedy=remedy) from None
            joint = self.joint(name, kind, own)
            if joint is None:
                raise self._mixed(name, kind, own, self._at(name, row))
            kind = joint
            values.append(value)
        if kind in ("integer", "number") and name not in self._large and not all(map(is_double, values)):
            self._large.append(name)
        return kind, values

    def joint(self, name: str, one: Kind, other: Kind) -> Kind | None:
        """The kind of a column that had values of both; None where there is no such kind."""
        return common(one, other) if one == other or "empty" in (one, other) or name not in self._fixed else None

    def _with_kind(self, name: str, kind: Kind) -> Kind:
        before = self.columns.get(name, "empty")
        joint = self.joint(name, before, kind)
        if joint is None:
            raise self._mixed(name, before, kind, f"{self._place}: column {name!r}")
        if joint == "number":
            self.check_doubles(name)
        return joint

    def check_doubles(self, name: str) -> None:
        """Raise InputError when not all values of this column can be kept in one of kind number."""
        if name in self._large:
            problem = "numbers with a fraction, and whole numbers too large to be kept as such"
            remedy = "give it one kind at the source (CAST in a query)"
            raise InputError(problem, place=f"{self._place}: column {name!r}", remedy=remedy)

    @staticmethod
    def _mixed(name: str, one: Kind, other: Kind, place: str) -> InputError:
        problem = f"the column {name!r} has values of kind {one} and of kind {other}"
        return InputError(problem, place=place, remedy="give it one kind at the source (CAST in a query)")

    def _check_key(self, row: Row) -> None:
        for column in self._key:
            if row.get(column) is None:
                problem = f"a row without a value in the key column {column!r}"
                raise InputError(problem, place=self._place, remedy="name a key that every row has")

    def _check_name(self, name: str) -> None:
        twin = next((other for other in self.columns if other != name and other.lower() == name.lower()), None)
        if twin is not None:
            problem = f"the columns {twin!r} and {name!r} differ only in case"
            raise InputError(problem, place=self._place, remedy="rename one of them at the source")

    def _at(self, name: str, row: Row) -> str:
        key = ", ".join(f"{column} {row.get(column)!r:.60}" for column in self._key)
        return f"{self._place}: {key}: {name}"
