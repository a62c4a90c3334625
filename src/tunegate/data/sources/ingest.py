"""From declared sources to canonical rows, batch by batch.

The order of the steps: `records` reads files, `mapping` makes rows, `unique_ids` checks their ids.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.data.compute.database import connect
from tunegate.data.ledger.stage_ledger import make_ledger
from tunegate.data.rows import PLACED_ROW
from tunegate.data.sources.batches import Batch
from tunegate.data.sources.declaration import Source, load_sources
from tunegate.data.sources.locations import Located, locate_all
from tunegate.data.sources.mapping import Mapper
from tunegate.data.sources.records import read_batches
from tunegate.data.sources.unique_ids import UniqueIds
from tunegate.files import sha256_of
from tunegate.tables import parquet_writer


def ingest(
    declared: Path, raw: Path, lock: Path, rows: Path, *, memory: int, limit: int | None = None
) -> dict[str, Any]:
    """Write all rows of the sources in `declared`, the first `limit` of each, to the file `rows`; return the ledger.

    `memory` is what the ids of all rows may take of it, in bytes. Raises InputError for the first bad row.
    """
    located = locate_all(load_sources(declared), declared, raw, lock)
    read: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=rows.parent, prefix=".work.") as work, connect(Path(work), memory) as database:
        unique_ids = UniqueIds(database)
        with parquet_writer(rows, PLACED_ROW) as write:
            for source, files in located:
                mapper = Mapper(source.row, source.name, f"{declared}: {source.name}.row")
                for batch in _batches(source, files):
                    read[source.name] += len(batch)
                    within = _within(batch, limit, kept[source.name])
                    if within is not None:
                        mapped, own = mapper.rows(within)
                        write(mapped)
                        unique_ids.add(mapped.column("id"), own=own)
                        kept[source.name] += len(mapped)
        unique_ids.make_unique(rows, str(declared))
    return _ledger(located, read, kept)


def _batches(source: Source, files: list[Located]) -> Iterator[Batch]:
    for file in files:
        # That an external source gave nothing was accepted when its snapshot was taken.
        yield from read_batches(file, may_be_empty=source.external is not None, row_per=source.row_per)


def _within(batch: Batch, limit: int | None, kept: int) -> Batch | None:
    """What of `batch` is kept when `kept` rows of its source are kept already."""
    if limit is None or kept + len(batch) <= limit:
        return batch
    return batch.head(limit - kept) if limit > kept else None


def _ledger(located: list[tuple[Source, list[Located]]], read: Counter[str], kept: Counter[str]) -> dict[str, Any]:
    sources = {
        source.name: {"license": source.license, "files": {file.name: sha256_of(file.path) for file in files}}
        for source, files in located
    }
    dropped = {name: {"over_limit": read[name] - kept[name]} for name in read}
    details = {"sources": sources}
    return make_ledger("ingest", sources_in=read, sources_out=kept, dropped=dropped, details=details)
