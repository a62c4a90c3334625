from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.sources import batches
from tunegate.data.sources.batches import Batch, batches_of
from tunegate.data.sources.csv_records import CsvBatch
from tunegate.data.sources.locations import Located
from tunegate.data.sources.streams import open_text


@pytest.fixture
def sizes(tmp_path: Path) -> Callable[[str], list[int]]:
    """The sizes of the batches of a text's lines; their records, together, are the lines."""

    def of(text: str) -> list[int]:
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        with open_text(Located(tmp_path / "a.csv", "a.csv")) as stream:
            cells = ([line.strip()] for line in stream.lines())
            read = list(batches_of(enumerate(cells, 1), stream, _batch))
        assert [value for batch in read for value in batch.column("n")] == text.split()
        assert [place for batch in read for place in batch.lines] == list(range(1, len(text.split()) + 1))
        return [len(batch) for batch in read]

    return of


def _batch(lines: list[int], rows: list[list[str]]) -> Batch:
    return CsvBatch("a.csv", lines, ("n",), rows)


def test_a_batch_ends_after_its_most_rows(sizes: Callable[[str], list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 3)
    assert (sizes("1\n2\n3\n4\n"), sizes("1\n2\n3\n"), sizes("")) == ([3, 1], [3], [])


def test_a_batch_of_large_rows_ends_after_its_most_bytes(
    sizes: Callable[[str], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 2**20)
    many = sizes("\n".join(["x" * 2**18] * 16))
    assert len(many) > 1
    assert max(many) <= 6


def test_a_column_that_a_record_lacks_is_named_with_those_it_has() -> None:
    batch = _batch([2], [["7"]])
    assert (batch.lacking("n"), batch.lacking("m"), batch.cells("m"), batch.place(0)) == (
        None, (0, ["n"]), [None], "a.csv:2"
    )  # fmt: skip
