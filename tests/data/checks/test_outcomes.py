from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunegate.data.checks import outcomes as outcomes_module
from tunegate.data.checks.outcomes import Outcome, Rows
from tunegate.data.checks.suites import Expectation
from tunegate.data.rows import Row

Make = Callable[..., Row]


@pytest.fixture
def rows(row: Make, stored: Callable[[list[Row]], Path]) -> Rows:
    return Rows(stored([row(f"r{n}") for n in range(30)]), ("s",), np.zeros(30, dtype=np.int32))


def outcome(*failing: int, observed: Any = None) -> Outcome:
    expectation = Expectation(type="e", kwargs={"column": "text"}, severity="info")
    return Outcome(expectation, False, observed, np.array(failing, dtype=np.int64))


def test_a_result_lists_no_more_than_the_first_failing_rows(rows: Rows) -> None:
    result = outcome(*range(30)).to_json(rows, rows.named(range(20)))
    assert (result["failed_rows"], result["failing"][-1], len(result["failing"])) == (30, "r19", 20)


def test_a_result_lists_no_more_than_the_first_of_many_values(rows: Rows) -> None:
    result = outcome(observed=list(range(101))).to_json(rows, {})
    assert result["observed"] == {"values": 101, "first": list(range(100))}


def test_rows_are_named_by_their_number_wherever_a_batch_begins(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes_module, "GROUP_ROWS", 7)
    found = {number: (named.id, named.place) for number, named in rows.named([29, 6, 7, 6]).items()}
    assert found == {number: (f"r{number}", f"f.csv:r{number}") for number in (6, 7, 29)}
    assert rows.named([]) == {}


def test_sources_are_counted_by_name_and_those_without_a_row_left_out(rows: Rows) -> None:
    mixed = Rows(rows.path, ("t", "s", "u"), np.array([0, 1, 1], dtype=np.int32))
    assert mixed.per_source() == {"s": 2, "t": 1}
    assert mixed.per_source(np.array([0, 2])) == {"s": 1, "t": 1}
