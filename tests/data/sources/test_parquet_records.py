import datetime
import secrets
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tunegate.data.sources.locations import Located
from tunegate.data.sources.records import read_batches, read_records
from tunegate.errors import InputError
from tunegate.tables import write_parquet


def located(folder: Path, table: pa.Table) -> Located:
    write_parquet(folder / "a.parquet", table)
    return Located(folder / "a.parquet", "data/raw/a.parquet")


def test_rows_are_numbered_through_all_batches(tmp_path: Path) -> None:
    file = located(tmp_path, pa.table({"n": range(20_000)}))
    assert len(list(read_batches(file))) > 1
    assert all(record == (f"data/raw/a.parquet:{i}", {"n": i - 1}) for i, record in enumerate(read_records(file), 1))


def test_rows_of_much_text_come_a_few_at_a_time(tmp_path: Path) -> None:
    file = located(tmp_path, pa.table({"text": [secrets.token_hex(2**19) for _ in range(40)]}))
    assert max(map(len, read_batches(file))) < 40


def test_a_time_keeps_its_zone_down_to_the_microsecond(tmp_path: Path) -> None:
    time = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "Europe/Stockholm"))
    (record,) = read_records(located(tmp_path, pa.table({"at": time})))
    value = record.values["at"].astimezone(datetime.UTC)
    assert type(value) is datetime.datetime
    assert value.isoformat() == "2023-11-14T22:13:20.123456+00:00"


def test_a_table_that_expands_without_measure_is_refused(tmp_path: Path) -> None:
    table = pa.table({"text": ["a" * 2**20 + str(number) for number in range(20)]})
    with pytest.raises(InputError) as caught:
        next(read_batches(located(tmp_path, table)))
    assert caught.value.place == "data/raw/a.parquet"
    assert caught.value.problem.startswith("expands to ")


def test_the_first_rows_of_a_batch_are_a_batch(tmp_path: Path) -> None:
    batch = next(read_batches(located(tmp_path, pa.table({"n": [1, 2, 3]})))).head(2)
    assert (len(batch), batch.column("n"), batch.place(1)) == (2, [1, 2], "data/raw/a.parquet:2")


def repeated(text: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))


def talks(contents: pa.Array, rows: int) -> pa.Array:
    offsets = pa.array(range(0, len(contents) + 1, len(contents) // rows), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([contents], ["content"]))


def fault(file: Located) -> InputError:
    with pytest.raises(InputError) as caught:
        for batch in read_batches(file):
            list(batch.values())
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("as_json", [False, True])
def test_one_text_that_is_named_by_thousands_of_rows_is_refused_before_it_is_written_out(
    tmp_path: Path, as_json: bool
) -> None:
    texts = repeated("1" * 300_000, 8192)
    column = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1" * 30_000] * 4096)) if as_json else texts
    before = pa.total_allocated_bytes()
    file = located(tmp_path, pa.table({"text": column}))
    most = 0
    with pytest.raises(InputError) as caught:
        for batch in read_batches(file):
            most = max(most, pa.total_allocated_bytes() - before)
            assert len(batch) < 600
    assert most < 2**26
    assert (caught.value.place, caught.value.problem[:11]) == ("data/raw/a.parquet", "expands to ")


def test_a_row_that_names_one_text_thousands_of_times_is_refused(tmp_path: Path) -> None:
    error = fault(located(tmp_path, pa.table({"messages": talks(repeated("a" * 300_000, 8192), 2)})))
    assert error.place == "data/raw/a.parquet:1"
    assert error.problem == "a row of 1,228,800,000 bytes, more than 4,194,304 characters"


def test_a_list_of_more_values_than_the_file_can_stand_for_is_refused(tmp_path: Path) -> None:
    numbers = pa.ListArray.from_arrays(pa.array([0, 20_000_000], pa.int32()), pa.array(np.zeros(20_000_000, np.int8)))
    assert fault(located(tmp_path, pa.table({"n": numbers}))).problem.startswith("expands to ")


def test_values_are_the_same_however_they_are_stored(tmp_path: Path) -> None:
    columns = {
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None] * 30)),
        "map": pa.array([[("a", "b")], None] * 30, pa.map_(pa.string(), pa.string())),
        "pair": pa.array([["a", "b"], ["c", "d"]] * 30, pa.list_(pa.string(), 2)),
        "view": pa.array(["å", None] * 30, pa.string_view()),
        "turns": pa.array([[{"content": "x"}, {"content": None}], []] * 30),
        "large": pa.array([["x"], ["x", None]] * 30, pa.large_list(pa.large_string())),
        "bytes": pa.array([b"\xff", b""] * 30),
        "nothing": pa.nulls(60),
    }
    (batch,) = read_batches(located(tmp_path, pa.table(columns)))
    assert batch.column("json") == [{"a": 1}, None] * 30
    assert all(batch.column(name) == columns[name].to_pylist() for name in columns if name != "json")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (pa.array([b"a", b"\xff"]).view(pa.string()), "column 'x': not UTF-8: byte 0xff"),
        (pa.array([0, 10**18], pa.timestamp("us", "UTC")), "column 'x': a timestamp[us, tz=UTC] that cannot be read: "),
        (pa.array([0, 10**7], pa.date32()), "column 'x': a date32[day] that cannot be read: "),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "{"])), "not valid JSON: "),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "[" * 10**5])), "nested more than 32 deep"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_with_row_and_column(
    tmp_path: Path, values: pa.Array, problem: str
) -> None:
    error = fault(located(tmp_path, pa.table({"x": values})))
    assert error.place.startswith("data/raw/a.parquet:2")
    assert error.problem.startswith(problem)
    assert "'x'" in error.problem or error.place.startswith("data/raw/a.parquet:2: x")
