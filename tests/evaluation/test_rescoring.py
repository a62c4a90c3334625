"""Without a model; tests/pipeline/test_rescoring.py scores with one."""

from collections.abc import Iterator
from typing import Any

import pytest
from miniature import Miniature

from tunegate.data.rows import Row, table_of
from tunegate.errors import InputError, RefusedError
from tunegate.evaluation.examples import Answer, Example
from tunegate.evaluation.rescoring import _compare, rows_of_test, settings_of
from tunegate.files import read_yaml, write_yaml
from tunegate.repository.outputs import Outputs, open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.tables import write_parquet


@pytest.fixture
def outputs(miniature: Miniature) -> Iterator[Outputs]:
    with open_outputs(miniature.root) as opened:
        yield opened


def snapshot(miniature: Miniature, outputs: Outputs) -> Snapshot:
    return Snapshot(open_repository(miniature.root), None, outputs)


def lock_settings(miniature: Miniature, params: dict[str, Any]) -> None:
    lock = read_yaml(miniature.root / "dvc.lock")
    lock["stages"]["evaluate"]["params"]["params.yaml"] = params
    write_yaml(miniature.root / "dvc.lock", lock)


def test_settings_are_those_that_the_predictions_were_made_with(miniature: Miniature, outputs: Outputs) -> None:
    locked = snapshot(miniature, outputs).params.evaluate
    miniature.change(evaluate__max_new_tokens=locked.max_new_tokens + 1)
    assert settings_of(snapshot(miniature, outputs)) == locked
    lock_settings(miniature, {"evaluate.max_new_tokens": 3})
    assert settings_of(snapshot(miniature, outputs)).max_new_tokens == locked.max_new_tokens + 1


def test_a_locked_setting_that_there_is_not_is_refused_with_its_place(miniature: Miniature, outputs: Outputs) -> None:
    lock_settings(miniature, {"evaluate": {"max_tokens": 3}})
    with pytest.raises(InputError, match="unknown key") as caught:
        settings_of(snapshot(miniature, outputs))
    assert caught.value.place == "dvc.lock: evaluate: max_tokens"


def test_the_test_rows_are_the_locked_ones_and_without_an_answer_there_is_none(
    miniature: Miniature, outputs: Outputs
) -> None:
    assert len(rows_of_test(snapshot(miniature, outputs))) == 200
    unanswered = [Row("asked", "asked", "made", text="Why?")]
    write_parquet(miniature.root / "inputs/prepared/test.parquet", table_of(unanswered))
    miniature.change(train__technique="semisupervised")
    miniature.run("dvc", "repro", "-q", "prepare", cwd=miniature.root)
    with pytest.raises(InputError, match="no test rows") as caught:
        rows_of_test(snapshot(miniature, outputs))
    assert caught.value.place == "data/prepared"


@pytest.mark.parametrize(("precision", "nll", "others"), [("fp32", 0.0099, 0), ("bf16", 0.099, 2)])
def test_a_claim_may_differ_as_much_as_its_precision_does(precision: str, nll: float, others: int) -> None:
    answer = Answer("roof", True, 1.0, 0.1)
    claims = [Example(str(n), "Why?", "roof", "roof", {}, answer, answer) for n in range(100)]

    def scored(nll: float, others: int) -> dict[str, dict[str, Any]]:
        same = {"tuned_nll": 1.0 + nll, "tuned_answer": "roof", "tuned_correct": True, "reference": "roof"}
        other = same | {"tuned_answer": "heat", "tuned_correct": False}
        return {claim.id: other if int(claim.id) < others else same for claim in claims}

    _compare(claims, scored(nll, others), precision, "claim")
    with pytest.raises(RefusedError, match="NLL does not reproduce"):
        _compare(claims, scored(nll + 0.001, others), precision, "claim")
    with pytest.raises(RefusedError, match=r"answers do not reproduce: 0 \(claimed 'roof', here 'heat'\)"):
        _compare(claims, scored(nll, others + 1), precision, "claim")
