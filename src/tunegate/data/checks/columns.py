"""The table that expectations see: one line for each row, made batch by batch of the rows as Arrow has them.

`id`, `group`, `source`, `label`, `rejected` are the row's; `text` is what the user asked last, `answer` what the model
is to say, null in a row without one, `messages` a conversation as JSON, `turns` how many messages the user wrote,
`slices.<name>` a slice's value. Reads the columns it needs of a Parquet file of canonical rows.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tunegate.data.compute.database import open_database
from tunegate.tables import BATCH_ROWS, parquet_batches

FIXED = ("id", "group", "source", "text", "answer", "label", "rejected", "turns", "messages")
SLICE = "slices."
CHUNK_ROWS = 262_144
"""Rows that are checked together: Great Expectations costs some 6 ms for each expectation, however few the rows."""
CHUNK_BYTES = 128 * 2**20
"""Where rows are long, fewer are checked together."""

_STORED = {"text": ("text", "messages"), "answer": ("label", "messages"), "turns": ("messages",)}


class Chunk(NamedTuple):
    """Some rows, the first of which is row number `start`, and the `pyarrow.Array` of each column asked for."""

    start: int
    rows: int
    columns: dict[str, Any]


def column_names(path: Path) -> list[str]:
    """The columns of the checked table of a Parquet file, in their order: those of every row, then the slices."""
    import pyarrow.compute

    names: set[str] = set()
    for batch in parquet_batches(path, columns=["slices"], rows=CHUNK_ROWS):
        names.update(pyarrow.compute.unique(batch.column("slices").keys).to_pylist())
    return [*FIXED, *(f"{SLICE}{name}" for name in sorted(names))]


def chunks(path: Path, columns: Iterable[str], rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """The columns asked for, of all rows of a Parquet file of canonical rows, in order, about `rows` rows at a time."""
    names = sorted(set(columns))
    stored = sorted({name for column in names for name in _stored(column)})
    held: list[Any] = []
    start, size = 0, 0
    # Small batches, since how large a row is is known only when it has been read.
    for batch in parquet_batches(path, columns=stored, rows=min(rows, BATCH_ROWS)):
        if held and (sum(part.num_rows for part in held) >= rows or size + batch.nbytes > CHUNK_BYTES):
            yield _chunk(held, names, start)
            start, held, size = start + sum(part.num_rows for part in held), [], 0
        held.append(batch)
        size += batch.nbytes
    if held:
        yield _chunk(held, names, start)


def digests(values: Any) -> Any:
    """A number of 64 bits for each value of a `pyarrow.Array`, equal for equal values, null for null.

    Of a million different values, two get the same number once in 37 million tables.
    """
    return _of_each("CASE WHEN value IS NULL THEN NULL ELSE hash(value) END", values)


def as_json(values: Any) -> Any:
    """The JSON text of each value of a `pyarrow.Array`, null for null."""
    return _of_each("CASE WHEN value IS NULL THEN NULL ELSE to_json(value)::VARCHAR END", values)


def _stored(column: str) -> tuple[str, ...]:
    return ("slices",) if column.startswith(SLICE) else _STORED.get(column, (column,))


def _chunk(batches: list[Any], names: list[str], start: int) -> Chunk:
    import pyarrow

    table = pyarrow.Table.from_batches(batches)
    rows = {name: table.column(name).combine_chunks() for name in table.column_names}
    return Chunk(start, table.num_rows, {name: _column(rows, name, table.num_rows) for name in names})


def _column(rows: dict[str, Any], name: str, count: int) -> Any:
    import pyarrow
    import pyarrow.compute as pc

    if name.startswith(SLICE):
        return pc.map_lookup(rows["slices"], name.removeprefix(SLICE), "last")
    if name == "messages":
        return as_json(rows["messages"])
    if name not in _STORED:
        return rows[name]
    talk = rows["messages"]
    messages, row = talk.flatten(), pc.list_parent_indices(talk).to_numpy()
    if name == "answer":
        # A conversation without messages is one without an answer, not a row that is not one.
        empty = pc.if_else(talk.is_valid(), "", None)
        return pc.coalesce(_last(messages, row, np.ones(len(row), dtype=bool), count), rows["label"], empty)
    by_user = pc.equal(messages.field("role"), "user").fill_null(False).to_numpy(zero_copy_only=False)
    if name == "text":
        return pc.coalesce(_last(messages, row, by_user, count), rows["text"], "")
    turns = np.bincount(row[by_user], minlength=count)
    return pyarrow.array(np.where(talk.is_null().to_numpy(zero_copy_only=False), 1, turns))


def _last(messages: Any, row: Any, chosen: Any, count: int) -> Any:
    """The content of the last chosen message of each row; null where a row has none."""
    import pyarrow

    position = np.full(count, -1)
    # Of several values for one place, numpy keeps the last.
    position[row[chosen]] = np.flatnonzero(chosen)
    return messages.field("content").take(pyarrow.array(position, mask=position < 0))


def _of_each(expression: str, values: Any) -> Any:
    import pyarrow

    with open_database() as connection:
        connection.register("given", pyarrow.table({"value": values}))
        results = connection.sql(f"SELECT {expression} AS result FROM given").to_arrow_table()  # noqa: S608
    return results.column("result").combine_chunks()
