import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from training_runs import ROWS, settings, train, whole

from tunegate.errors import RefusedError
from tunegate.training import checkpoint, loop
from tunegate.training.adapter import start, trainable
from tunegate.training.divergence import PATIENCE, check, is_suspicious
from tunegate.training.optimizer_step import Stepper
from tunegate.training.techniques.sft import sft


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def records(losses: Sequence[float], norm: float = 1.0) -> list[dict[str, Any]]:
    return [{"step": step, "loss": loss, "grad_norm": norm} for step, loss in enumerate(losses, 1)]


def first_alarm(losses: Sequence[float], norm: float = 1.0) -> int | None:
    """The step after which the run is stopped."""
    found = records(losses, norm)
    for step in range(1, len(found) + 1):
        try:
            check(found[:step], ["a", "b"])
        except RefusedError:
            return step
    return None


FALLS = [8.0 * 0.97**step for step in range(120)]


@pytest.mark.parametrize(
    "losses",
    [
        FALLS,
        [*FALLS[:60], *[20.0] * (PATIENCE // 2 - 1), *FALLS[60:]],
        [*FALLS, *[6.0 - 0.01 * step for step in range(50)]],
        [0.69 + 0.2 * (step % 3 - 1) for step in range(120)],
        [0.0] * 60,
        [0.3 * (-1) ** step * (1 + step % 5) for step in range(120)],
        [0.001 * step for step in range(200)],
        [3.0 + step % 7 for step in range(120)],
        [*FALLS[:90], *[0.693] * 60],
    ],
    ids=[
        "falls",
        "spike",
        "another phase",
        "noise",
        "perfect",
        "around zero",
        "divergence",
        "uneven rows",
        "converged",
    ],
)
def test_a_run_that_learns_is_left_alone(losses: list[float]) -> None:
    assert first_alarm(losses) is None


@pytest.mark.parametrize(
    "losses",
    [
        [*[4.0 + step % 2 for step in range(30)], *[10.0] * 60],
        [*[4.0, 3.9, 3.9, 3.8, 3.8], *[0.5] * 25, *[5.5] * 60],
        [*[0.0, 0.01, -0.01, 0.02, 0.0] * 6, *[1.6] * 40],
    ],
    ids=["above twice its start", "forgot what it learned", "started at zero"],
)
def test_a_run_that_diverges_is_stopped_after_some_patience(losses: list[float]) -> None:
    after = 30 + PATIENCE // 2 + 1
    assert first_alarm(losses) == after
    with pytest.raises(RefusedError, match=rf"diverged: .* at step {after}, .* rows a, b") as caught:
        check(records(losses[:after]), ["a", "b"])
    assert "train.learning_rate" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_a_loss_that_cannot_change_is_dead() -> None:
    assert first_alarm([2.0] * 40) == 5 + PATIENCE
    assert first_alarm([2.0 + step % 2 for step in range(40)], norm=0.0) == 5 + PATIENCE
    with pytest.raises(RefusedError, match="dead: the loss is 2 at step 40"):
        check(records([2.0] * 40), ["a"])


def test_a_loss_of_the_ceiling_s_other_side_is_suspicious_at_once() -> None:
    assert not is_suspicious(records(FALLS[:40]))
    assert is_suspicious(records([*FALLS[:40], 30.0]))


def run_into(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, of: Any, poison: Any) -> str:
    """What a run says whose loss of the row 5 is poisoned from the third step on."""
    real = Stepper.loss
    steps: list[int] = []
    step = Stepper.step

    def counted(self: Stepper, *arguments: Any) -> Any:
        steps.append(1)
        return step(self, *arguments)

    def spoiled(self: Stepper, batch: Any) -> Any:
        loss = real(self, batch)
        return poison(loss) if "5" in batch.rows and len(steps) > 2 else loss

    monkeypatch.setattr(Stepper, "step", counted)
    monkeypatch.setattr(Stepper, "loss", spoiled)
    with pytest.raises(RefusedError) as caught:
        train(tiny_model, of)
    return caught.value.problem


def nan_loss(loss: Any) -> Any:
    return type(loss)(loss.total * float("nan"), loss.notes)


def infinite_gradient(loss: Any) -> Any:
    # The root's slope at 0 is infinite, its value is not.
    return type(loss)(loss.total + (loss.total - loss.total.detach()).abs().sqrt(), loss.notes)


@pytest.mark.parametrize(
    ("poison", "reason"), [(nan_loss, "the loss is nan"), (infinite_gradient, "the gradient's norm is")]
)
@pytest.mark.parametrize("size", [None, 12])
def test_the_row_at_fault_is_found_and_the_checkpoint_before_it_kept(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, poison: Any, reason: str, size: int | None
) -> None:
    problem = run_into(tiny_model, monkeypatch, settings(tokens_per_batch=size), poison)
    assert problem.startswith(reason)
    assert problem.endswith("on the rows 5")
    kept = checkpoint.newest()
    assert kept is not None
    step = int(problem.split("at step ")[1].split(",")[0])
    assert int(kept.name) == step - 1


def test_a_validation_loss_that_is_not_finite_stops_the_run(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Stepper.loss

    def spoiled(self: Stepper, batch: Any) -> Any:
        loss = real(self, batch)
        return nan_loss(loss) if "3" in batch.rows and not self.model.training else loss

    monkeypatch.setattr(Stepper, "loss", spoiled)
    with pytest.raises(RefusedError, match=r"the validation loss is nan on the rows 3\nfix"):
        train(tiny_model, settings(select="best"))


def test_a_technique_s_own_number_that_is_none_stops_the_run_before_a_checkpoint_has_it(
    tiny_model: Path,
) -> None:
    def with_note(model: Any, batch: Any) -> Any:
        loss = sft().loss(model, batch)
        return dataclasses.replace(loss, notes={"kl": float("nan") if len(checkpoints()) else 0.0})

    def checkpoints() -> list[Path]:
        return list(checkpoint.FOLDER.iterdir()) if checkpoint.FOLDER.exists() else []

    of = settings()
    technique = dataclasses.replace(sft(), loss=with_note, notes=("kl",))
    with pytest.raises(RefusedError, match="kl is nan at step 2, on the rows "):
        loop.run(start(tiny_model, of), ROWS, ROWS[:6], of, technique, {})
    assert [path.name for path in checkpoints()] == ["00000001"]


def test_weights_that_are_not_finite_name_all_rows(tiny_model: Path) -> None:
    of = settings()
    model = start(tiny_model, of)
    next(iter(trainable(model).values())).data.fill_(float("nan"))
    with pytest.raises(RefusedError, match="the loss is nan at step 1, on the rows "):
        loop.run(model, ROWS, ROWS[:6], of, sft(), {})


def test_a_rate_that_is_far_too_high_is_noticed(tiny_model: Path) -> None:
    of = settings(adapter="full", optimizer="sgd", learning_rate=1.0, max_grad_norm=1000.0, epochs=12)
    with pytest.raises(RefusedError, match="diverged: the loss is"):
        whole(tiny_model, of)
    # The checkpoints of the steps that went wrong did not replace the last good one.
    kept = checkpoint.newest()
    assert kept is not None
    assert int(kept.name) < 10


def test_a_rate_that_is_far_too_low_is_noticed(tiny_model: Path) -> None:
    of = settings(dropout=0.0, epochs=30, learning_rate=0.000000000001)
    with pytest.raises(RefusedError, match="dead: the loss is"):
        whole(tiny_model, of, ROWS[:4])
