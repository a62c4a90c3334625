from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.ledger.stage_ledger import combine, make_ledger
from tunegate.errors import InputError
from tunegate.files import read_json, write_json

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_ledger(stage: str, came: int, went: int, **parts: Any) -> Path:
        dropped = {"a": {"why": came - went}}
        ledger = make_ledger(stage, sources_in=["a"] * came, sources_out=["a"] * went, dropped=dropped, **parts)
        write_json(tmp_path / stage / "ledger.json", ledger)
        return tmp_path / stage / "ledger.json"

    return write_ledger


def test_a_ledger_counts_each_source() -> None:
    ledger = make_ledger("s", sources_in="aaab", sources_out="aab", dropped={"a": {"why": 1, "never": 0}})
    assert ledger["rows"] == {"in": 4, "out": 3}
    assert ledger["reasons"] == {"why": 1}
    assert ledger["per_source"] == {
        "a": {"in": 3, "out": 2, "reasons": {"why": 1}},
        "b": {"in": 1, "out": 1, "reasons": {}},
    }


@pytest.mark.parametrize("reasons", [{}, {"why": 2}])
def test_rows_that_go_without_a_reason_are_refused(reasons: dict[str, int]) -> None:
    with pytest.raises(InputError) as caught:
        make_ledger("s", sources_in="bb", sources_out="b", dropped={"b": reasons})
    assert caught.value.place == "ledger of s: per_source.b"
    assert f"2 rows in, 1 out, {sum(reasons.values())} with a reason" in caught.value.problem


def test_combining_follows_the_rows_and_leaves_single_keys_out(write: Write) -> None:
    first = write("ingest", 10, 9)
    second = write("prepare", 9, 7, notes={"labels": 3}, details={"duplicates": {"x": "y"}})
    combined = combine([first, second])
    assert combined["rows"] == {"in": 10, "out": 7}
    assert [stage["stage"] for stage in combined["stages"]] == ["ingest", "prepare"]
    assert combined["stages"][1] == {
        "stage": "prepare",
        "rows": {"in": 9, "out": 7},
        "reasons": {"why": 2},
        "per_source": {"a": {"in": 9, "out": 7, "reasons": {"why": 2}}},
        "notes": {"labels": 3},
    }


def test_a_folder_stands_for_its_ledger(write: Write) -> None:
    path = write("ingest", 2, 1)
    assert combine([path.parent]) == combine([path])


def test_ledgers_of_different_runs_are_refused(write: Write) -> None:
    first, second = write("ingest", 10, 9), write("prepare", 8, 7)
    with pytest.raises(InputError) as caught:
        combine([first, second])
    assert (caught.value.place, caught.value.problem) == (str(second), "prepare got 8 rows, but ingest gave 9")
    assert "dvc repro" in caught.value.remedy


def test_a_ledger_that_was_edited_is_refused(write: Write) -> None:
    path = write("ingest", 2, 2)
    path.write_text(path.read_text().replace('"out": 2', '"out": 1'))
    with pytest.raises(InputError, match="balanced"):
        combine([path])


def test_sources_that_do_not_add_up_to_all_rows_are_refused(write: Write) -> None:
    path = write("ingest", 2, 2)
    ledger = read_json(path)
    ledger["per_source"]["a"] |= {"in": 1, "out": 1}
    write_json(path, ledger)
    with pytest.raises(InputError, match="the sum of per_source, which is 1 rows in and 1 out"):
        combine([path])


def test_no_ledgers_are_no_report() -> None:
    with pytest.raises(InputError, match="no ledgers"):
        combine([])


def closing(write: Write, outcomes: list[dict[str, Any]]) -> list[Path]:
    """The ledgers of a stage that reads 4 of 6 rows and of one that keeps 3 of them, with these outcomes."""
    paths = []
    for stage, came, went, reason in (("ingest", 6, 4, "over_limit"), ("tokenize", 4, 3, "over_length")):
        dropped = {"a": {reason: came - went}}
        ledger = make_ledger(stage, sources_in={"a": came}, sources_out={"a": went}, dropped=dropped)
        paths.append(write(stage, 0, 0))
        write_json(paths[-1], ledger | {"outcomes": outcomes if stage == "tokenize" else []})
    return paths


KEPT = {"source": "a", "stage": "tokenize", "split": "train", "rows": 3, "tokens": 30}
LEFT = {"source": "a", "stage": "tokenize", "reason": "over_length", "rows": 1, "tokens": 70}
CUT = {"source": "a", "stage": "tokenize", "split": "train", "reason": "cut", "rows": 0, "tokens": 5}


def test_tokens_close_beside_rows_and_rows_that_were_never_read_have_none(write: Write) -> None:
    combined = combine(closing(write, [KEPT, LEFT, CUT]))
    assert combined["tokens"] == {"in": 105, "out": 30}
    assert [stage["tokens"] for stage in combined["stages"]] == [{"in": 105, "out": 105}, {"in": 105, "out": 30}]
    unread = {"source": "a", "stage": "ingest", "split": None, "reason": "over_limit", "rows": 2, "tokens": None}
    assert combined["outcomes"][0] == unread
    assert sum(outcome["rows"] for outcome in combined["outcomes"]) == combined["rows"]["in"]


@pytest.mark.parametrize(
    "outcomes", [[KEPT, LEFT | {"rows": 2}], [KEPT, LEFT | {"reason": "else"}], [KEPT | {"rows": 2}, LEFT]]
)
def test_outcomes_that_are_not_those_of_the_ledgers_are_refused(write: Write, outcomes: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="but the outcomes in") as caught:
        combine(closing(write, outcomes))
    assert "dvc repro" in caught.value.remedy


def test_reasons_of_a_source_that_do_not_explain_its_rows_are_refused() -> None:
    with pytest.raises(InputError, match="2 rows in, 1 out, 2 with a reason") as caught:
        make_ledger("s", sources_in="aab", sources_out="ab", dropped={"a": {"why": 1, "else": 1}})
    assert caught.value.place == "ledger of s: per_source.a"


def test_reasons_that_are_not_those_of_the_sources_are_refused(write: Write) -> None:
    path = write("ingest", 0, 0)
    ledger = make_ledger("ingest", sources_in="aa", sources_out="a", dropped={"a": {"why": 1}})
    write_json(path, ledger | {"reasons": {"else": 1}})
    with pytest.raises(InputError, match=r"the sum of per_source, whose reasons are \{'why': 1\}"):
        combine([path])


def test_a_missing_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such ledger") as caught:
        combine([tmp_path])
    assert caught.value.place == str(tmp_path / "ledger.json")
