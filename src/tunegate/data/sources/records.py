"""Files as records: batches of rows as they stand in a CSV, JSON or Parquet file, column by column, with their places.

Reads one file at a time, in constant memory. Knows the formats and what can be wrong with them; does not know what the
columns mean.
"""

import csv
import functools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, NamedTuple

from tunegate.data.sources.declaration import RowPer, suffixes_of
from tunegate.data.sources.locating import Located
from tunegate.data.sources.streams import MAX_RECORD, TextStream, open_text
from tunegate.errors import InputError
from tunegate.tables import BATCH_ROWS

BATCH_BYTES = 16 * 2**20
"""Records are handed on when they took so many bytes, however few they are."""


class Record(NamedTuple):
    """One record of a file: where it stands, and its values."""

    place: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Batch(ABC):
    """Some records of a file, in order; `lines` are where they begin."""

    file: str
    lines: Sequence[int]
    is_raw: ClassVar[bool] = False
    """Whether its records are texts and nothing else."""

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, index: int) -> str:
        """File and line of a record."""
        return f"{self.file}:{self.lines[index]}"

    @abstractmethod
    def column(self, name: str) -> list[Any]:
        """The values of a column. Raises KeyError where a record has no such column."""

    def cells(self, name: str) -> list[Any]:
        """The values of a column, None where a record has no such column."""
        return self.column(name) if name in self.names() else [None] * len(self)

    @abstractmethod
    def names(self) -> list[str]:
        """The columns of the first record."""

    @abstractmethod
    def values(self) -> Iterator[dict[str, Any]]:
        """Each record as column and value."""

    @abstractmethod
    def head(self, count: int) -> "Batch":
        """The first `count` records."""

    def lacking(self, name: str) -> tuple[int, list[str]] | None:
        """The first record without the column, and the columns that it has; None where all have it."""
        return None if name in self.names() else (0, self.names())


@dataclass(frozen=True)
class CsvBatch(Batch):
    """Rows of a CSV file: every value is a text."""

    header: tuple[str, ...]
    rows: list[list[str]]

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        if name not in self.header:
            raise KeyError(name)
        index = self.header.index(name)
        return [row[index] for row in self.rows]

    def names(self) -> list[str]:
        """The header."""
        return list(self.header)

    def values(self) -> Iterator[dict[str, Any]]:
        """Each row as column and value."""
        return (dict(zip(self.header, row, strict=True)) for row in self.rows)

    def head(self, count: int) -> "CsvBatch":
        """The first `count` rows."""
        return CsvBatch(self.file, self.lines[:count], self.header, self.rows[:count])


def read_batches(file: Located, *, may_be_empty: bool = False, row_per: RowPer = "file") -> Iterator[Batch]:
    """The records of `file`. Raises InputError with file and line for whatever is wrong with it.

    That includes a file without rows, unless it `may_be_empty`. `row_per` says what a record of plain text is.
    """
    from tunegate.data.sources.json_records import read_json_array, read_json_lines
    from tunegate.data.sources.parquet_records import read_parquet_records
    from tunegate.data.sources.text_records import read_text_records

    if file.path.stat().st_size == 0:
        raise InputError("the file is empty", place=file.name, remedy="restore it, or drop the source")
    readers: dict[str, Callable[[Located], Iterator[Batch]]] = {
        ".csv": _read_csv,
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
    """The records of `file` one by one, for who needs all their columns. Raises what `read_batches` raises."""
    for batch in read_batches(file):
        for index, values in enumerate(batch.values()):
            yield Record(batch.place(index), values)


def is_full(rows: int, started: int, stream: TextStream) -> bool:
    """Whether a batch of `rows` records, begun when `started` bytes were read, is to be handed on."""
    return rows >= BATCH_ROWS or stream.consumed - started >= BATCH_BYTES


def _read_csv(file: Located) -> Iterator[Batch]:
    csv.field_size_limit(MAX_RECORD)
    with open_text(file) as stream:
        numbered = _numbered(stream)
        line, cells = next(numbered, (0, []))
        header = tuple(_header(cells, f"{file.name}:{line}")) if cells else ()
        lines: list[int] = []
        rows: list[list[str]] = []
        started = 0
        for line, cells in numbered:
            if len(cells) != len(header):
                problem = f"{len(cells)} columns where the header has {len(header)}: {cells[0][:40]!r} …"
                remedy = "put quotes around a value that holds a comma"
                raise InputError(problem, place=f"{file.name}:{line}", remedy=remedy)
            lines.append(line)
            rows.append(cells)
            if is_full(len(rows), started, stream):
                yield CsvBatch(file.name, lines, header, rows)
                lines, rows, started = [], [], stream.consumed
        if rows:
            yield CsvBatch(file.name, lines, header, rows)


def _numbered(stream: TextStream) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty, with the line where it begins."""
    reader = csv.reader(stream.lines(), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        remedy = "close the quote that this row opens, or restore the end of the file"
        raise InputError(f"not valid CSV: {error}", place=f"{stream.file.name}:{line}", remedy=remedy) from None


def _header(cells: list[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    for separator in (";", "\t"):
        if len(names) == 1 and separator in names[0]:
            problem = f"columns are separated by {separator!r}: {names[0]!r}"
            raise InputError(problem, place=place, remedy="save the file with commas between the columns")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"column {twice[0]!r} appears twice", place=place, remedy="rename one of them")
    return names
