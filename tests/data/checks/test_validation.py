from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.checks.running import Outcome
from tunegate.data.checks.validation import Validated, judge, quarantine_table
from tunegate.data.rows import Row
from tunegate.errors import RefusedError

Make = Callable[..., Row]


def outcome(kind: str, severity: Any, *failing: str, success: bool = False, observed: Any = None) -> Outcome:
    return Outcome(kind, {"column": "text"}, severity, success, observed, failing)


def run(rows: list[Row], *outcomes: Outcome, share: float = 1.0) -> Validated:
    return judge("mine", rows, list(outcomes), max_quarantined_share=share)


@pytest.fixture
def rows(row: Make) -> list[Row]:
    return [row(name) for name in "abcd"]


def test_a_critical_failure_stops_and_names_expectation_number_and_keys(rows: list[Row]) -> None:
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("w", "warning", "a"), outcome("c", "critical", "b", "d"))
    assert caught.value.place == "suite mine"
    assert caught.value.problem == "c(text): 2 of 4 rows fail: b (f.csv:b), d (f.csv:d)"
    assert caught.value.remedy.startswith("mend the rows")


def test_a_critical_failure_of_the_whole_table_says_what_was_found(rows: list[Row]) -> None:
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("c", "critical", observed=4))
    assert caught.value.problem == 'c(text): found 4, expected {"column": "text"}'


def test_a_warning_moves_rows_to_quarantine_with_every_reason(rows: list[Row]) -> None:
    done = run(rows, outcome("v", "warning", "b"), outcome("w", "warning", "b", "d"))
    assert [one.id for one in done.passed] == ["a", "c"]
    assert [(one.id, reasons) for one, reasons in done.quarantined] == [
        ("b", ["v(text)", "w(text)"]),
        ("d", ["w(text)"]),
    ]
    assert done.ledger["rows"] == {"in": 4, "out": 2}
    assert done.ledger["reasons"] == {"quarantine: v(text)": 1, "quarantine: w(text)": 1}
    table = quarantine_table(done.quarantined)
    assert table.column("place").to_pylist() == ["f.csv:b", "f.csv:d"]
    assert table.column("reasons").to_pylist() == [["v(text)", "w(text)"], ["w(text)"]]


def test_a_warning_that_holds_mostly_moves_nothing(rows: list[Row]) -> None:
    assert run(rows, outcome("w", "warning", "a", success=True)).quarantined == []


def test_info_only_reports(rows: list[Row]) -> None:
    done = run(rows, outcome("z", "info", "a"), outcome("a", "info", success=True))
    assert len(done.passed) == 4
    assert [found["type"] for found in done.result["expectations"]] == ["a", "z"]
    assert (done.result["success"], done.result["expectations"][1]["failing"]) == (False, ["a"])


def test_too_many_rows_in_quarantine_stop_the_stage(rows: list[Row]) -> None:
    assert run(rows, outcome("w", "warning", "a"), share=0.25).quarantined
    with pytest.raises(RefusedError) as caught:
        run(rows, outcome("w", "warning", "a", "b"), share=0.25)
    assert caught.value.problem.startswith("2 of 4 rows (50.0%) would go to quarantine: a (f.csv:a): w(text)")
    assert "validate.max_quarantined_share (now 0.25)" in caught.value.remedy


def test_nothing_left_is_refused_even_when_all_may_go(rows: list[Row]) -> None:
    with pytest.raises(RefusedError, match="every row"):
        run(rows, outcome("w", "warning", *"abcd"))
