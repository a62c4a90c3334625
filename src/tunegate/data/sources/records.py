"""Files as records: batches of rows as they stand in a CSV, JSON, Parquet or text file, with their places.

Reads one file at a time, in constant memory but for JSON arrays.
"""

import functools
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from tunegate.data.sources.batches import Batch
from tunegate.data.sources.csv_records import read_csv
from tunegate.data.sources.declaration import RowPer, suffixes_of
from tunegate.data.sources.json_records import read_json_array, read_json_lines
from tunegate.data.sources.locations import Located
from tunegate.data.sources.parquet_records import read_parquet_records
from tunegate.data.sources.text_records import read_text_records
from tunegate.errors import InputError


class Record(NamedTuple):
    """One record of a file: where it stands, and its values."""

    place: str
    values: dict[str, Any]


def read_batches(file: Located, *, may_be_empty: bool = False, row_per: RowPer = "file") -> Iterator[Batch]:
    """The records of `file`. Raises InputError with file and line for whatever is wrong with it.

    That includes a file without rows, unless it `may_be_empty`. `row_per` says what a record of plain text is.
    """
    if file.path.stat().st_size == 0:
        raise InputError("the file is empty", place=file.name, remedy="restore it, or drop the source")
    readers: dict[str, Callable[[Located], Iterator[Batch]]] = {
        ".csv": read_csv,
        ".json": read_json_array,
        ".jsonl": read_json_lines,
        ".parquet": read_parquet_records,
        ".txt": functools.partial(read_text_records, row_per=row_per),
    }
    batches = readers[suffixes_of(file.path.name)[0]](file)
    first = next(batches, None)
    if first is not None:
        yield from chain([first], batches)
    elif not may_be_empty:
        raise InputError("the file has no rows", place=file.name, remedy="add rows, or drop the source")


def read_records(file: Located) -> Iterator[Record]:
    """The records of `file` one by one, with all their columns. Raises what `read_batches` raises."""
    for batch in read_batches(file):
        for index, values in enumerate(batch.values()):
            yield Record(batch.place(index), values)
