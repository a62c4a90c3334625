"""Files as records: one mapping of column to value for each row of a CSV, JSON Lines or Parquet file, with its place.

Reads one file at a time. Knows the formats and what can be wrong with them; does not know what the columns mean.
"""

import csv
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from tunegate.data.nearest import did_you_mean, listed
from tunegate.data.sources.declaration import Located
from tunegate.errors import InputError
from tunegate.files import read_jsonl, read_text
from tunegate.tables import read_parquet


class Record(NamedTuple):
    """One record of a file: where it stands, and its values."""

    place: str
    values: dict[str, Any]


def read_records(file: Located) -> list[Record]:
    """Every record of `file`. Raises InputError with file and line for whatever is wrong with it."""
    if file.path.stat().st_size == 0:
        raise InputError("the file is empty", place=file.name, remedy="restore it, or drop the source")
    try:
        records = list(_READERS[file.path.suffix](file))
    except InputError as error:
        # The path on this machine says less to a reader of the log than the name written in sources.yaml.
        place = error.place.replace(str(file.path), file.name)
        raise InputError(error.problem, place=place, remedy=error.remedy) from None
    if not records:
        raise InputError("the file has no rows", place=file.name, remedy="add rows, or drop the source")
    return records


def _csv(file: Located) -> Iterator[Record]:
    csv.field_size_limit(sys.maxsize)
    lines = read_text(file.path).removeprefix("\ufeff").splitlines(keepends=True)
    reader = csv.reader(_unsplit(lines), strict=True)
    start = 1
    header: list[str] = []
    try:
        for cells in reader:
            place, start = f"{file.name}:{start}", reader.line_num + 1
            if not cells:
                continue
            if not header:
                header = _header(cells, place)
            elif len(cells) == len(header):
                yield Record(place, dict(zip(header, cells, strict=True)))
            else:
                problem = f"{len(cells)} columns where the header has {len(header)}: {cells[0]!r} …"
                raise InputError(problem, place=place, remedy="put quotes around a value that holds a comma")
    except csv.Error as error:
        remedy = "close the quote that this row opens, or restore the end of the file"
        raise InputError(f"not valid CSV: {error}", place=f"{file.name}:{start}", remedy=remedy) from None


def _unsplit(lines: list[str]) -> Iterator[str]:
    # str.splitlines also splits at U+2028 and its like, which are ordinary characters of a CSV file.
    held = ""
    for line in lines:
        held += line
        if line.endswith(("\n", "\r")):
            yield held
            held = ""
    if held:
        yield held


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


def _jsonl(file: Located) -> Iterator[Record]:
    for line, values in read_jsonl(file.path):
        yield Record(f"{file.name}:{line}", values)


def _parquet(file: Located) -> Iterator[Record]:
    try:
        table = read_parquet(file.path)
    except InputError as error:
        raise InputError(error.problem, place=file.name, remedy="restore the file: it is cut or damaged") from None
    for number, values in enumerate(table.to_pylist(), 1):
        yield Record(f"{file.name}:{number}", values)


def check_columns(record: Record, columns: list[str], place: str) -> None:
    """Raise InputError, naming the nearest column, when `record` lacks one of `columns` that `place` names."""
    for column in columns:
        if column not in record.values:
            problem = f"no column {column!r}{did_you_mean(column, record.values)}"
            remedy = f"{place} names it; the columns here are {listed(record.values)}"
            raise InputError(problem, place=record.place, remedy=remedy)


_READERS = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
