"""What the stage `prepare` writes: the splits, the rows that were left out, what was changed, and the ledger.

Every table is sorted by id in the work database and written batch by batch.
"""

import zlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tunegate.data.compute.database import batches
from tunegate.data.ledger.stage_ledger import make_ledger
from tunegate.data.preparation import label_noise
from tunegate.data.preparation.label_balance import label_details, label_notes
from tunegate.data.preparation.splits import SPLITS, sizes
from tunegate.data.rows import PLACED_ROW, ROW
from tunegate.tables import parquet_writer

if TYPE_CHECKING:
    import duckdb

DROPPED = pa.schema(
    [
        *PLACED_ROW,
        pa.field("reason", pa.string(), nullable=False),
        pa.field("other", pa.string()),
        pa.field("similarity", pa.float64()),
    ]
)
"""A row that was left out, as it was when it left: why, and the id of the row or the value that was in its way."""

CHANGES = pa.schema(
    [pa.field("id", pa.string(), nullable=False), pa.field("changes", pa.list_(pa.string()), nullable=False)]
)
"""What was changed in a row, and what was found there, for each row with something to tell."""


def write_tables(connection: "duckdb.DuckDBPyConnection", folder: Path) -> None:
    """Write train, valid, test, dropped and changes.parquet to `folder`."""
    for split in SPLITS:
        query = f"SELECT {_names(ROW)} FROM rows JOIN (SELECT n FROM placed WHERE split = ?) USING (n) ORDER BY id"  # noqa: S608
        _write(connection, folder / f"{split}.parquet", ROW, query, [split])
    query = f"SELECT {_names(DROPPED)} FROM rows JOIN dropped USING (n) ORDER BY id"  # noqa: S608
    _write(connection, folder / "dropped.parquet", DROPPED, query)
    query = "SELECT id, changes FROM rows WHERE len(changes) > 0 ORDER BY id"
    _write(connection, folder / "changes.parquet", CHANGES, query)


def ledger_of(connection: "duckdb.DuckDBPyConnection") -> dict[str, Any]:
    """The ledger of the stage: rows by source and reason, changes by kind, splits and labels."""
    dropped: dict[str, dict[str, int]] = defaultdict(dict)
    query = "SELECT source, reason, count(*) FROM dropped JOIN keys USING (n) GROUP BY ALL"
    for source, reason, count in _all(connection, query):
        dropped[source][reason] = count
    # Of `masked: email x2`, the number is the row's: the ledger counts rows.
    kinds = r"SELECT DISTINCT n, regexp_replace(unnest(changes), ' x\d+$', '') AS kind FROM rows"
    notes = dict(_all(connection, f"SELECT kind, count(*) FROM ({kinds}) GROUP BY kind ORDER BY kind"))  # noqa: S608
    notes |= {f"split: {name}": count for name, count in sizes(connection).items()}
    return make_ledger(
        "prepare",
        sources_in=dict(_all(connection, "SELECT source, count(*) FROM keys GROUP BY source")),
        sources_out=dict(_all(connection, "SELECT source, count(*) FROM placed GROUP BY source")),
        dropped=dropped,
        notes=notes | label_notes(connection),
        details={"labels": label_details(connection)},
    )


def doubtful_labels(connection: "duckdb.DuckDBPyConnection", split_key: str) -> dict[str, Any]:
    """What `label_noise` finds in the labelled rows of the training split."""
    seed = zlib.crc32(split_key.encode())
    labelled = "placed WHERE split = 'train' AND label IS NOT NULL"
    groups = [group for (group,) in _all(connection, f'SELECT "group" FROM {labelled} ORDER BY id')]  # noqa: S608
    taken = label_noise.sample(groups, seed=seed, limit=label_noise.LIMIT)
    chosen = {group for group, take in zip(groups, taken, strict=True) if take}
    connection.execute('CREATE OR REPLACE TABLE examined AS SELECT unnest(?) AS "group"', [sorted(chosen)])
    query = f"""SELECT id, text, label, "group" FROM rows SEMI JOIN (SELECT n FROM {labelled}) USING (n)
        SEMI JOIN examined USING ("group") ORDER BY id"""  # noqa: S608
    columns = [list(column) for column in zip(*_all(connection, query), strict=True)] or [[], [], [], []]
    ids, texts, labels, own = columns
    return label_noise.issues(ids, texts, labels, own, seed=seed) | {"rows": len(groups)}


def _write(
    connection: "duckdb.DuckDBPyConnection", path: Path, schema: pa.Schema, query: str, values: list[Any] | None = None
) -> None:
    with parquet_writer(path, schema) as write:
        for batch in batches(connection, query, values):
            write(batch)


def _names(schema: pa.Schema) -> str:
    return ", ".join(f'"{name}"' for name in schema.names)


def _all(connection: "duckdb.DuckDBPyConnection", query: str) -> list[Any]:
    return connection.execute(query).fetchall()
