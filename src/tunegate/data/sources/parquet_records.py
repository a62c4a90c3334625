"""Parquet files as records, batch by batch.

Reads one file at a time. Times keep their zone or their lack of one; whoever makes a text of them decides. Does not
know what the columns mean.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunegate.data.sources.locating import Located
from tunegate.data.sources.records import BATCH_BYTES, Batch
from tunegate.data.sources.streams import HARMLESS, MAX_RATIO
from tunegate.errors import InputError
from tunegate.tables import BATCH_ROWS, parquet_batches


@dataclass(frozen=True)
class ParquetBatch(Batch):
    """A `pyarrow.RecordBatch`; a column becomes Python values when it is asked for."""

    rows: Any

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        import pyarrow as pa

        if name not in self.rows.schema.names:
            raise KeyError(name)
        column = self.rows.column(self.rows.schema.names.index(name))
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        if isinstance(column.type, pa.JsonType):
            return [None if value is None else json.loads(value) for value in column.to_pylist()]
        return list(column.to_pylist())

    def names(self) -> list[str]:
        """The columns."""
        return list(self.rows.schema.names)

    def values(self) -> Iterator[dict[str, Any]]:
        """Each row as column and value."""
        columns = {name: self.column(name) for name in self.names()}
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def head(self, count: int) -> "ParquetBatch":
        """The first `count` rows."""
        return ParquetBatch(self.file, self.lines[:count], self.rows.slice(0, count))


def read_parquet_records(file: Located) -> Iterator[Batch]:
    """The rows of a Parquet file, numbered from 1."""
    try:
        start = 1
        for rows in parquet_batches(file.path, rows=_rows_together(file)):
            yield ParquetBatch(file.name, range(start, start + len(rows)), rows)
            start += len(rows)
    except InputError as error:
        if error.place != str(file.path):
            raise
        raise InputError(error.problem, place=file.name, remedy="restore the file: it is cut or damaged") from None


def _rows_together(file: Located) -> int:
    """How many rows are read together, so that they take no more than BATCH_BYTES."""
    import pyarrow
    import pyarrow.parquet

    try:
        footer = pyarrow.parquet.read_metadata(file.path)
    except (pyarrow.ArrowInvalid, OSError):
        return BATCH_ROWS  # reading it says what is wrong
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    expanded, size = sum(group.total_byte_size for group in groups), file.path.stat().st_size
    if expanded > max(HARMLESS, MAX_RATIO * size):
        problem = f"expands to {expanded:,} bytes, more than {MAX_RATIO} times its {size:,}"
        raise InputError(problem, place=file.name, remedy="look at it first; if it is sound, store it uncompressed")
    return int(max(1, min(BATCH_ROWS, BATCH_BYTES * footer.num_rows // max(1, expanded))))
