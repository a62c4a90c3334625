"""Parquet files as records, batch by batch.

Times keep their zone or their lack of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from tunegate.data.sources.batches import BATCH_BYTES, Batch
from tunegate.data.sources.json_text import parse_strict
from tunegate.data.sources.locations import Located
from tunegate.data.sources.parquet_size import cut, declared_bytes, decoded
from tunegate.data.sources.streams import HARMLESS, MAX_RATIO, MAX_RECORD
from tunegate.errors import InputError
from tunegate.tables import BATCH_ROWS, parquet_batches

_CORRECT = "correct the value, or write the column as text"


@dataclass(frozen=True)
class ParquetBatch(Batch):
    """A `pyarrow.RecordBatch`; a column becomes Python values when it is asked for. `json` are columns of JSON."""

    rows: Any
    json: frozenset[str]

    def column(self, name: str) -> list[Any]:
        """The values of a column. Raises InputError for one that Python cannot hold."""
        import pyarrow as pa

        if name not in self.rows.schema.names:
            raise KeyError(name)
        column = self.rows.column(self.rows.schema.names.index(name))
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        try:
            values = list(column.to_pylist())
        except (ValueError, OverflowError, LookupError):
            self._refuse_value(name, column)
        if name not in self.json:
            return values
        places = (f"{self.place(index)}: {name}" for index in range(len(self)))
        return [None if text is None else parse_strict(text, at) for text, at in zip(values, places, strict=True)]

    def names(self) -> list[str]:
        """The columns."""
        return list(self.rows.schema.names)

    def values(self) -> Iterator[dict[str, Any]]:
        """Each row as column and value."""
        columns = {name: self.column(name) for name in self.names()}
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def head(self, count: int) -> "ParquetBatch":
        """The first `count` rows."""
        return ParquetBatch(self.file, self.lines[:count], self.rows.slice(0, count), self.json)

    def _refuse_value(self, name: str, column: Any) -> NoReturn:
        place, problem = self.file, "a value that Python cannot hold"
        for index, value in enumerate(column):
            try:
                value.as_py()
            except UnicodeDecodeError as error:
                place, problem = self.place(index), f"not UTF-8: byte 0x{error.object[error.start]:02x}"
                break
            except (ValueError, OverflowError, LookupError) as error:
                place, problem = self.place(index), f"a {column.type} that cannot be read: {error!s:.80}"
                break
        raise InputError(f"column {name!r}: {problem}", place=place, remedy=_CORRECT) from None


def read_parquet_records(file: Located) -> Iterator[Batch]:
    """The rows of a Parquet file, numbered from 1."""
    try:
        start, expanded = 1, 0
        allowed = max(HARMLESS, MAX_RATIO * file.path.stat().st_size)
        rows, json = _footer(file, allowed)
        for batch in parquet_batches(file.path, rows=rows, as_dictionaries=True):
            for part, size in cut(batch, BATCH_BYTES):
                expanded += size
                _check_size(file, start, size, expanded, allowed)
                yield ParquetBatch(file.name, range(start, start + len(part)), decoded(part), json)
                start += len(part)
    except InputError as error:
        if error.place != str(file.path):
            raise
        raise InputError(error.problem, place=file.name, remedy="restore the file: it is cut or damaged") from None


def _check_size(file: Located, row: int, size: int, expanded: int, allowed: int) -> None:
    if size > BATCH_BYTES:
        problem = f"a row of {size:,} bytes, more than {MAX_RECORD:,} characters"
        remedy = "cut its texts; no model reads as much at once"
        raise InputError(problem, place=f"{file.name}:{row}", remedy=remedy)
    if expanded > allowed:
        _refuse_bomb(file, expanded)


def _refuse_bomb(file: Located, expanded: int) -> NoReturn:
    size = file.path.stat().st_size
    problem = f"expands to {expanded:,} bytes or more, over {MAX_RATIO} times its {size:,}"
    raise InputError(problem, place=file.name, remedy="look at it first; if it is sound, store it uncompressed")


def _footer(file: Located, allowed: int) -> tuple[int, frozenset[str]]:
    """How many rows are read together, so that they take no more than BATCH_BYTES; the columns of JSON."""
    import pyarrow
    import pyarrow.parquet

    try:
        footer = pyarrow.parquet.read_metadata(file.path)
    except (pyarrow.ArrowInvalid, OSError):
        return BATCH_ROWS, frozenset()  # reading it says what is wrong
    expanded = declared_bytes(footer)
    if expanded > allowed:
        _refuse_bomb(file, expanded)
    columns = [footer.schema.column(number) for number in range(footer.num_columns)]
    json = frozenset(column.path for column in columns if column.logical_type.type == "JSON")
    return int(max(1, min(BATCH_ROWS, BATCH_BYTES * footer.num_rows // max(1, expanded)))), json
