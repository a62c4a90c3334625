"""Tables as Great Expectations wants them, `pandas.DataFrame`s, made of Arrow columns without a Python object a value.

Rows keep their number in the file as the index.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tunegate.errors import MachineError

OBJECT_BYTES = 100
"""What pandas may need for each text of a whole column, beyond the text itself: it makes a Python object of it."""


class ColumnBuffer:
    """Whole columns, gathered chunk by chunk, in no more than `memory` bytes."""

    def __init__(self, columns: list[str], memory: int) -> None:
        self.columns = columns
        self._memory = memory
        self._parts: dict[str, list[Any]] = {name: [] for name in columns}
        self._needed = 0

    def add(self, name: str, values: Any, place_of: Callable[[str], str]) -> None:
        """Append some values to a column. Raises MachineError when what is gathered could not be judged in memory."""
        import pyarrow

        text = pyarrow.types.is_string(values.type)
        self._needed += 2 * values.nbytes + (OBJECT_BYTES * len(values) if text else 0)
        if self._needed > self._memory:
            problem = f"needs the whole column {name!r} in memory, more than {self._memory / 2**20:.0f} MB"
            remedy = "raise compute.memory in params.yaml, or write an expectation that judges each row alone"
            raise MachineError(problem, place=place_of(name), remedy=remedy)
        self._parts[name].append(values)

    def frame(self, rows: int) -> Any:
        """The columns as one `pandas.DataFrame` of that many rows; they are given up."""
        import pyarrow

        whole = {name: pyarrow.chunked_array(self._parts.pop(name)) for name in self.columns}
        return frame_of(whole, 0, rows)


def frame_of(columns: Mapping[str, Any], start: int, rows: int) -> Any:
    """The columns as a `pandas.DataFrame` of that many rows, whose first row has the number `start`."""
    import pandas
    import pyarrow

    # Of numbers with nulls among them, pandas would make floats, in which large ones become equal.
    whole = {pyarrow.uint64(): pandas.UInt64Dtype()}
    frame = pyarrow.table(dict(columns)).to_pandas(types_mapper=whole.get)
    frame.index = pandas.RangeIndex(start, start + rows)
    return frame


def shape_frame(names: list[str], rows: int) -> Any:
    """A `pandas.DataFrame` with these columns and that many rows, and nothing in it."""
    import pandas

    return pandas.DataFrame(False, index=pandas.RangeIndex(rows), columns=names, dtype=bool)
