import pyarrow as pa
import pytest

from tunegate.data.checks.frames import ColumnBuffer, frame_of, shape_frame
from tunegate.errors import MachineError


def test_large_numbers_next_to_null_stay_what_they_are() -> None:
    frame = frame_of({"a": pa.array([2**63 + 1, 2**63, None], pa.uint64())}, 5, 3)
    assert frame["a"].dropna().tolist() == [2**63 + 1, 2**63]
    assert frame.index.tolist() == [5, 6, 7]


def test_buffer_columns_are_one_frame() -> None:
    buffer = ColumnBuffer(["a"], 1000)
    for values in (["x"], [None, "y"]):
        buffer.add("a", pa.array(values, pa.string()), str)
    assert buffer.frame(3)["a"].dropna().tolist() == ["x", "y"]


def test_what_is_buffer_stays_within_its_memory() -> None:
    buffer = ColumnBuffer(["a"], 1000)
    buffer.add("a", pa.array(["x"] * 5), str)
    with pytest.raises(MachineError, match="whole column 'a'") as caught:
        buffer.add("a", pa.array(["x"] * 5), lambda column: f"of {column}")
    assert caught.value.place == "of a"


def test_a_shape_has_columns_and_rows_alone() -> None:
    frame = shape_frame(["id", "text"], 3)
    assert (list(frame.columns), len(frame)) == (["id", "text"], 3)
