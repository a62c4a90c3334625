"""Ids that are unique over all sources.

Rows that say the same and have no id of their own share a hash: they are counted up in the order in which they were
read, for `prepare` to drop, and to say so. An own id that appears twice is an error. The work database sees all ids at
once, so memory does not grow with the rows. Rewrites rows.parquet where ids change.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tunegate.data.compute.database import add
from tunegate.errors import InputError
from tunegate.tables import BATCH_ROWS, parquet_batches, parquet_schema, parquet_writer

if TYPE_CHECKING:
    import duckdb

_TOGETHER = 256
_REPEATED = """
CREATE TABLE repeated AS
SELECT number, id, own, min(number) OVER same AS first, row_number() OVER (same ORDER BY number) AS time
FROM ids WHERE id IN (SELECT id FROM ids GROUP BY id HAVING count(*) > 1)
WINDOW same AS (PARTITION BY id)
"""
_RENAMED = """
CREATE TABLE renamed AS
SELECT number, id || '-' || time AS id FROM repeated WHERE time > 1 AND NOT own ORDER BY number
"""
_CLASH = """
SELECT first, number, id FROM repeated WHERE own AND time > 1
UNION ALL
SELECT least(ids.number, renamed.number), greatest(ids.number, renamed.number), id FROM renamed JOIN ids USING (id)
ORDER BY number LIMIT 1
"""


class UniqueIds:
    """The ids of all rows, in the order of the rows; `connection` is an empty work database."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection
        self._rows = 0
        self._held: list[pa.Table] = []
        connection.execute("CREATE TABLE ids (number BIGINT, id VARCHAR, own BOOLEAN)")

    def add(self, ids: Any, *, own: bool) -> None:
        """Take the ids of the rows that come next: a `pyarrow` array; `own` when the records gave them."""
        numbers = pa.array(range(self._rows, self._rows + len(ids)), pa.int64())
        owned = pa.repeat(own, len(ids))
        self._held.append(pa.table({"number": numbers, "id": ids, "own": owned}))
        self._rows += len(ids)
        # Of many small files, one row at a time would take the database longer than all else.
        if len(self._held) >= _TOGETHER or len(ids) >= BATCH_ROWS:
            self._flush()

    def make_unique(self, rows: Path, declared: str) -> None:
        """Count up equal rows in the file `rows`. Raises InputError with both places for a duplicate own id."""
        self._flush()
        self._connection.execute(_REPEATED)
        self._connection.execute(_RENAMED)
        clash = self._connection.execute(_CLASH).fetchone()
        if clash is not None:
            first, second, name = clash
            raise _duplicate(rows, (first, second), name, declared)
        if self._connection.execute("SELECT 1 FROM renamed LIMIT 1").fetchone():
            self._rename(rows)

    def _flush(self) -> None:
        if self._held:
            add(self._connection, "ids", pa.concat_tables(self._held).combine_chunks())
            self._held = []

    def _rename(self, rows: Path) -> None:
        start = 0
        with parquet_writer(rows, parquet_schema(rows)) as write:
            for batch in parquet_batches(rows):
                write(self._renamed(batch, start))
                start += len(batch)

    def _renamed(self, batch: Any, start: int) -> Any:
        query = "SELECT number - ?, id FROM renamed WHERE number >= ? AND number < ?"
        new_ids = self._connection.execute(query, [start, start, start + len(batch)]).fetchall()
        if not new_ids:
            return batch
        ids = batch.column("id").to_pylist()
        for index, name in new_ids:
            ids[index] = name
        return batch.set_column(0, batch.schema.field("id"), pa.array(ids, pa.string()))


def _duplicate(rows: Path, numbers: tuple[int, int], name: str, declared: str) -> InputError:
    places: list[dict[str, str]] = []
    start = 0
    for batch in parquet_batches(rows, columns=["source", "place"]):
        inside = [number - start for number in numbers if start <= number < start + len(batch)]
        places += batch.take(inside).to_pylist() if inside else []
        start += len(batch)
    first, second = places
    problem = f"duplicate id {name!r}, first at {first['place']}"
    remedy = f'make the ids unique, for instance with `id: "{{id}}-{second["source"]}"` in {declared}'
    return InputError(problem, place=second["place"], remedy=remedy)
