from pathlib import Path

import pytest

from tunegate.data.sources.locations import Located
from tunegate.data.sources.records import read_records
from tunegate.errors import InputError


def located(path: Path, content: bytes) -> Located:
    path.write_bytes(content)
    return Located(path, f"data/raw/{path.name}")


def test_a_csv_record_stands_at_the_line_where_it_begins(tmp_path: Path) -> None:
    file = located(tmp_path / "a.csv", b'text,label\r\n"two\nlines",a\r\n\r\nnext,b\r\n')
    assert [(r.place, r.values["text"]) for r in read_records(file)] == [
        ("data/raw/a.csv:2", "two\nlines"),
        ("data/raw/a.csv:5", "next"),
    ]


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    file = located(tmp_path / "a.csv", b"\xef\xbb\xbftext,label\na,b\n")
    assert next(read_records(file)).values == {"text": "a", "label": "b"}


def test_a_csv_value_may_be_long(tmp_path: Path) -> None:
    file = located(tmp_path / "a.csv", b"text,label\n" + b"x" * 200_000 + b",b\n")
    assert len(next(read_records(file)).values["text"]) == 200_000


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        (b"text,label\na,b\nyes, please,c\n", ":3", "3 columns where the header has 2: 'yes' …"),
        (b"text,label\na,b\nc\n", ":3", "1 columns where the header has 2: 'c' …"),
        (b'text,label\na,b\n"half-writ', ":3", "not valid CSV: unexpected end of data"),
        (b"text;label\na;b\n", ":1", "columns are separated by ';': 'text;label'"),
        (b"text,label,text\na,b,c\n", ":1", "column 'text' appears twice"),
    ],
)
def test_a_row_that_does_not_fit_its_header_is_refused_with_its_line(
    tmp_path: Path, content: bytes, place: str, problem: str
) -> None:
    with pytest.raises(InputError) as error:
        list(read_records(located(tmp_path / "a.csv", content)))
    assert (error.value.place, error.value.problem) == (f"data/raw/a.csv{place}", problem)
    assert error.value.remedy
