import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.checks import page as page_module
from tunegate.data.checks.columns import chunks
from tunegate.data.checks.page import write_page
from tunegate.data.checks.suites import Suite
from tunegate.data.rows import Row
from tunegate.errors import InputError

LENGTHS = ("expect_column_value_lengths_to_be_between", {"column": "text", "max_value": 1}, "info")
Make = Callable[..., Row]
Store = Callable[[list[Row]], Path]


@pytest.mark.parametrize(
    ("count", "shown", "said"), [(10, 10, "all 10 rows"), (11, 6, "a sample of 6 of 11 rows"), (30, 10, "10 of 30")]
)
def test_the_page_says_how_many_of_the_rows_it_is_about(
    row: Make, stored: Store, suite_of: Callable[..., Suite], templates: Path, tmp_path: Path, count: int, shown: int,
    said: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(page_module, "chunks", functools.partial(chunks, rows=4))
    path, folder = stored([row(f"r{n}") for n in range(count)]), tmp_path / "page"
    folder.mkdir()
    page = write_page(suite_of(LENGTHS), path, "mine.json", templates, folder, sample=10)
    assert (page.shown, page.rows) == (shown, count)
    assert said in page.path.read_text()


def test_a_page_on_no_rows_is_an_error(
    stored: Store, suite_of: Callable[..., Suite], templates: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no rows to check"):
        write_page(suite_of(LENGTHS), stored([]), "mine.json", templates, tmp_path)
