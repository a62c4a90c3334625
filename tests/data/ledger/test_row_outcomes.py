from typing import Any

import pyarrow as pa
import pytest

from tunegate.data.ledger.row_outcomes import ROW_OUTCOMES, OutcomeCounts, outcomes_of


def batch(**columns: Any) -> pa.RecordBatch:
    number = len(next(iter(columns.values())))
    tokens = pa.array(range(1, number + 1), pa.int32())
    named = {"id": [f"row-{n}" for n in range(number)], "source": ["a", "b"] * (number // 2)} | columns
    return pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in named.items()} | {"tokens": tokens})


def test_a_row_in_quarantine_left_for_the_first_expectation_that_it_failed() -> None:
    outcomes = outcomes_of(batch(reasons=[["one", "two"], ["two"]]), stage="validate")
    assert outcomes.schema == ROW_OUTCOMES
    assert outcomes.to_pylist()[0] == {
        "id": "row-0",
        "source": "a",
        "stage": "validate",
        "split": None,
        "reason": "quarantine: one",
        "other": None,
        "tokens": 1,
        "trained": 0,
        "cut": 0,
    }


def test_a_row_that_left_is_in_no_split_and_names_the_row_that_it_met() -> None:
    reasons = {"reason": pa.array(["duplicate", None]), "other": pa.array(["row-9", None])}
    outcomes = outcomes_of(batch(**reasons), stage="prepare", split="train").to_pylist()
    assert [(row["split"], row["reason"], row["other"]) for row in outcomes] == [
        (None, "duplicate", "row-9"),
        ("train", None, None),
    ]


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_the_counts_do_not_depend_on_the_batches(rows: int) -> None:
    every = outcomes_of(batch(reason=["duplicate", None, None, "too_long"]), stage="tokenize", split="valid")
    outcome_counts = OutcomeCounts()
    for start in range(0, 4, rows):
        outcome_counts.add(every.slice(start, rows))
    outcomes = outcome_counts.outcomes()
    assert [(one.source, one.split, one.reason, one.rows, one.tokens) for one in outcomes] == [
        ("a", "valid", None, 1, 3),
        ("a", None, "duplicate", 1, 1),
        ("b", "valid", None, 1, 2),
        ("b", None, "too_long", 1, 4),
    ]
    assert outcome_counts.rows_in("valid") == 2


def test_the_ledger_of_the_last_stage_closes_and_tells_what_was_cut() -> None:
    outcome_counts = OutcomeCounts()
    outcome_counts.add(outcomes_of(batch(reasons=[["one"], ["one"]]), stage="validate"))
    cut = pa.array([0, 7], pa.int32())
    outcome_counts.add(outcomes_of(batch(reason=["over_length", None], cut=cut), stage="tokenize", split="train"))
    ledger = outcome_counts.ledger({"note": 1})
    assert ledger["per_source"] == {
        "a": {"in": 1, "out": 0, "reasons": {"over_length": 1}},
        "b": {"in": 1, "out": 1, "reasons": {}},
    }
    assert [outcome for outcome in ledger["outcomes"] if outcome["reason"] == "cut"] == [
        {"source": "b", "stage": "tokenize", "split": "train", "reason": "cut", "rows": 0, "tokens": 7}
    ]
    assert [outcome["rows"] for outcome in ledger["outcomes"] if outcome["stage"] == "validate"] == [1, 1]
