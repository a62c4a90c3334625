"""The tables of the work database in which `prepare` compares all rows with each other.

| table | has |
|---|---|
| `rows` | every row as it was treated, under its number `n` |
| `keys` | what is compared, without the texts: id, group, source, label, hashes of question and answer |
| `sketches` | the shingles and bands of the question, unless near duplicates are off |
| `dropped` | the rows that are left out: `n`, `reason`, `other`, `similarity` |
| `kept` | the keys of the others |

The number is the order in which rows win: that of the sources, after the rows of a frozen test set.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tunegate.data.compute.database import add
from tunegate.data.preparation.row_processing import KEYS, TREATED
from tunegate.data.rows import PLACED_ROW

if TYPE_CHECKING:
    import duckdb

_KEYS = ["id", "group", "source", "label", *(name for name, _ in KEYS)]


def load(connection: "duckdb.DuckDBPyConnection", treated: Iterator[pa.RecordBatch], first: Mapping[str, int]) -> None:
    """Fill the tables with treated rows; `first` has the number of each row that precedes all others, by its id.

    The tables get the columns of the first batch, which may be empty.
    """
    connection.execute("CREATE TABLE dropped (n BIGINT, reason VARCHAR, other VARCHAR, similarity DOUBLE)")
    start = len(first)
    for batch in treated:
        numbers = np.arange(start, start + batch.num_rows)
        start += batch.num_rows
        if first:
            own = np.array([first.get(name, -1) for name in batch["id"].to_pylist()], dtype=np.int64)
            numbers = np.where(own >= 0, own, numbers)
        _add(connection, batch, pa.array(numbers))
    connection.execute("CREATE VIEW kept AS SELECT * FROM keys WHERE n NOT IN (SELECT n FROM dropped)")


def drop_sketches_of_dropped(connection: "duckdb.DuckDBPyConnection") -> None:
    """Rows that are left out are compared no more."""
    connection.execute("DELETE FROM sketches WHERE n IN (SELECT n FROM dropped)")


def _add(connection: "duckdb.DuckDBPyConnection", batch: pa.RecordBatch, numbers: pa.Array) -> None:
    add(connection, "rows", _numbered(batch, [*PLACED_ROW.names, "changes"], numbers))
    add(connection, "keys", _numbered(batch, _KEYS, numbers))
    left = pa.compute.is_valid(batch["reason"])
    if left.true_count:
        gone = _numbered(batch, ["reason", "other"], numbers).filter(left)
        add(connection, "dropped", gone)
    if sketched := batch.schema.names[len(TREATED) :]:
        part = _numbered(batch, ["answer_key", *sketched], numbers).rename_columns(["n", "alike", *sketched])
        add(connection, "sketches", part.filter(pa.compute.invert(left)))


def _numbered(batch: pa.RecordBatch, names: list[str], numbers: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([numbers, *(batch[name] for name in names)], names=["n", *names])
