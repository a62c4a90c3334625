from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from miniature import predictions

from tunegate.errors import InputError, RefusedError
from tunegate.evaluation.answers import PREDICTION
from tunegate.gate.scores import Paired, paired_of

TABLE = predictions([True, False, True, True])


def edited(number: int, **changes: Any) -> pa.Table:
    rows = TABLE.to_pylist()
    rows[number].update(changes)
    return pa.Table.from_pylist(rows, schema=PREDICTION)


def pair(candidate: pa.Table, baseline: pa.Table | None = TABLE, cluster: Any = "group") -> Paired:
    return paired_of(candidate, baseline, cluster=cluster, ignore_case=False)


def test_rows_are_aligned_by_id_in_whatever_order_they_come() -> None:
    shuffled = TABLE.take([2, 0, 3, 1])
    found = pair(shuffled)
    assert found.ids == ["row-00000", "row-00001", "row-00002", "row-00003"]
    assert found.baseline is not None
    assert found.candidate.correct.tolist() == found.baseline.correct.tolist() == [True, False, True, True]
    assert found.slices == {"language": ["sv", "en", "sv", "en"]}


def test_rows_of_one_group_are_one_cluster_unless_the_policy_clusters_by_id() -> None:
    assert pair(TABLE).clusters.tolist() == [0, 0, 1, 1]
    assert pair(TABLE, cluster="id").clusters.tolist() == [0, 1, 2, 3]
    assert pair(TABLE).clustered("id").clusters.tolist() == [0, 1, 2, 3]
    assert pair(TABLE, cluster="id").clustered("group").clusters.tolist() == [0, 0, 1, 1]
    assert len(pair(TABLE, cluster="id").select(np.array([True, False, True, True])).clusters) == 3


def test_of_many_bad_rows_the_first_five_are_named() -> None:
    table = predictions([True] * 8)
    rows = [row | {"tuned_correct": None} for row in table.to_pylist()]
    with pytest.raises(InputError, match="row-00004 and 3 more"):
        pair(pa.Table.from_pylist(rows, schema=PREDICTION))


def test_answers_become_classes_and_what_is_no_class_is_none() -> None:
    found = pair(edited(0, tuned_answer="a roof, I think", tuned_correct=False))
    assert found.classes == ["heat", "noise", "roof"]
    assert found.references.tolist() == [2, 0, 1, 2]
    assert found.candidate.answered.tolist() == [-1, 1, 1, 2]


def test_a_row_without_label_is_free_text() -> None:
    table = edited(1, label=None)
    found = pair(table, table)
    assert found.labelled.tolist() == [True, False, True, True]
    assert len(found.candidate.answered) == len(found.references) == 3


def test_some_rows_of_a_pair_keep_their_answers() -> None:
    found = pair(edited(1, label=None), None).select(np.array([False, True, True, False]))
    assert found.ids == ["row-00001", "row-00002"]
    assert found.references.tolist() == found.candidate.answered.tolist() == [0]
    assert found.clusters.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("number", "changes", "said"),
    [
        (1, {"tuned_nll": float("nan")}, "tuned_nll is not a finite number: row-00001"),
        (1, {"tuned_nll": float("inf")}, "tuned_nll is not a finite number: row-00001"),
        (1, {"tuned_nll": None}, "tuned_nll is missing: row-00001"),
        (2, {"tuned_correct": None}, "tuned_correct is missing: row-00002"),
        (2, {"tuned_answer": None}, "tuned_answer is missing: row-00002"),
        (2, {"group": None}, "group is missing: row-00002"),
        (3, {"id": "row-00000"}, "duplicate id: row-00000"),
    ],
)
def test_predictions_with_a_hole_are_no_evidence(number: int, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        pair(edited(number, **changes))
    assert "candidate" in caught.value.place
    with pytest.raises(InputError, match=said) as caught:
        pair(TABLE, edited(number, **changes))
    assert "baseline" in caught.value.place


@pytest.mark.parametrize("changes", [{"tuned_answer": "heat"}, {"tuned_correct": False}])
def test_a_claim_that_the_answer_contradicts_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match=r"tuned_correct.*row-00002"):
        pair(edited(2, **changes))


def test_case_counts_unless_it_is_ignored() -> None:
    shouted = edited(2, tuned_answer="NOISE")
    with pytest.raises(RefusedError):
        pair(shouted)
    assert paired_of(shouted, TABLE, cluster="id", ignore_case=True).candidate.correct[2]


def test_models_that_answered_other_rows_are_not_compared() -> None:
    with pytest.raises(InputError, match=r"missing.*row-00003"):
        pair(TABLE, TABLE.slice(0, 3))
    with pytest.raises(InputError, match=r"does not have.*row-00003"):
        pair(TABLE.slice(0, 3))


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": "heat", "tuned_answer": "heat"},
        {"group": "another"},
        {"question": "another question?"},
        {"label": None},
    ],
)
def test_a_row_that_differs_between_the_sides_is_not_compared(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"{next(iter(changes))}.*row-00002"):
        pair(edited(2, **changes))


def test_no_row_and_no_column_are_errors() -> None:
    with pytest.raises(InputError, match="no test row was answered"):
        pair(TABLE.slice(0, 0))
    with pytest.raises(InputError, match="no column tuned_nll"):
        pair(TABLE.drop_columns(["tuned_nll"]))


def test_the_untuned_model_does_not_count() -> None:
    assert pair(edited(0, base_nll=float("nan"), base_correct=None)).candidate.nll[0] == 0.2
