from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.diff.row_lookup import NEAREST, Lookup
from tunegate.errors import InputError
from tunegate.tables import write_parquet

IDS = ["roof-1", "roof-2", "heat-1", "it's", "water-9", "Roof-10"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_parquet(tmp_path / "rows.parquet", pa.table({"id": IDS, "tokens": list(range(len(IDS)))}))
    return tmp_path / "rows.parquet"


def test_a_row_is_found_by_its_id_whatever_signs_are_in_it(path: Path) -> None:
    with Lookup() as rows:
        assert rows.one(path, "heat-1") == {"id": "heat-1", "tokens": 2}
        assert rows.one(path, "it's") == {"id": "it's", "tokens": 3}
        assert rows.one(path, "heat") is None
        assert rows.one(path, "x' OR '1' = '1") is None


def test_the_nearest_ids_come_first_and_case_does_not_count(path: Path) -> None:
    with Lookup() as rows:
        nearest = rows.nearest(path, "ROOF-1")
    assert nearest == ["roof-1", "Roof-10", "roof-2"]
    assert len(nearest) == NEAREST


def test_a_file_that_is_missing_or_not_parquet_is_an_error_at_its_place(tmp_path: Path) -> None:
    other = tmp_path / "rows.csv"
    other.write_text("id\n1")
    with Lookup() as rows:
        for place in (other, tmp_path / "none.parquet"):
            with pytest.raises(InputError) as caught:
                rows.one(place, "1")
            assert caught.value.place == str(place)
