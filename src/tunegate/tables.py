"""The only place that reads and writes Parquet: whole, or batch by batch for tables that do not fit into memory.

Every write is atomic (tunegate.files), zstd-compressed, and the same bytes for the same rows. Pages carry checksums, so
that a damaged file is an error and not other rows.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import atomic_file

BATCH_ROWS = 8_192
"""Rows that are read together."""
GROUP_ROWS = 65_536
"""Rows in a row group of a Parquet file."""


def read_parquet(path: Path) -> Any:
    """The `pyarrow.Table` in a Parquet file. Raises InputError when the file is missing or cut."""
    import pyarrow.parquet

    with _readable_parquet(path):
        return pyarrow.parquet.read_table(path, page_checksum_verification=True)


def parquet_batches(
    path: Path, *, columns: list[str] | None = None, rows: int = BATCH_ROWS, as_dictionaries: bool = False
) -> Iterator[Any]:
    """The `pyarrow.RecordBatch`es of a Parquet file, in order, with at most `rows` rows each.

    Keeps one batch in memory; `as_dictionaries` leaves each text in it once, however often it occurs. Raises
    InputError when the file is missing or cut.
    """
    import pyarrow.parquet

    options: dict[str, Any] = {"page_checksum_verification": True}
    with _readable_parquet(path):
        if as_dictionaries:
            # An extension type, such as that of JSON, would be read without its dictionary.
            options["read_dictionary"] = [column.path for column in pyarrow.parquet.read_metadata(path).schema]
            options["arrow_extensions_enabled"] = False
        with pyarrow.parquet.ParquetFile(path, **options) as file:
            yield from file.iter_batches(batch_size=rows, columns=columns)


def parquet_rows(path: Path) -> int:
    """How many rows a Parquet file has, from its footer. Raises InputError when the file is missing or cut."""
    import pyarrow.parquet

    with _readable_parquet(path):
        return int(pyarrow.parquet.read_metadata(path).num_rows)


def parquet_schema(path: Path) -> Any:
    """The `pyarrow.Schema` of a Parquet file, from its footer. Raises InputError when the file is missing or cut."""
    import pyarrow.parquet

    with _readable_parquet(path):
        return pyarrow.parquet.read_schema(path)


def parquet_group(path: Path, number: int) -> Any:
    """One row group, a `pyarrow.Table` of at most GROUP_ROWS rows. Raises InputError when it is missing or cut."""
    import pyarrow.parquet

    with _readable_parquet(path), pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read_row_group(number)


def write_parquet(path: Path, table: Any) -> None:
    """Write a `pyarrow.Table` atomically, zstd-compressed; equal tables give equal bytes."""
    with parquet_writer(path, table.schema) as write:
        write(table)


@contextlib.contextmanager
def parquet_writer(path: Path, schema: Any) -> Iterator[Callable[[Any], None]]:
    """Yield a function that appends a table or batch to a Parquet file, which appears when all is written.

    Equal rows give equal bytes however they were cut into batches: a row group is always GROUP_ROWS rows.
    """
    import pyarrow
    import pyarrow.parquet

    held: list[Any] = []
    count = 0

    def append(rows: Any) -> None:
        table = rows if isinstance(rows, pyarrow.Table) else pyarrow.Table.from_batches([rows])
        nonlocal count
        held.append(table.cast(schema))
        count += table.num_rows
        while count >= GROUP_ROWS:
            flush(GROUP_ROWS)

    def flush(rows: int) -> None:
        nonlocal count
        whole = pyarrow.concat_tables(held)
        # One chunk a column: where a page ends must not depend on how the rows came.
        writer.write_table(whole.slice(0, rows).combine_chunks())
        held[:] = [whole.slice(rows)]
        count = held[0].num_rows

    options = {"compression": "zstd", "version": "2.6", "write_page_checksum": True}
    with atomic_file(path) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema, **options) as writer:
        yield append
        if count:
            flush(GROUP_ROWS)


@contextlib.contextmanager
def _readable_parquet(path: Path) -> Iterator[None]:
    import pyarrow

    if not path.is_file():
        raise InputError("no such file", place=str(path), remedy="run `dvc repro`, or `dvc pull`")
    try:
        yield
    except (pyarrow.ArrowInvalid, OSError) as error:
        # A damaged page arrives as an OSError without a number; a disk that cannot be read has one.
        if isinstance(error, OSError) and error.errno:
            raise
        problem = f"not a complete Parquet file: {str(error).splitlines()[0]}"
        raise InputError(problem, place=str(path), remedy="run the stage that writes it again") from None
