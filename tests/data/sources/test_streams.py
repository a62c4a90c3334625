import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from tunegate.data.sources.locations import Located
from tunegate.data.sources.records import read_batches, read_records
from tunegate.data.sources.streams import MAX_RECORD
from tunegate.errors import InputError

ROWS = b"text,label\na?,x\nb?,y\n"
PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pyarrow.compress(content, codec="zstd", asbytes=True),
}


@pytest.fixture
def located(tmp_path: Path) -> Callable[[str, bytes], Located]:
    def write(name: str, content: bytes) -> Located:
        (tmp_path / name).write_bytes(content)
        return Located(tmp_path / name, f"data/raw/{name}")

    return write


Make = Callable[[str, bytes], Located]


def fault(file: Located) -> InputError:
    with pytest.raises(InputError) as caught:
        list(read_records(file))
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("suffix", sorted(PACKED))
def test_a_compressed_file_is_read_like_a_plain_one(located: Make, suffix: str) -> None:
    file = located(f"a.csv{suffix}", PACKED[suffix](ROWS))
    assert [(r.place, r.values["text"]) for r in read_records(file)] == [
        (f"data/raw/a.csv{suffix}:2", "a?"),
        (f"data/raw/a.csv{suffix}:3", "b?"),
    ]


@pytest.mark.parametrize("suffix", sorted(PACKED))
def test_a_compressed_file_that_is_cut_is_refused(located: Make, suffix: str) -> None:
    error = fault(located(f"a.csv{suffix}", PACKED[suffix](ROWS * 100)[:-6]))
    assert error.place == f"data/raw/a.csv{suffix}"
    assert error.problem.startswith(f"not a complete .csv{suffix} file")


@pytest.mark.parametrize("suffix", sorted(PACKED))
def test_what_only_claims_to_be_compressed_is_refused(located: Make, suffix: str) -> None:
    assert fault(located(f"a.csv{suffix}", ROWS)).problem.startswith("not a complete")


def test_a_bomb_is_refused_before_it_has_expanded(located: Make) -> None:
    line = b"a" * 2**20 + b",x\n"
    error = fault(located("a.csv.gz", gzip.compress(b"text,label\n" + line * 40)))
    assert error.place == "data/raw/a.csv.gz"
    assert error.problem.startswith("expands to more than 200 times its ")
    assert "store it uncompressed" in error.remedy


def test_a_small_file_of_equal_rows_is_no_bomb(located: Make) -> None:
    content = b"text,label\n" + b"a?,x\n" * 100_000
    packed = gzip.compress(content)
    assert len(content) > 200 * len(packed)
    assert sum(map(len, read_batches(located("a.csv.gz", packed)))) == 100_000


def test_rows_are_handed_on_before_the_file_is_read_to_its_end(located: Make) -> None:
    file = located("a.csv", b"text,label\n" + b"a?,x\n" * 200_000 + b"\xff")
    assert next(read_records(file)).values == {"text": "a?", "label": "x"}
    error = fault(file)
    assert error.place == "data/raw/a.csv:200002"
    assert error.problem == "not UTF-8: byte 0xff at offset 1000011"


def test_long_rows_are_handed_on_a_few_at_a_time(located: Make) -> None:
    file = located("a.csv", b"text,label\n" + (b"a" * 2**21 + b",x\n") * 20)
    assert [len(batch) for batch in read_batches(file)] == [8, 8, 4]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_of_ten_megabytes_is_refused_with_its_beginning(located: Make, name: str) -> None:
    rows = {"a.csv": b"text,label\na,x\n", "a.jsonl": b'{"text": "a"}\n\n'}[name]
    error = fault(located(name, rows + b"b" * 10_000_000 + b"\n"))
    assert error.place == f"data/raw/{name}:3"
    assert error.problem == f"a line of more than {MAX_RECORD:,} characters, which starts with {'b' * 40!r}"


def test_a_quote_that_is_never_closed_does_not_swallow_the_file(located: Make) -> None:
    error = fault(located("a.csv", b'text,label\na,x\n"b,x\n' + b"c,x\n" * (MAX_RECORD // 3)))
    assert error.place == "data/raw/a.csv:3"
    assert "field larger than field limit" in error.problem
    assert "close the quote" in error.remedy


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b"text,label\na\0b,x\n"), ("a.jsonl", b'{"n": 1}\n{"text": "a\0b"}\n')]
)
def test_a_nul_byte_is_refused_with_its_line(located: Make, name: str, content: bytes) -> None:
    error = fault(located(name, content))
    assert error.place == f"data/raw/{name}:2"
    assert error.problem.startswith("a NUL byte: ")


def test_a_file_in_utf_16_is_refused_at_its_first_byte(located: Make) -> None:
    error = fault(located("a.csv", "text,label\na,b\n".encode("utf-16")))
    assert (error.place, error.problem) == ("data/raw/a.csv:1", "not UTF-8: byte 0xff at offset 0")
