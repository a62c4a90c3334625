"""Questions that two collections share, exactly or nearly: test rows among training rows, above all.

What near means and how pairs are found is in `shingles` and `near_duplicates`; here for rows in batches or texts. A
pair at just the threshold is found with a chance of 99 %, a more similar one with more, an equal one always. Keeps its
tables in a work database.
"""

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tunegate.data.compute.database import add, budget, connect
from tunegate.data.rows import dialogue_of
from tunegate.data.similarity.near_duplicates import pairs_between
from tunegate.data.similarity.shingles import Plan, plan_for, sketched
from tunegate.params import Compute
from tunegate.tables import BATCH_ROWS

if TYPE_CHECKING:
    import duckdb

PAIRS = pa.schema([("left", pa.string()), ("right", pa.string()), ("similarity", pa.float64())])

_MEMORY = 2**30


def modest_memory() -> int:
    """The bytes that a search outside of the pipeline may keep in memory; the rest is on disk."""
    return min(_MEMORY, budget(Compute()))


@dataclasses.dataclass(frozen=True, order=True)
class Match:
    """A text of one collection found in another."""

    left: str
    """Its id."""
    right: str
    """The id of the text most like it."""
    similarity: float
    """Jaccard similarity, 1.0 for equal words."""


def matches(left: Mapping[str, str], right: Mapping[str, str], *, threshold: float) -> list[Match]:
    """For every text of `left` (by id) that `right` has too, or nearly, its most similar one there; sorted by id."""
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder), modest_memory()) as connection:
        pairs = near_pairs(_batches(left), _batches(right), threshold, connection)
        return [Match(**pair) for pair in pairs.to_pylist()]


def near_pairs(
    left: Iterable[Any], right: Iterable[Any], threshold: float, connection: "duckdb.DuckDBPyConnection"
) -> pa.Table:
    """For every row of `left` that `right` has too, or nearly, its most similar one there: PAIRS, sorted by `left`.

    `left` and `right` are `pyarrow.RecordBatch`es with the columns `id`, `text` and, in conversations, `messages`. Of
    equally similar rows, the first is named. Uses and drops tables of `connection` whose names begin with near_.
    """
    plan = plan_for(threshold)
    for table, batches in (("near_left", left), ("near_right", right)):
        connection.execute(f"CREATE OR REPLACE TABLE {table} ({_columns(plan)})")
        _load(connection, table, batches, plan)
    pairs_between(connection, ("near_left", "near_right"), "near_found", plan, threshold)
    pairs: pa.Table = connection.sql("""
        SELECT near_left.id AS left, min_by(near_right.id, (-similarity, other)) AS right, max(similarity) AS similarity
        FROM near_found JOIN near_left ON one = near_left.n JOIN near_right ON other = near_right.n
        GROUP BY near_left.id ORDER BY 1
    """).to_arrow_table()
    for table in ("near_left", "near_right", "near_found"):
        connection.execute(f"DROP TABLE {table}")
    return pairs.cast(PAIRS)


def compared(batch: Any) -> list[str]:
    """The text by which each row of a batch is compared, as `rows.dialogue_of` has it."""
    texts = batch["text"].to_pylist()
    if "messages" not in batch.schema.names or batch["messages"].null_count == len(texts):
        return [text or "" for text in texts]
    return list(map(dialogue_of, texts, batch["messages"].to_pylist()))


def _load(connection: "duckdb.DuckDBPyConnection", table: str, batches: Iterable[Any], plan: Plan) -> None:
    start = 0
    for batch in batches:
        sketches = sketched(compared(batch), plan)
        numbers = pa.array(np.arange(start, start + batch.num_rows))
        columns = [numbers, batch["id"], *sketches.columns]
        add(connection, table, pa.RecordBatch.from_arrays(columns, names=["n", "id", *sketches.schema.names]))
        start += batch.num_rows


def _columns(plan: Plan) -> str:
    return ", ".join(["n BIGINT", "id VARCHAR", "shingles UBIGINT[]", *(f"{name} UBIGINT" for name in plan.columns)])


def _batches(texts: Mapping[str, str]) -> Iterable[Any]:
    table: pa.Table = pa.table({"id": pa.array(texts, pa.string()), "text": pa.array(texts.values(), pa.string())})
    yield from table.to_batches(max_chunksize=BATCH_ROWS)
