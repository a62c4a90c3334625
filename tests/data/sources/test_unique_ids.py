from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.compute.database import connect
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.data.sources.unique_ids import UniqueIds
from tunegate.errors import InputError
from tunegate.tables import read_parquet, write_parquet


@pytest.fixture
def names(tmp_path: Path) -> Iterator[UniqueIds]:
    with connect(tmp_path / "work", 2**28) as connection:
        yield UniqueIds(connection)


def unique(names: UniqueIds, folder: Path, *batches: tuple[bool, list[str]]) -> list[str]:
    every = [name for _, batch in batches for name in batch]
    rows = [Row(name, f"g-{i}", "mine", place=f"f:{i}", text=f"{i}?", label="x") for i, name in enumerate(every)]
    write_parquet(folder / "rows.parquet", table_of(rows, PLACED_ROW))
    for own, batch in batches:
        names.add(pa.array(batch), own=own)
    names.make_unique(folder / "rows.parquet", "sources.yaml")
    table = read_parquet(folder / "rows.parquet")
    assert table.schema.equals(PLACED_ROW)
    assert table["place"].to_pylist() == [row.place for row in rows]
    return list(table["id"].to_pylist())


def test_equal_rows_are_counted_up_in_the_order_of_reading(names: UniqueIds, tmp_path: Path) -> None:
    assert unique(names, tmp_path, (False, ["h", "i", "h"]), (False, ["i", "h"])) == ["h", "i", "h-2", "i-2", "h-3"]


def test_ten_thousand_equal_rows_get_ten_thousand_ids(names: UniqueIds, tmp_path: Path) -> None:
    ids = unique(names, tmp_path, *[(False, ["h"] * 1000)] * 10)
    assert ids == ["h", *(f"h-{number}" for number in range(2, 10_001))]


def test_a_row_that_says_what_another_is_called_is_counted_up(names: UniqueIds, tmp_path: Path) -> None:
    assert unique(names, tmp_path, (True, ["h"]), (False, ["h", "h"])) == ["h", "h-2", "h-3"]


@pytest.mark.parametrize(
    ("batches", "name", "first", "second"),
    [
        ([(True, ["a", "b"]), (True, ["c", "b", "a"])], "b", 1, 3),
        ([(False, ["h"]), (True, ["a", "h"])], "h", 0, 2),
        ([(True, ["h-2"]), (False, ["h", "h"])], "h-2", 0, 2),
        ([(False, ["h", "h"]), (True, ["h-2"])], "h-2", 1, 2),
    ],
)
def test_an_id_that_is_taken_is_refused_with_both_places(
    names: UniqueIds, tmp_path: Path, batches: list[tuple[bool, list[str]]], name: str, first: int, second: int
) -> None:
    with pytest.raises(InputError) as caught:
        unique(names, tmp_path, *batches)
    assert caught.value.place == f"f:{second}"
    assert caught.value.problem == f"duplicate id {name!r}, first at f:{first}"
    assert "{id}-mine" in caught.value.remedy
