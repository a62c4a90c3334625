from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.reuse import key_of, remembered

MADE = pa.schema(
    [("id", pa.string()), ("letters", pa.list_(pa.string())), ("slices", pa.map_(pa.string(), pa.int32()))]
)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the rows that `spell` worked on, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return []


def batches(ids: list[str], size: int, text: str = "a text of") -> Iterator[pa.RecordBatch]:
    for start in range(0, len(ids), size):
        here = ids[start : start + size]
        yield pa.RecordBatch.from_pydict({"id": here, "text": [f"{text} {name}" for name in here]})


def spell(ids: list[str], asked: list[str], *, key: str = "k", size: int = 3, text: str = "a text of") -> pa.Table:
    def work(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.to_pylist()
        asked.extend(row["id"] for row in rows)
        made = [{"id": r["id"], "letters": list(r["text"]), "slices": [(r["id"], len(r["text"]))]} for r in rows]
        return pa.RecordBatch.from_pylist(made, schema=MADE)

    return pa.Table.from_batches(remembered("spell", key, work, batches(ids, size, text), MADE), schema=MADE)


def test_only_rows_that_were_not_there_before_are_worked_on(asked: list[str]) -> None:
    first = spell(list("abcdefg"), asked)
    assert asked == list("abcdefg")
    asked.clear()
    again = spell(list("xabcydefgz"), asked, size=4)
    assert asked == list("xyz")
    assert again["id"].to_pylist() == list("xabcydefgz")
    assert again.filter(pa.array([name in "abcdefg" for name in "xabcydefgz"])).to_pylist() == first.to_pylist()


def test_rows_in_another_order_are_found(asked: list[str]) -> None:
    first = spell(list("abcdefg"), asked).to_pylist()
    asked.clear()
    assert spell(list("gfedcba"), asked).to_pylist() == first[::-1]
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


def test_a_damaged_memory_is_as_good_as_none(asked: list[str]) -> None:
    first = spell(list("abc"), asked)
    Path(".tunegate/reuse/spell.parquet").write_bytes(b"half")
    asked.clear()
    assert spell(list("abc"), asked) == first
    assert asked == list("abc")


def test_work_that_stops_half_way_keeps_the_memory_of_before(asked: list[str]) -> None:
    spell(list("abc"), asked)
    rows = remembered("spell", "k", lambda batch: 1 / 0, batches(list("abcxyz"), 3), MADE)  # type: ignore[arg-type,return-value]
    next(rows)
    with pytest.raises(ZeroDivisionError):
        next(rows)
    asked.clear()
    spell(list("abc"), asked)
    assert not asked


def test_a_key_names_settings_and_libraries() -> None:
    assert key_of({"a": 1}, ["numpy"]) == key_of({"a": 1}, ["numpy"])
    assert len({key_of({"a": 1}), key_of({"a": 2}), key_of({"a": 1}, ["numpy"])}) == 3
