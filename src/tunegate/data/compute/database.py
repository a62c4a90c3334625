"""The work database: what must see all rows at once (unique ids, joins, sorting) and may not fit into memory.

DuckDB in a file of its own inside of the folder that a stage is writing, so that it goes when the stage ends; beyond
its memory it uses the disk. Rows have no order in it: a query that needs one says ORDER BY.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.errors import InputError
from tunegate.machine import cores, memory_limit
from tunegate.params import Compute
from tunegate.tables import BATCH_ROWS

if TYPE_CHECKING:
    import duckdb

MEMORY_VARIABLE = "TUNEGATE_MEMORY"
"""Overrides compute.memory for one run: `python -m tunegate.stages --memory 512MB NAME …` sets it."""
_MEMORY_OF_A_THREAD = 128 * 2**20
LEAST = 64 * 2**20
"""Less than this is not enough for a work database to spill from."""
_UNITS = {"MB": 2**20, "GB": 2**30}


def connect(folder: Path, memory: int, threads: int | None = None) -> "duckdb.DuckDBPyConnection":
    """A new, empty work database in `folder` that keeps at most `memory` bytes of its pages in memory.

    `threads` is the number of processors to use; None for as many as the memory allows: each sorts and joins in a part
    of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "work.duckdb"
    path.unlink(missing_ok=True)
    connection = open_database(
        path,
        memory_limit=f"{memory}B",
        temp_directory=str(folder / "spilled"),
        preserve_insertion_order=False,
        threads=threads or max(1, min(cores(), memory // _MEMORY_OF_A_THREAD)),
    )
    # Nobody opens it again.
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    return connection


def open_database(path: Path | None = None, **settings: str | bool | int) -> "duckdb.DuckDBPyConnection":
    """A database in the file `path`, or in memory, that neither fetches nor loads an extension by itself."""
    import duckdb

    closed = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    return duckdb.connect(str(path or ":memory:"), config={**closed, **settings})


def budget(compute: Compute) -> int:
    """How many bytes a work database may keep in memory: TUNEGATE_MEMORY, else compute.memory, else half of all.

    Raises InputError for less than LEAST.
    """
    if value := os.environ.get(MEMORY_VARIABLE):
        return parsed(value, MEMORY_VARIABLE)
    return parsed(compute.memory, "params.yaml: compute.memory") if compute.memory else max(LEAST, memory_limit() // 2)


def parsed(text: str, place: str) -> int:
    """The bytes that a text such as 512MB or 4GB says. Raises InputError, naming `place`, for any other text."""
    size = re.fullmatch(r"([1-9]\d*)(MB|GB)", text)
    if size and int(size[1]) * _UNITS[size[2]] < LEAST:
        problem = f"too little memory: {text}"
        raise InputError(problem, place=place, remedy=f"give it at least {LEAST // _UNITS['MB']}MB")
    if not size:
        raise InputError(f"not a size of memory: {text!r}", place=place, remedy="write it as 512MB or 4GB")
    return int(size[1]) * _UNITS[size[2]]


def batches(
    connection: "duckdb.DuckDBPyConnection", query: str, values: Any = None, *, rows: int = BATCH_ROWS
) -> Iterator[Any]:
    """The `pyarrow.RecordBatch`es of what `query` gives, with at most about `rows` rows each, one at a time."""
    yield from connection.cursor().sql(query, params=values).to_arrow_reader(rows)


def add(connection: "duckdb.DuckDBPyConnection", table: str, rows: Any) -> None:
    """Append a `pyarrow` table or batch to `table`, which is made of its columns when it is not there yet."""
    connection.register("incoming_rows", rows)
    try:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM incoming_rows LIMIT 0")  # noqa: S608
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming_rows")  # noqa: S608
    finally:
        connection.unregister("incoming_rows")
