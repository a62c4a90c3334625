import os
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.refresh.merge import Merge
from tunegate.data.refresh.spool import ORDER_COLUMN
from tunegate.tables import read_parquet, write_parquet

COLUMNS = {"text": "text", "id": "integer", "n": "number"}


def page(path: Path, first: int, ids: list[int], text: str, **more: list[object]) -> Path:
    order = pa.array(range(first, first + len(ids)), pa.int64())
    write_parquet(path, pa.table({"id": ids, "text": [text] * len(ids), **more, ORDER_COLUMN: order}))
    return path


def merged(folder: Path, pages: list[Path], old: Path | None, keeps: str) -> tuple[Path, object]:
    with Merge(folder / "work", 2**28, COLUMNS, ["id"]) as merge:
        merge.load(pages, old)
        changes = merge.merge(keeps)
        merge.write(folder / f"{len(pages)}.parquet")
    return folder / f"{len(pages)}.parquet", changes


def test_the_last_row_of_a_key_wins_over_earlier_ones_and_over_the_snapshot(tmp_path: Path) -> None:
    pages = [page(tmp_path / "1", 0, [3, 1], "first"), page(tmp_path / "2", 2, [1, 2], "second", n=[0.5, 1])]
    first, changes = merged(tmp_path, pages, None, "none")
    assert [tuple(row.values()) for row in read_parquet(first).to_pylist()] == [
        (1, 0.5, "second"),
        (2, 1.0, "second"),
        (3, None, "first"),
    ]
    assert (changes.added, changes.fetched, changes.rows) == (3, 3, 3)
    newer = [page(tmp_path / "3", 0, [2, 4], "third")]
    second, changes = merged(tmp_path, newer, first, "all")
    assert [row["text"] for row in read_parquet(second).to_pylist()] == ["second", "third", "first", "third"]
    assert (changes.added, changes.edited, changes.removed) == (1, 1, 0)
    assert changes.examples == {"added": ["4"], "edited": ["2"]}


def test_columns_come_in_one_order_and_rows_in_that_of_the_key_whatever_the_pages(tmp_path: Path) -> None:
    together, _ = merged(tmp_path, [page(tmp_path / "1", 0, [*range(500, 0, -1)], "x")], None, "none")
    apart = [page(tmp_path / f"p{n}", n, [n + 1], "x") for n in range(500)]
    assert together.read_bytes() == merged(tmp_path, apart, None, "none")[0].read_bytes()
    assert read_parquet(together).column_names == ["id", "n", "text"]


@pytest.mark.parametrize("name", ["it's", 'a "quoted" one', "select", "x; DROP TABLE old"])
def test_the_name_of_a_column_is_never_sql(name: str, tmp_path: Path) -> None:
    source = page(tmp_path / "it's a page", 0, [1], "x", **{name: ["value"]})
    with Merge(tmp_path / "work", 2**28, {"id": "integer", name: "text"}, ["id"]) as merge:
        merge.load([source], None)
        merge.merge("none")
        merge.write(tmp_path / "new.parquet")
    assert read_parquet(tmp_path / "new.parquet").to_pylist() == [{"id": 1, name: "value"}]


def test_the_work_database_may_be_smaller_than_the_rows(tmp_path: Path) -> None:
    pages = []
    for number in range(10):
        texts = [os.urandom(2500).hex() for _ in range(1000)]
        ids = [10_000 - number * 1000 - index for index in range(1000)]
        order = pa.array(range(number * 1000, number * 1000 + 1000), pa.int64())
        pages.append(tmp_path / f"{number}.parquet")
        write_parquet(pages[-1], pa.table({"id": ids, "text": texts, ORDER_COLUMN: order}))
    with Merge(tmp_path / "work", 32 * 2**20, {"id": "integer", "text": "text"}, ["id"]) as merge:
        merge.load(pages, None)
        assert merge.merge("none").rows == 10_000
        merge.write(tmp_path / "new.parquet")
    assert read_parquet(tmp_path / "new.parquet").column("id").to_pylist() == list(range(1, 10_001))
