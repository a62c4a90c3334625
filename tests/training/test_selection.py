from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import Killed, equal, settings, train, weights, whole

from tunegate.training import checkpoint
from tunegate.training.optimizer_step import Stepper
from tunegate.training.selection import Selection, best_of, has_stalled
from tunegate.training.trajectory import summary


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def measured(*losses: float | None) -> list[dict[str, Any]]:
    return [{"step": step, "valid_loss": loss} for step, loss in enumerate(losses, 1)]


def test_the_best_is_the_first_of_the_lowest() -> None:
    assert best_of(measured(None, 3.0, None, 2.0, 2.0, 2.5)) == 3
    assert best_of(measured(None, None)) == -1


def test_a_run_has_stalled_after_so_many_measurements_without_a_lower_loss() -> None:
    records = measured(3.0, None, 2.0, 2.0, None, 2.1)
    assert not has_stalled(records, 3)
    assert has_stalled(records, 2)
    assert not has_stalled(records, None)
    assert not has_stalled(measured(None), 1)


def test_the_average_follows_the_weights_and_forgets_its_start() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    selection = Selection({"weight": parameter}, settings(ema=0.9))
    expected = torch.zeros(3)
    for step in range(1, 40):
        parameter.data.fill_(float(step))
        selection.follow(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    with selection.kept():
        assert torch.allclose(parameter, expected)
    assert torch.equal(parameter, torch.full((3,), 39.0))
    selection.finish()
    assert torch.allclose(parameter, expected)


def test_what_is_measured_and_kept_is_the_average(tiny_model: Path) -> None:
    plain, averaged = (whole(tiny_model, settings(ema=ema)) for ema in (None, 0.8))
    assert [r["loss"] for r in plain[1].records] == [r["loss"] for r in averaged[1].records]
    assert plain[1].records[-1]["valid_loss"] != averaged[1].records[-1]["valid_loss"]
    assert not equal(plain[0], averaged[0])


def measured_as(losses: list[float], patch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """Let these be the validation losses of a run, one after each step; the weights that they were measured on."""
    measured_on: list[dict[str, torch.Tensor]] = []

    def mean_loss(stepper: Stepper, _rows: Any) -> float:
        measured_on.append(weights(stepper.model))
        return losses[len(measured_on) - 1]

    patch.setattr(Stepper, "mean_loss", mean_loss)
    return measured_on


@pytest.mark.parametrize("ema", [None, 0.8])
def test_the_best_weights_are_those_of_the_step_with_the_lowest_loss(
    tiny_model: Path, ema: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = [5.0, 4.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    measured_on = measured_as(losses, monkeypatch)
    model, progress = whole(tiny_model, settings(select="best", validate_every=1, ema=ema))
    assert [record["valid_loss"] for record in progress.records] == losses
    kept = summary(progress.records, 24, "best")
    assert (kept["kept_step"], kept["kept_valid_loss"]) == (3, 2.0)
    assert all(torch.equal(weight, measured_on[2][name]) for name, weight in weights(model).items())
    assert not all(torch.equal(weight, measured_on[-1][name]) for name, weight in weights(model).items())


def test_a_run_that_learns_no_more_is_stopped_early(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured_as([5.0, 4.0, 4.5, 4.0, 6.0, 1.0, 1.0, 1.0], monkeypatch)
    records = whole(tiny_model, settings(early_stopping=3, validate_every=1))[1].records
    assert [record["valid_loss"] for record in records] == [5.0, 4.0, 4.5, 4.0, 6.0]


@pytest.mark.parametrize(
    "values",
    [{"ema": 0.7, "select": "best"}, {"select": "best", "early_stopping": 3, "learning_rate": 0.2}],
    ids=["average", "early"],
)
def test_a_run_killed_in_any_step_keeps_the_same_bytes(tiny_model: Path, values: dict[str, Any]) -> None:
    of = settings(validate_every=1, epochs=2, **values)
    expected, progress = whole(tiny_model, of)
    steps = len(progress.records)
    for step in (1, steps // 2, steps - 1):
        with pytest.raises(Killed):
            train(tiny_model, of, kill_in=step)
        resumed, again = train(tiny_model, of)
        assert again.resumed, f"killed in step {step}"
        assert again.records == progress.records
        assert equal(expected, resumed), f"killed in step {step}"
        checkpoint.discard()


def test_nothing_is_held_that_is_not_asked_for() -> None:
    assert Selection({"weight": torch.nn.Parameter(torch.zeros(3))}, settings()).held == {}
