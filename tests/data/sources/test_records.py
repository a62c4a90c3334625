from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.sources.locations import Located
from tunegate.data.sources.records import read_records
from tunegate.errors import InputError
from tunegate.tables import write_parquet


def located(path: Path, content: bytes) -> Located:
    path.write_bytes(content)
    return Located(path, f"data/raw/{path.name}")


def fault(file: Located) -> InputError:
    with pytest.raises(InputError) as caught:
        list(read_records(file))
    assert caught.value.remedy
    return caught.value


def test_a_line_separator_inside_a_text_does_not_end_the_row(tmp_path: Path) -> None:
    csv = located(tmp_path / "a.csv", "text,label\na\u2028b\x85c,x\n".encode())
    assert [r.values["text"] for r in read_records(csv)] == ["a\u2028b\x85c"]
    jsonl = located(tmp_path / "a.jsonl", '{"text": "a\u2028b", "label": "x"}\n'.encode())
    assert [r.values["text"] for r in read_records(jsonl)] == ["a\u2028b"]


def test_parquet_records_have_row_numbers(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", pa.table({"text": ["a", "b"], "n": [1, None]}))
    records = list(read_records(Located(tmp_path / "a.parquet", "a.parquet")))
    assert records[1] == ("a.parquet:2", {"text": "b", "n": None})


@pytest.mark.parametrize(
    ("name", "content", "place", "problem"),
    [
        ("a.csv", b"", "", "the file is empty"),
        ("a.jsonl", b"", "", "the file is empty"),
        ("a.parquet", b"", "", "the file is empty"),
        ("a.csv", b"text,label\n", "", "the file has no rows"),
        ("a.jsonl", b"\n\n", "", "the file has no rows"),
        ("a.csv", b"text,label\ncaf\xe9,b\n", ":2", "not UTF-8: byte 0xe9 at offset 14"),
        ("a.jsonl", b'{"text": "caf\xe9"}\n', ":1", "not UTF-8: byte 0xe9 at offset 13"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b', ":2:10", "not valid JSON: Unterminated string starting at"),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', ":2", "a line must be a JSON object (got list)"),
    ],
)
def test_a_broken_file_is_named_with_place_and_value(
    tmp_path: Path, name: str, content: bytes, place: str, problem: str
) -> None:
    error = fault(located(tmp_path / name, content))
    assert (error.place, error.problem) == (f"data/raw/{name}{place}", problem)


@pytest.mark.parametrize("damage", ["cut", "page"])
def test_a_damaged_parquet_file_is_named(tmp_path: Path, damage: str) -> None:
    write_parquet(tmp_path / "a.parquet", pa.table({"text": ["a" * 10] * 1000}))
    content = (tmp_path / "a.parquet").read_bytes()
    broken = content[:-10] if damage == "cut" else content[:4] + b"\xff" * 40 + content[44:]
    error = fault(located(tmp_path / "a.parquet", broken))
    assert error.place == "data/raw/a.parquet"
    assert error.problem.startswith("not a complete Parquet file")
    assert "restore" in error.remedy
