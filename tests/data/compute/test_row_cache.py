from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.compute.row_cache import key_of, remembered, reused
from tunegate.params import Compute

SLICES = pa.map_(pa.string(), pa.int32())
MADE = pa.schema([("place", pa.string()), ("id", pa.string()), ("letters", pa.list_(pa.string())), ("slices", SLICES)])


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the rows that `spell` worked on, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return []


def batches(ids: list[str], size: int, text: str = "a text of") -> Iterator[pa.RecordBatch]:
    for start in range(0, len(ids), size):
        here = ids[start : start + size]
        texts = [f"{text} {name}" for name in here]
        places = [f"line {number}" for number in range(start, start + len(here))]
        yield pa.RecordBatch.from_pydict({"id": here, "text": texts, "place": places})


def spell(ids: list[str], asked: list[str], *, key: str = "k", size: int = 3, text: str = "a text of") -> pa.Table:
    def work(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.to_pylist()
        asked.extend(row["id"] for row in rows)
        made = [r | {"letters": list(r["text"]), "slices": [(r["id"], len(r["text"]))]} for r in rows]
        return pa.RecordBatch.from_pylist(made, schema=MADE)

    return pa.Table.from_batches(remembered("spell", key, work, batches(ids, size, text)), schema=MADE)


def test_only_rows_that_were_not_there_before_are_worked_on(asked: list[str]) -> None:
    first = spell(list("abcdefg"), asked)
    assert asked == list("abcdefg")
    asked.clear()
    again = spell(list("xabcydefgz"), asked, size=4)
    assert asked == list("xyz")
    assert again["id"].to_pylist() == list("xabcydefgz")
    assert again["place"].to_pylist() == [f"line {number}" for number in range(10)]
    old = again.filter(pa.array([name in "abcdefg" for name in "xabcydefgz"]))
    assert old.drop_columns(["place"]) == first.drop_columns(["place"])


def test_rows_in_another_order_are_found(asked: list[str]) -> None:
    first = spell(list("abcdefg"), asked)["letters"].to_pylist()
    asked.clear()
    assert spell(list("gfedcba"), asked)["letters"].to_pylist() == first[::-1]
    assert not asked


def test_the_memory_holds_what_the_last_run_had_and_no_more(asked: list[str]) -> None:
    spell(list("abc"), asked)
    spell(list("bcd"), asked)
    asked.clear()
    spell(list("abcd"), asked)
    assert asked == ["a"]


@pytest.mark.parametrize("changed", [{"key": "other"}, {"text": "another text of"}])
def test_other_work_or_another_row_is_done_again(asked: list[str], changed: dict[str, str]) -> None:
    spell(list("abc"), asked)
    asked.clear()
    spell(list("abc"), asked, **changed)  # type: ignore[arg-type]
    assert asked == list("abc")


@pytest.mark.parametrize("where", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_a_damaged_memory_is_as_good_as_none(asked: list[str], where: float) -> None:
    names = [f"{number:03}" for number in range(300)]
    first = spell(names, asked)
    path = Path(".tunegate/reuse/spell.parquet")
    content = bytearray(path.read_bytes())
    content[int(where * (len(content) - 1))] ^= 0xFF
    path.write_bytes(content)
    assert spell([*names, "new"], asked).slice(0, 300) == first
    asked.clear()
    spell([*names, "new"], asked)
    assert not asked


def test_work_that_stops_half_way_keeps_the_memory_of_before(asked: list[str]) -> None:
    spell(list("abc"), asked)

    def stops(batch: pa.RecordBatch) -> pa.RecordBatch:
        assert not batch.num_rows
        return pa.RecordBatch.from_pylist([], schema=MADE)

    rows = remembered("spell", "k", stops, batches(list("abcxyz"), 3))
    next(rows)
    with pytest.raises(AssertionError):
        next(rows)
    asked.clear()
    spell(list("abc"), asked)
    assert not asked


def test_a_key_names_the_settings() -> None:
    assert key_of({"a": 1}) == key_of({"a": 1}) != key_of({"a": 2})


def test_without_a_memory_nothing_is_kept(asked: list[str]) -> None:
    def work(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch

    for compute in (Compute(reuse=False), Compute()):
        assert not Path(".tunegate").exists()
        assert pa.Table.from_batches(reused("spell", "k", work, batches(list("abc"), 2), compute)).num_rows == 3
    assert Path(".tunegate/reuse/spell.parquet").is_file()
