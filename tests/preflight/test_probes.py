import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.preflight.probes import batching_checked, overfit_checked, rate_checked
from tunegate.training.adapter import start, trainable
from tunegate.training.technique import Loss
from tunegate.training.techniques.sft import sft

SETTINGS = Train(precision="fp32", rank=4, learning_rate=0.01)
ROWS = [Example(str(n), [1, 10 + n, 20 + n, 30 + n, 2], [-100, -100, -100, 30 + n, 2]) for n in range(4)]


def test_a_batch_and_its_rows_one_by_one_are_the_same(tiny_model: Path) -> None:
    findings = list(batching_checked(start(tiny_model, SETTINGS), sft(), SETTINGS, ROWS))
    assert [(finding.check, finding.status) for finding in findings] == [("batching", "ok"), ("accumulation", "ok")]


def test_rows_that_see_each_other_are_refused(tiny_model: Path) -> None:
    technique = sft()

    def leaking(rows: Any) -> Any:
        batch = technique.collate(rows)
        return dataclasses.replace(batch, position_ids=torch.arange(batch.tokens)[None])

    leaks = dataclasses.replace(technique, collate=leaking)
    findings = list(batching_checked(start(tiny_model, SETTINGS), leaks, SETTINGS, ROWS))
    assert [finding.status for finding in findings] == ["refused", "refused"]


def test_one_batch_is_learned_and_the_weights_are_as_before(tiny_model: Path) -> None:
    model = start(tiny_model, SETTINGS)
    before = {name: parameter.detach().clone() for name, parameter in trainable(model).items()}
    assert overfit_checked(model, sft(), SETTINGS, ROWS).status == "ok"
    assert all(torch.equal(before[name], parameter) for name, parameter in trainable(model).items())


def test_a_learning_rate_that_learns_nothing_is_seen(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e-9})
    finding = overfit_checked(start(tiny_model, settings), sft(), settings, ROWS)
    assert finding.status in ("warning", "refused")
    assert "train.learning_rate (1e-09)" in finding.remedy


def test_one_batch_is_learned_by_the_optimizer_of_the_training(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"optimizer": "sgd", "learning_rate": 0.5})
    by_sgd, by_adamw = (
        overfit_checked(start(tiny_model, of), sft(), of, ROWS).result
        for of in (settings, settings.model_copy(update={"optimizer": "adamw"}))
    )
    assert "the highest was" not in by_sgd
    assert by_sgd != by_adamw


def test_a_loss_that_jumps_on_its_way_is_worth_a_look(tiny_model: Path) -> None:
    technique, jumps = sft(), iter([1.0, 1.0, 9.0])

    def jumping(model: Any, batch: Any) -> Loss:
        return Loss(technique.loss(model, batch).total * next(jumps, 1.0))

    finding = overfit_checked(start(tiny_model, SETTINGS), dataclasses.replace(technique, loss=jumping), SETTINGS, ROWS)
    assert finding.status == "warning"
    assert "the highest was" in finding.result


def test_nothing_that_learns_is_refused(tiny_model: Path) -> None:
    technique = sft()

    def idle(model: Any, batch: Any) -> Loss:
        return Loss(technique.loss(model, batch).total * 0 + 1)

    finding = overfit_checked(start(tiny_model, SETTINGS), dataclasses.replace(technique, loss=idle), SETTINGS, ROWS)
    assert finding.status == "refused"


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        (Train(learning_rate=2e-3), "ok"),
        (Train(learning_rate=0.5), "warning"),
        (Train(learning_rate=2e-3, adapter="full"), "warning"),
        (Train(learning_rate=2e-5, adapter="full"), "ok"),
        (Train(learning_rate=0.5, optimizer="sgd"), "ok"),
    ],
)
def test_an_unusual_learning_rate_is_worth_a_look(settings: Train, status: str) -> None:
    assert rate_checked(settings).status == status
