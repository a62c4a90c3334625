"""A cache of work on single rows between runs: one new row in a hundred must not cost all of it again.

`remembered` maps a function that makes one row of each row. Below STATE/reuse it keeps what came out the last time,
with the sha256 of what went in; rows that went in before are looked up, and only the others are worked on. The same
rows come out with a memory, without one and with a stale one: its key names settings, code and libraries, and a
file that cannot be read is ignored. Takes 24 bytes per remembered row.
"""

import contextlib
import hashlib
import importlib.metadata
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import tunegate
from tunegate.data.compute.database import open_database
from tunegate.data.compute.engine import mapped
from tunegate.errors import InputError
from tunegate.files import STATE, sha256_of_tree
from tunegate.params import Compute
from tunegate.tables import GROUP_ROWS, parquet_batches, parquet_group, parquet_schema, parquet_writer

Work = Callable[[pa.RecordBatch], pa.RecordBatch]

_HASHES = pa.schema([pa.field("hash", pa.uint64(), nullable=False), pa.field("check", pa.uint64(), nullable=False)])
PLACE = "place"
_GROUPS_HELD = 4


def key_of(settings: Any) -> str:
    """Names all that the work depends on besides the row: settings (as JSON), our code, Python and every library."""
    return hashlib.sha256(json.dumps([settings, _code(), _environment()], sort_keys=True).encode()).hexdigest()


def reused(
    name: str, key: str, work: Work, batches: Iterable[pa.RecordBatch], compute: Compute
) -> Iterator[pa.RecordBatch]:
    """`engine.mapped`, with a memory called `name` where compute.reuse wants one and this machine does the work."""
    if compute.reuse and compute.engine == "local":
        return remembered(name, key, work, batches)
    return mapped(work, batches, compute)


def remembered(name: str, key: str, work: Work, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """`map(work, batches)` for a `work` that makes one row of every row, of the same columns whatever the rows are.

    `name` is that of the memory, one per use; it is renewed when all batches were taken. The column `place` of a row is
    not part of what is remembered: a line inserted above moves all that follow.
    """
    path = STATE / "reuse" / f"{name}.parquet"
    memory = _Memory(path, key)
    source = iter(batches)
    first = next(source, None)
    if first is None:
        return
    schema = work(first.slice(0, 0)).schema
    target = pa.schema([*_HASHES, *schema], metadata={"key": key})
    with parquet_writer(path, target) as write:
        for batch in itertools.chain([first], source):
            hashes, checks = _hashes(batch)
            places, cached = memory.look_up(hashes, checks)
            rows = _joined(places, cached, work(batch.filter(pa.array(places < 0))))
            if PLACE in schema.names:
                rows = rows.set_column(schema.names.index(PLACE), PLACE, batch[PLACE])
            rows = rows.cast(schema)
            write(pa.table([pa.array(hashes), pa.array(checks), *rows.columns], schema=target))
            yield from rows.combine_chunks().to_batches()


class _Memory:
    """What the last run kept, found by the hashes of its rows."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        columns = _read_hashes(path, key)
        self._order = np.argsort(columns[0], kind="stable")
        self._hashes, self._checks = (column[self._order] for column in columns)
        self._group = lru_cache(_GROUPS_HELD)(self._read_group)

    def look_up(self, hashes: np.ndarray, checks: np.ndarray) -> tuple[np.ndarray, list[pa.Table]]:
        """Where each row stands in the memory, -1 for one that is not there, and the cached rows, sorted by place."""
        places = self._places(hashes, checks)
        hits = np.unique(places[places >= 0])
        try:
            groups = np.unique(hits // GROUP_ROWS)
            return places, [self._group(int(g)).take(hits[hits // GROUP_ROWS == g] % GROUP_ROWS) for g in groups]
        except InputError:
            # Damaged: from here on nothing is reused.
            self._hashes = self._hashes[:0]
            return np.full(len(hashes), -1), []

    def _places(self, hashes: np.ndarray, checks: np.ndarray) -> np.ndarray:
        if not len(self._hashes):
            return np.full(len(hashes), -1)
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        equal = (self._hashes[at] == hashes) & (self._checks[at] == checks)
        return np.where(equal, self._order[at], -1)

    def _read_group(self, number: int) -> pa.Table:
        return parquet_group(self._path, number).drop_columns(_HASHES.names)


def _joined(places: np.ndarray, cached: list[pa.Table], fresh_rows: pa.RecordBatch) -> pa.Table:
    """One row for each of `places`: the cached one, which are sorted by place, or the next of `fresh_rows`."""
    order = np.searchsorted(np.unique(places[places >= 0]), places)
    fresh = places < 0
    order[fresh] = sum(part.num_rows for part in cached) + np.arange(fresh.sum())
    return pa.concat_tables([*cached, pa.Table.from_batches([fresh_rows])]).take(order)


def _read_hashes(path: Path, key: str) -> list[np.ndarray]:
    parts = [pa.RecordBatch.from_pylist([], schema=_HASHES)]
    with contextlib.suppress(InputError):
        if (parquet_schema(path).metadata or {}).get(b"key") == key.encode():
            parts += list(parquet_batches(path, columns=_HASHES.names))
    return [column.to_numpy() for column in pa.Table.from_batches(parts).columns]


def _hashes(batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    """128 bits of each row's sha256, in two halves."""
    connection = _duckdb()
    connection.register("rows", batch.drop_columns([PLACE]) if PLACE in batch.schema.names else batch)
    digests = connection.sql("SELECT unhex(sha256(to_json(rows)::VARCHAR)) AS digest FROM rows").to_arrow_table()
    halves = np.frombuffer(b"".join(digests["digest"].to_pylist()), dtype="<u8").reshape(-1, 4)
    return halves[:, 0], halves[:, 1]


@cache
def _duckdb() -> Any:
    # One thread: rows come out in the order in which they went in.
    return open_database(threads=1)


@cache
def _code() -> str:
    return sha256_of_tree(Path(tunegate.__file__).parent)


@cache
def _environment() -> list[str]:
    return [sys.version, *sorted(f"{one.name}=={one.version}" for one in importlib.metadata.distributions())]


def reused_rows(
    stage: str, work: Any, compute: Compute, columns: Sequence[str], path: Path, *more: str
) -> Iterator[pa.RecordBatch]:
    """The batches of `work`, a dataclass, over columns of a file, remembered by stage and file."""
    batches = parquet_batches(path, columns=[*columns, *more])
    return reused(f"{stage}-{path.stem}", key_of(repr(work)), work, batches, compute)
