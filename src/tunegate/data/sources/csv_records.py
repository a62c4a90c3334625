"""CSV files as records: a header, then rows of as many values. Every value is a text."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunegate.data.sources.batches import Batch, batches_of
from tunegate.data.sources.locations import Located
from tunegate.data.sources.streams import MAX_RECORD, TextStream, open_text
from tunegate.errors import InputError


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


def read_csv(file: Located) -> Iterator[Batch]:
    """The rows of `file` in batches. Raises InputError with file and line."""
    csv.field_size_limit(MAX_RECORD)
    with open_text(file) as stream:
        numbered = _numbered(stream)
        line, cells = next(numbered, (0, []))
        header = tuple(_header(cells, f"{file.name}:{line}")) if cells else ()
        rows = _whole_rows(numbered, header, file.name)
        yield from batches_of(rows, stream, lambda lines, cells: CsvBatch(file.name, lines, header, cells))


def _whole_rows(
    numbered: Iterator[tuple[int, list[str]]], header: tuple[str, ...], name: str
) -> Iterator[tuple[int, list[str]]]:
    """The rows. Raises InputError for the first with more or fewer values than the header."""
    for line, cells in numbered:
        if len(cells) != len(header):
            problem = f"{len(cells)} columns where the header has {len(header)}: {cells[0][:40]!r} …"
            remedy = "put quotes around a value that holds a comma"
            raise InputError(problem, place=f"{name}:{line}", remedy=remedy)
        yield line, cells


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
