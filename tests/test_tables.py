import os
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate import tables
from tunegate.errors import InputError


def test_a_cut_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    tables.write_parquet(path, pa.table({"a": list(range(1000))}))
    for size in (0, 3, path.stat().st_size // 2):
        os.truncate(path, size)
        with pytest.raises(InputError, match="not a complete Parquet file"):
            tables.read_parquet(path)


def test_equal_tables_are_written_as_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tables.write_parquet(tmp_path / name, pa.table({"a": ["x", None], "b": [1, 2]}))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert tables.read_parquet(tmp_path / "a").to_pydict() == {"a": ["x", None], "b": [1, 2]}


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    for read in (tables.read_parquet, tables.parquet_rows, lambda path: list(tables.parquet_batches(path))):
        with pytest.raises(InputError, match="no such file"):
            read(tmp_path / "rows.parquet")


def test_equal_rows_in_other_batches_are_written_as_equal_bytes(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(150_000)), "b": [f"text {i % 7}" for i in range(150_000)]})
    tables.write_parquet(tmp_path / "whole", table)
    with tables.parquet_writer(tmp_path / "parts", table.schema) as write:
        for start in range(0, len(table), 7_777):
            write(table.slice(start, 7_777))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()
    assert tables.parquet_rows(tmp_path / "parts") == 150_000
    assert pa.Table.from_batches(tables.parquet_batches(tmp_path / "parts", rows=1_000)) == table


def test_a_table_that_stops_half_way_is_not_written(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int64())])
    with pytest.raises(ZeroDivisionError), tables.parquet_writer(tmp_path / "rows", schema) as write:
        write(pa.table({"a": [1]}))
        1 / 0  # noqa: B018
    assert not list(tmp_path.iterdir())
