import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.sources import batches, text_records
from tunegate.data.sources.locations import Located
from tunegate.data.sources.records import read_batches
from tunegate.data.sources.text_records import read_text_records
from tunegate.errors import InputError
from tunegate.files import write_text

Put = Callable[[str], Located]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """`put("text")`: a text file with that in it."""

    def write(text: str) -> Located:
        write_text(tmp_path / "a.txt", text)
        return Located(tmp_path / "a.txt", "raw/a.txt")

    return write


def texts(file: Located, row_per: text_records.RowPer) -> list[tuple[str, str]]:
    batches = list(read_text_records(file, row_per))
    return [(batch.place(n), text) for batch in batches for n, text in enumerate(batch.column("text"))]


def test_a_file_is_one_text_without_the_empty_lines_around_it(put: Put) -> None:
    assert texts(put("\n  One\r\n\r\ntwo  \n\n"), "file") == [("raw/a.txt:2", "  One\r\n\r\ntwo")]


def test_paragraphs_are_separated_by_lines_with_nothing_but_white_space(put: Put) -> None:
    paragraphs = texts(put("\n\nOne\nand on\n \t\n\nTwo\r\n\r\n  Three"), "paragraph")
    assert paragraphs == [("raw/a.txt:3", "One\nand on"), ("raw/a.txt:7", "Two"), ("raw/a.txt:9", "  Three")]


def test_the_file_is_a_column_and_others_there_are_none(put: Put) -> None:
    (batch,) = read_text_records(put("One\n\nTwo"), "paragraph")
    assert batch.column("file") == ["raw/a.txt"] * 2
    assert list(batch.head(1).values()) == [{"text": "One", "file": "raw/a.txt"}]
    with pytest.raises(KeyError):
        batch.column("label")


def test_many_paragraphs_come_in_batches(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 2)
    read = list(read_text_records(put("a\n\nb\n\nc\n"), "paragraph"))
    assert [(len(batch), list(batch.lines)) for batch in read] == [(2, [1, 3]), (1, [5])]


@pytest.mark.parametrize("row_per", ["file", "paragraph"])
def test_a_text_that_no_model_reads_at_once_is_refused_where_it_begins(
    put: Put, monkeypatch: pytest.MonkeyPatch, row_per: text_records.RowPer
) -> None:
    monkeypatch.setattr(text_records, "MAX_RECORD", 8)
    with pytest.raises(InputError) as caught:
        texts(put("a\n\nfour\nfive\n"), row_per)
    assert caught.value.place == ("raw/a.txt:1" if row_per == "file" else "raw/a.txt:3")
    assert ("row_per: paragraph" in caught.value.remedy) is (row_per == "file")


def test_a_compressed_text_is_read_and_one_of_white_space_has_no_rows(tmp_path: Path, put: Put) -> None:
    path = tmp_path / "b.txt.gz"
    path.write_bytes(gzip.compress(b"One\n\nTwo\n"))
    (batch,) = read_batches(Located(path, "raw/b.txt.gz"), row_per="paragraph")
    assert batch.column("text") == ["One", "Two"]
    with pytest.raises(InputError) as caught:
        list(read_batches(put(" \n\n")))
    assert caught.value.problem == "the file has no rows"
