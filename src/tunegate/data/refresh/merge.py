"""What was fetched and what the snapshot has, by key, as a new snapshot: the newest row of a key wins.

In the work database, so that neither has to fit into memory.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from tunegate.data.compute.database import batches, connect
from tunegate.data.refresh.spool import ORDER_COLUMN
from tunegate.data.refresh.value_types import Kind, schema_of
from tunegate.data.sources.external_declaration import FILE_COLUMN
from tunegate.machine import cores
from tunegate.tables import parquet_writer

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5
SORTED_SHARE = 4
"""So many times smaller than the memory are the rows that are sorted together."""
MEMORY_PER_THREAD = 2**27
"""Bytes that one thread of the work database needs at most for the pages it reads."""

Keeps = Literal["none", "all"] | Sequence[str]
"""Which rows of the old snapshot stay where nothing newer has their key: none, all, or those of these files."""

_TYPES: Mapping[str, str] = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "timestamp": "TIMESTAMPTZ",
}
"""Other kinds are text in the work database."""


@dataclasses.dataclass(frozen=True)
class Changes:
    """What the new snapshot changes, with the keys of a few rows for each."""

    added: int
    edited: int
    removed: int
    examples: dict[str, list[str]]
    rows: int
    """Rows of the new snapshot."""
    fetched: int
    """Different keys among the rows that were fetched."""

    @property
    def any(self) -> bool:
        """Whether a row differs."""
        return bool(self.added or self.edited or self.removed)


class Merge:
    """A work database in `folder` with the rows of `pages` and of the snapshot `old`; use it in a `with`.

    `columns` are those of the new snapshot, with kinds that hold the values of both; `key` are the columns of the key.
    """

    def __init__(self, folder: Path, memory: int, columns: Mapping[str, Kind], key: Sequence[str]) -> None:
        self._memory = memory
        threads = max(1, min(cores(), memory // MEMORY_PER_THREAD))
        self._connection: duckdb.DuckDBPyConnection = connect(folder, memory, threads)
        self._connection.execute("SET TimeZone = 'UTC'")
        # One order whatever the source's is: key first, the others by name.
        self.columns = {name: columns[name] for name in (*key, *sorted(columns.keys() - set(key)))}
        self._key = ", ".join(quoted(name) for name in key)

    def __enter__(self) -> "Merge":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def load(self, pages: Sequence[Path], old: Path | None) -> None:
        """Read both; of the rows of a key in `pages`, the last one."""
        self._view("pages", pages, [ORDER_COLUMN])
        order, columns = quoted(ORDER_COLUMN), ", ".join(map(quoted, self.columns))
        # Not a window over the rows: it would hold all their columns.
        self._run(f"CREATE TABLE last AS SELECT max({order}) AS {order} FROM pages GROUP BY {self._key}")  # noqa: S608
        self._run(f"CREATE TABLE fetched AS SELECT {columns} FROM pages SEMI JOIN last USING ({order})")  # noqa: S608
        self._view("old", [old] if old else [], [])

    def repeated(self) -> str | None:
        """A key that came more than once, as a person reads it; None where each came once."""
        if self._count("FROM last") == self._count("FROM pages"):
            return None
        query = f"SELECT {self._key} FROM pages GROUP BY {self._key} HAVING count(*) > 1"  # noqa: S608
        return next(iter(self._examples(query)), None)

    def merge(self, keeps: Keeps) -> Changes:
        """Decide which rows the new snapshot has, and say what they change."""
        self._run("CREATE TABLE kept_files (name VARCHAR)")
        if not isinstance(keeps, str):
            self._connection.register("names", pa.table({"name": pa.array(keeps, pa.string())}))
            self._run("INSERT INTO kept_files SELECT name FROM names")
        files = f"{quoted(FILE_COLUMN)} IN (SELECT name FROM kept_files)"  # noqa: S608
        stays = {"none": "false", "all": "true"}[keeps] if isinstance(keeps, str) else files
        self._run(f"CREATE VIEW gone AS SELECT * FROM old ANTI JOIN fetched USING ({self._key})")  # noqa: S608
        self._run(f"CREATE VIEW merged AS FROM fetched UNION ALL BY NAME SELECT * FROM gone WHERE {stays}")  # noqa: S608
        differs = " OR ".join(f"new.{quoted(c)} IS DISTINCT FROM old.{quoted(c)}" for c in self.columns)
        lists = {
            "added": f"SELECT {self._key} FROM fetched ANTI JOIN old USING ({self._key})",  # noqa: S608
            "edited": f"SELECT {self._key} FROM fetched AS new JOIN old USING ({self._key}) WHERE {differs}",  # noqa: S608
            "removed": f"SELECT {self._key} FROM gone WHERE NOT ({stays})",  # noqa: S608
        }
        counts = {name: self._count(query) for name, query in lists.items()}
        examples = {name: self._examples(query) for name, query in lists.items() if counts[name]}
        rows, fetched = self._count("FROM merged"), self._count("FROM fetched")
        return Changes(**counts, examples=examples, rows=rows, fetched=fetched)

    def largest(self, column: str, *, fetched: bool = False) -> Any:
        """The largest value of a column of the new snapshot, or of what was fetched; None without one."""
        table = "fetched" if fetched else "merged"
        row = self._run(f"SELECT max({quoted(column)}) FROM {table}").fetchone()  # noqa: S608
        return row[0] if row else None

    def write(self, path: Path) -> None:
        """Write the new snapshot, sorted by key: the same bytes for the same rows."""
        schema = schema_of(self.columns)
        with parquet_writer(path, schema) as append:
            for query in self._in_order():
                for batch in batches(self._connection, query):
                    columns = [_typed(batch.column(field.name), field.type) for field in schema]
                    append(pa.RecordBatch.from_arrays(columns, schema=schema))

    def _in_order(self) -> Iterator[str]:
        """Queries that together give all rows, sorted by key, each as many as can be sorted in memory."""
        sizes = " + ".join(f"coalesce(strlen({quoted(c)}), 0)" if self._is_text(c) else "8" for c in self.columns)
        row = self._run(f"SELECT coalesce(sum({sizes}), 0) FROM merged").fetchone()  # noqa: S608
        parts = 1 + int(row[0] if row else 0) // (self._memory // SORTED_SHARE)
        if parts == 1:
            yield f"FROM merged ORDER BY {self._key}"
            return
        part, columns = quoted(ORDER_COLUMN), ", ".join(map(quoted, self.columns))
        share = f"(row_number() OVER (ORDER BY {self._key}) - 1) * {parts} // (SELECT count(*) FROM merged)"  # noqa: S608
        self._run(f"CREATE TABLE parts AS SELECT {self._key}, {share} AS {part} FROM merged")  # noqa: S608
        self._run(f"CREATE TABLE parted AS FROM merged JOIN parts USING ({self._key})")
        for number in range(parts):
            yield f"SELECT {columns} FROM parted WHERE {part} = {number} ORDER BY {self._key}"  # noqa: S608

    def _is_text(self, column: str) -> bool:
        return self.columns[column] not in _TYPES

    def _view(self, name: str, files: Sequence[Path], more: Sequence[str]) -> None:
        columns = {**dict.fromkeys(more, "integer"), **self.columns}
        if not files:
            empty = ", ".join(f"NULL::{_TYPES.get(kind, 'VARCHAR')} AS {quoted(c)}" for c, kind in columns.items())
            self._run(f"CREATE VIEW {name} AS SELECT {empty} LIMIT 0")
            return
        listed = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
        rows = f"read_parquet([{listed}], union_by_name = true)"
        present = {line[0] for line in self._run(f"DESCRIBE FROM {rows}").fetchall()}
        values = ", ".join(
            f"CAST({quoted(c) if c in present else 'NULL'} AS {_TYPES.get(kind, 'VARCHAR')}) AS {quoted(c)}"
            for c, kind in columns.items()
        )
        self._run(f"CREATE VIEW {name} AS SELECT {values} FROM {rows}")  # noqa: S608

    def _count(self, query: str) -> int:
        row = self._run(f"SELECT count(*) FROM ({query})").fetchone()  # noqa: S608
        return int(row[0]) if row else 0

    def _examples(self, query: str) -> list[str]:
        keys = self._run(f"SELECT concat_ws(', ', {self._key}) FROM ({query}) ORDER BY {self._key} LIMIT {EXAMPLES}")  # noqa: S608
        return [str(row[0]) for row in keys.fetchall()]

    def _run(self, statement: str) -> "duckdb.DuckDBPyConnection":
        return self._connection.execute(statement)


def quoted(name: str) -> str:
    """`name` as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.JsonType):
        return pa.ExtensionArray.from_storage(kind, column.cast(pa.string()))
    return column.cast(kind)
