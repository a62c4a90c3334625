"""How large rows of Parquet are without dictionaries, and cutting a batch of them accordingly.

Parquet stores a text once and names it many times: a few kilobytes can stand for gigabytes, of which the footer says
nothing. So texts are read as dictionaries, measured, and decoded some at a time.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "BYTE_ARRAY": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}


def declared_bytes(footer: Any) -> int:
    """What the columns take at least, by the `pyarrow.parquet.FileMetaData`; repeats of a text are not in it."""
    columns = [footer.schema.column(number) for number in range(footer.num_columns)]
    widths = [_WIDTHS.get(column.physical_type) or column.length for column in columns]
    total = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        values = sum(group.column(index).num_values * width for index, width in enumerate(widths))
        total += max(group.total_byte_size, values)
    return total


def row_bytes(values: Any) -> NDArray[np.int64]:
    """The bytes that each value of a `pyarrow.Array` takes without a dictionary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, count = values.type, len(values)
    if isinstance(values, pa.ExtensionArray):
        return row_bytes(values.storage)
    if pa.types.is_struct(kind):
        inner = [row_bytes(values.field(index)) for index in range(kind.num_fields)]
        return np.sum(inner, axis=0, dtype=np.int64) if inner else np.zeros(count, np.int64)
    if pa.types.is_nested(kind):
        return _list_bytes(values)
    if pa.types.is_dictionary(kind):
        # Null is the entry after the last.
        each = np.append(row_bytes(values.dictionary), 0)
        sizes: NDArray[np.int64] = each[values.indices.cast(pa.int64()).fill_null(len(each) - 1).to_numpy()]
    elif _is_text(kind):
        sizes = pc.binary_length(values).cast(pa.int64()).fill_null(0).to_numpy()
    else:
        sizes = np.full(count, 0 if pa.types.is_null(kind) else max(1, kind.bit_width // 8), np.int64)
    return sizes


def _list_bytes(values: Any) -> NDArray[np.int64]:
    import pyarrow as pa

    inner = row_bytes(values.values)
    if pa.types.is_fixed_size_list(values.type):
        until = np.arange(len(values) + 1) + values.offset
        until *= values.type.list_size
    else:
        until = values.offsets.to_numpy()
    before = np.append(0, np.cumsum(inner))
    sizes: NDArray[np.int64] = np.diff(before[until])
    return sizes


def cut(batch: Any, most: int) -> Iterator[tuple[Any, int]]:
    """A `pyarrow.RecordBatch` in parts of at most `most` bytes once decoded, or of one row.

    With each comes how many bytes that are.
    """
    import pyarrow as pa

    until = np.cumsum(row_bytes(batch.to_struct_array()))
    start, before = 0, 0
    while start < len(until):
        stop = max(start + 1, int(np.searchsorted(until, before + most, side="right")))
        size = int(until[stop - 1]) - before
        # Taken, not sliced: a slice of lists would be decoded with all that it was cut from.
        yield batch.take(pa.array(np.arange(start, stop))), size
        start, before = stop, int(until[stop - 1])


def decoded(batch: Any) -> Any:
    """The `pyarrow.RecordBatch` without dictionaries."""
    import pyarrow as pa

    columns = [column.cast(_plain(column.type)) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return any(kind.equals(text) for text in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()))


def _plain(kind: Any) -> Any:
    """The type without dictionaries."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    for is_kind, make in ((pa.types.is_list, pa.list_), (pa.types.is_large_list, pa.large_list)):
        if is_kind(kind):
            return make(kind.value_field.with_type(_plain(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)), kind.list_size)
    return kind
