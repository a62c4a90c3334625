from pathlib import Path
from typing import Any

import pytest

from tunegate.data.refresh.spool import ORDER_COLUMN, Spool
from tunegate.errors import InputError
from tunegate.tables import BATCH_ROWS, read_parquet


@pytest.fixture(autouse=True)
def pages_of_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunegate.data.refresh.spool.PAGE_ROWS", 2)


def spool(folder: Path, fingerprint: str = "f") -> Spool:
    made = Spool(folder, ["id"], "mine.sql", cursor="at")
    made.open(fingerprint)
    return made


def rows(*ids: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": number, **more} for number in ids]


def test_rows_are_kept_in_pages_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    fetched = spool(tmp_path / "s")
    counts: list[int] = []
    fetched.on_rows = counts.append
    for ids in ([3, 1], [2], []):
        fetched.add(rows(*ids), None)
    fetched.finish()
    pages = [read_parquet(page).to_pydict() for page in fetched.pages]
    assert pages == [{"id": [3, 1], ORDER_COLUMN: [0, 1]}, {"id": [2], ORDER_COLUMN: [2]}]
    assert (fetched.rows, fetched.done, counts) == (3, True, [2, 1, 0])


def test_a_page_that_no_state_names_is_fetched_again(tmp_path: Path) -> None:
    stopped = spool(tmp_path / "s")
    stopped.add(rows(1, 2), {"after": 2})
    stopped.add(rows(3, 4), None)
    assert len(stopped.pages) == 2
    resumed = spool(tmp_path / "s")
    assert (resumed.resumed, resumed.state, len(resumed.pages)) == (2, {"after": 2}, 1)
    anew = spool(tmp_path / "s", "another declaration")
    assert (anew.resumed, anew.state, anew.pages, (tmp_path / "s").exists()) == (0, {}, [], False)


def test_a_column_gets_its_kind_from_the_first_page_with_a_value(tmp_path: Path) -> None:
    fetched = spool(tmp_path / "s")
    fetched.expect(["id", "text", "never"])
    fetched.add(rows(1, 2, text=None), {})
    assert (fetched.columns["text"], fetched.example("text")) == ("empty", None)
    fetched.add([*rows(3, text=None), *rows(4, text="roof")], {})
    assert fetched.columns == {"id": "integer", "text": "text", "never": "empty"}
    assert (fetched.example("text"), fetched.example("never")) == ("roof", None)


def test_the_example_of_a_column_may_be_in_a_later_batch_of_its_page(tmp_path: Path) -> None:
    fetched = spool(tmp_path / "s")
    fetched.add([*rows(*range(BATCH_ROWS), text=None), *rows(BATCH_ROWS, text="roof")], {})
    assert fetched.example("text") == "roof"


def test_whole_numbers_of_one_page_and_fractions_of_the_next_make_numbers_except_in_the_cursor(tmp_path: Path) -> None:
    fetched = spool(tmp_path / "s")
    fetched.add(rows(1, 2, price=3, at=3), {})
    fetched.add(rows(3, 4, price=0.5), {})
    assert fetched.columns["price"] == "number"
    with pytest.raises(InputError, match="kind integer and of kind number") as caught:
        fetched.add(rows(5, 6, at=0.5), {})
    assert caught.value.place == "mine.sql: column 'at'"
