from typing import Any

import pyarrow as pa
import pytest

from tunegate.data.ledger.row_outcomes import FATES, Tally, fates_of


def batch(**columns: Any) -> pa.RecordBatch:
    number = len(next(iter(columns.values())))
    tokens = pa.array(range(1, number + 1), pa.int32())
    named = {"id": [f"row-{n}" for n in range(number)], "source": ["a", "b"] * (number // 2)} | columns
    return pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in named.items()} | {"tokens": tokens})


def test_a_row_in_quarantine_left_for_the_first_expectation_that_it_failed() -> None:
    made = fates_of(batch(reasons=[["one", "two"], ["two"]]), stage="validate")
    assert made.schema == FATES
    assert made.to_pylist()[0] == {
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
    made = fates_of(batch(**reasons), stage="prepare", split="train").to_pylist()
    assert [(row["split"], row["reason"], row["other"]) for row in made] == [
        (None, "duplicate", "row-9"),
        ("train", None, None),
    ]


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_the_tally_does_not_depend_on_the_batches(rows: int) -> None:
    every = fates_of(batch(reason=["duplicate", None, None, "too_long"]), stage="tokenize", split="valid")
    tally = Tally()
    for start in range(0, 4, rows):
        tally.add(every.slice(start, rows))
    found = [(fate.source, fate.split, fate.reason, fate.rows, fate.tokens) for fate in tally.fates()]
    assert found == [
        ("a", "valid", None, 1, 3),
        ("a", None, "duplicate", 1, 1),
        ("b", "valid", None, 1, 2),
        ("b", None, "too_long", 1, 4),
    ]
    assert tally.rows_in("valid") == 2


def test_the_ledger_of_the_last_stage_closes_and_tells_what_was_cut() -> None:
    tally = Tally()
    tally.add(fates_of(batch(reasons=[["one"], ["one"]]), stage="validate"))
    cut = pa.array([0, 7], pa.int32())
    tally.add(fates_of(batch(reason=["over_length", None], cut=cut), stage="tokenize", split="train"))
    ledger = tally.ledger({"note": 1})
    assert ledger["per_source"] == {
        "a": {"in": 1, "out": 0, "reasons": {"over_length": 1}},
        "b": {"in": 1, "out": 1, "reasons": {}},
    }
    assert [fate for fate in ledger["fates"] if fate["reason"] == "cut"] == [
        {"source": "b", "stage": "tokenize", "split": "train", "reason": "cut", "rows": 0, "tokens": 7}
    ]
    assert [fate["rows"] for fate in ledger["fates"] if fate["stage"] == "validate"] == [1, 1]
