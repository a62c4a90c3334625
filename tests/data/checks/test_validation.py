from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunegate.data.checks import validation
from tunegate.data.checks.outcomes import Outcome, Rows
from tunegate.data.checks.suites import Expectation
from tunegate.data.checks.validation import Validation, decide, part_rows
from tunegate.data.rows import PLACED_ROW, Row
from tunegate.errors import RefusedError
from tunegate.files import sha256_of
from tunegate.tables import read_parquet

Make = Callable[..., Row]


def outcome(
    kind: str, severity: Any, *failing: int, success: bool = False, observed: Any = None, share: float | None = None
) -> Outcome:
    expectation = Expectation(type=kind, kwargs={"column": "text"}, severity=severity, max_quarantined_share=share)
    return Outcome(expectation, success, observed, np.array(failing, dtype=np.int64))


def run(rows: Rows, *outcomes: Outcome, share: float = 1.0) -> Validation:
    return decide("mine", rows, list(outcomes), max_quarantined_share=share)


@pytest.fixture
def rows(row: Make, stored: Callable[[list[Row]], Path]) -> Rows:
    """Rows a, b, c of the source s, and d of the source t."""
    path = stored([row(name, source="t" if name == "d" else "s") for name in "abcd"])
    return Rows(path, ("s", "t"), np.array([0, 0, 0, 1], dtype=np.int32))


def test_a_critical_failure_stops_and_names_expectation_number_and_keys(rows: Rows) -> None:
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("w", "warning", 0), outcome("c", "critical", 1, 3))
    assert caught.value.place == "suite mine"
    assert caught.value.problem == "c(text): 2 of 4 rows fail: b (f.csv:b), d (f.csv:d)"
    assert caught.value.remedy.startswith("mend the rows")


def test_a_critical_failure_of_the_whole_table_says_what_was_found(rows: Rows) -> None:
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("c", "critical", observed=4))
    assert caught.value.problem == 'c(text): found 4, expected {"column": "text"}'


def test_a_warning_moves_rows_to_quarantine_and_the_ledger_has_the_first_reason(rows: Rows) -> None:
    done = run(rows, outcome("v", "warning", 1), outcome("w", "warning", 1, 3))
    assert done.quarantined.tolist() == [1, 3]
    assert [moving.expectation.type for moving in done.moving] == ["v", "w"]
    assert done.ledger["rows"] == {"in": 4, "out": 2}
    assert done.ledger["reasons"] == {"quarantine: v(text)": 1, "quarantine: w(text)": 1}
    assert done.ledger["per_source"] == {
        "s": {"in": 3, "out": 2, "reasons": {"quarantine: v(text)": 1}},
        "t": {"in": 1, "out": 0, "reasons": {"quarantine: w(text)": 1}},
    }


def test_the_result_says_what_failed_source_by_source(rows: Rows) -> None:
    done = run(rows, outcome("v", "warning", 1, 2), outcome("w", "info", 1, 3))
    assert done.result["per_source"] == {"s": {"rows": 3, "quarantined": 2}, "t": {"rows": 1, "quarantined": 0}}
    found = [(one["failed_rows"], one["per_source"], one["failing"]) for one in done.result["expectations"]]
    assert found == [(2, {"s": 2}, ["b", "c"]), (2, {"s": 1, "t": 1}, ["b", "d"])]


def test_a_warning_that_holds_mostly_moves_nothing(rows: Rows) -> None:
    assert len(run(rows, outcome("w", "warning", 0, success=True)).quarantined) == 0


def test_info_only_reports(rows: Rows) -> None:
    done = run(rows, outcome("z", "info", 0), outcome("a", "info", success=True))
    assert len(done.quarantined) == 0
    assert [found["type"] for found in done.result["expectations"]] == ["a", "z"]
    assert (done.result["success"], done.result["expectations"][1]["failing"]) == (False, ["a"])


def test_too_many_rows_in_quarantine_stop_the_stage(rows: Rows) -> None:
    assert len(run(rows, outcome("w", "warning", 0), share=0.25).quarantined) == 1
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("w", "warning", 0, 1), share=0.25)
    assert caught.value.problem.startswith("2 of 4 rows (50.0%) would go to quarantine: a (f.csv:a): w(text)")
    assert "validate.max_quarantined_share (now 0.25)" in caught.value.remedy


def test_too_many_rows_for_one_expectation_stop_the_stage_whatever_all_may_move(rows: Rows) -> None:
    assert len(run(rows, outcome("w", "warning", 0, share=0.25)).quarantined) == 1
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("v", "warning", 0, 1), outcome("w", "warning", 0, 1, share=0.25))
    found = "w(text): 2 of 4 rows (50.0%) would go to quarantine: a (f.csv:a), b (f.csv:b)"
    assert caught.value.problem == found
    assert "the expectation's max_quarantined_share (now 0.25)" in caught.value.remedy


def test_nothing_left_is_refused_even_when_all_may_go(rows: Rows) -> None:
    with pytest.raises(RefusedError, match="every row"):
        run(rows, outcome("w", "warning", 0, 1, 2, 3))


@pytest.mark.parametrize("shape", [list, lambda values: {"partial_unexpected_list": values}])
def test_an_error_shows_few_values_that_were_observed_and_none_whole(
    rows: Rows, shape: Callable[[list[str]], Any]
) -> None:
    texts = [f"Please write to resident{n}@example.org about flat {n}, {'x' * 40}" for n in range(20)]
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("c", "critical", observed=shape(texts)))
    assert "about flat 0" not in caught.value.problem
    assert "resident3" not in caught.value.problem
    assert "… 20 in all" in caught.value.problem


def test_an_id_with_control_characters_is_named_escaped(row: Make, stored: Callable[[list[Row]], Path]) -> None:
    rows = Rows(stored([row("a\x1b[2Jb\n")]), ("s",), np.zeros(1, dtype=np.int32))
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("c", "critical", 0))
    assert "a\\u001b[2Jb\\n" in caught.value.problem
    assert "\x1b" not in caught.value.problem


def quarantining(*outcomes: Outcome) -> Validation:
    away = sorted({int(number) for outcome in outcomes for number in outcome.failing})
    return Validation(np.array(away, dtype=np.int64), outcomes, {}, {})


@pytest.fixture
def path(row: Callable[..., Row], stored: Callable[[list[Row]], Path]) -> Path:
    return stored([row(name) for name in "abcdefg"])


@pytest.mark.parametrize("group", [65_536, 2, 1])
def test_rows_part_in_their_order_with_every_reason_wherever_a_batch_begins(
    path: Path, tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "GROUP_ROWS", group)
    part_rows(
        path,
        quarantining(outcome("v", "warning", 1, 6), outcome("w", "warning", 1, 3)),
        tmp_path / "passed",
        tmp_path / "away",
    )
    passed, away = read_parquet(tmp_path / "passed"), read_parquet(tmp_path / "away")
    assert passed.column("id").to_pylist() == ["a", "c", "e", "f"]
    assert passed.schema.equals(PLACED_ROW)
    assert [(row["id"], row["place"], row["reasons"]) for row in away.to_pylist()] == [
        ("b", "f.csv:b", ["v(text)", "w(text)"]),
        ("d", "f.csv:d", ["w(text)"]),
        ("g", "f.csv:g", ["v(text)"]),
    ]


def test_without_a_quarantine_the_rows_are_the_same_bytes_and_the_quarantine_is_an_empty_table(
    path: Path, tmp_path: Path
) -> None:
    part_rows(path, quarantining(), tmp_path / "passed", tmp_path / "away")
    assert sha256_of(tmp_path / "passed") == sha256_of(path)
    assert read_parquet(tmp_path / "away").num_rows == 0
