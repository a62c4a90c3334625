from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tunegate.models.tokens.examples import Example
from tunegate.params import Params, load_params
from tunegate.preflight.findings import Finding
from tunegate.preflight.rows import rows_checked

PARAMS = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
GOOD = [Example(str(n), [1, 5, 2], [-100, 5, 2]) for n in range(10)]
NOTES = {"rows_in": 10, "rows_dropped": 0, "rows_cut": 0, "tokens_in": 30, "tokens_dropped": 0, "tokens_cut": 0}
LABELS = {"train": {"roof": 6, "heat": 4}, "valid": {"roof": 1}, "test": {"heat": 1}}


def findings(
    rows: list[Example] = GOOD,
    labels: dict[str, dict[str, int]] = LABELS,
    params: Params = PARAMS,
    tasks: Mapping[str, set[str]] = MappingProxyType({}),
    **notes: Any,
) -> dict[str, Finding]:
    counts = {f"train_{name}": value for name, value in (NOTES | notes).items()}
    return {f.check: f for f in rows_checked(params, {"train": rows, "valid": rows}, counts, labels, tasks)}


def test_good_rows_pass_every_check() -> None:
    assert {finding.status for finding in findings().values()} == {"ok"}
    assert findings()["trained tokens"].found == "20 of 30 tokens are trained on (66.7%)"


def test_rows_without_a_trained_token_are_refused_by_name() -> None:
    found = findings([*GOOD, Example("silent", [1, 5], [-100, -100])])["rows without a trained token"]
    assert found.status == "refused"
    assert "silent" in found.found


def test_nothing_to_train_on_is_refused() -> None:
    assert findings([Example("a", [1], [-100])])["trained tokens"].status == "refused"


def test_a_mask_that_leaves_next_to_nothing_is_worth_a_look() -> None:
    found = findings([Example("a", [1] * 500, [-100] * 499 + [1])])["trained tokens"]
    assert (found.status, found.found) == ("warning", "1 of 500 tokens are trained on (0.2%)")


@pytest.mark.parametrize("lost", [{"rows_dropped": 4}, {"rows_cut": 4}, {"tokens_dropped": 20}])
def test_rows_and_tokens_that_were_lost_are_worth_a_look(lost: dict[str, int]) -> None:
    found = findings(**lost)["dropped and cut"]
    assert found.status == "warning"
    assert "tokenize.max_length (it is 256)" in found.remedy


def test_a_label_of_the_test_that_was_never_trained_on_is_refused() -> None:
    found = findings(labels=LABELS | {"test": {"heat": 1, "noise": 1}})["labels"]
    assert found.status == "refused"
    assert found.found == "2 labels in train; never trained on: noise"


def test_rows_without_labels_have_no_label_set() -> None:
    assert "labels" not in findings(labels={"train": {}, "valid": {}, "test": {}})


def test_answers_in_free_words_are_no_label_set_but_the_classes_of_a_head_always_are() -> None:
    free = {"train": {"call us": 1, "write to us": 1, "it depends": 2}, "valid": {}, "test": {"never": 1}}
    assert "labels" not in findings(labels=free)
    heads = PARAMS.model_copy(update={"train": PARAMS.train.model_copy(update={"technique": "classify"})})
    assert findings(labels=free, params=heads)["labels"].status == "refused"


def test_a_task_that_no_test_row_measures_is_worth_a_look() -> None:
    both = {"routes", "replies"}
    found = findings(tasks={"train": both, "valid": both, "test": {"routes"}})["tasks"]
    assert (found.status, found.found) == ("warning", "2 tasks in train; without a test row: replies")
    assert findings(tasks={"train": both, "valid": both, "test": both})["tasks"].status == "ok"
    assert "tasks" not in findings()
