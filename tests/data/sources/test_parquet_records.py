import datetime
import secrets
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.sources.locating import Located
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
