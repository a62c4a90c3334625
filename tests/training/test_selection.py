from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import VALID, Killed, equal, settings, train, whole

from tunegate.training import checkpoint
from tunegate.training.batching import collate
from tunegate.training.loss import next_token_loss
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


def rising(**values: Any) -> Any:
    """A run whose validation loss rises in its second half: the validation rows are not what it learns."""
    return settings(learning_rate=0.08, epochs=6, dropout=0.0, schedule="constant", validate_every=1, **values)


def test_the_best_weights_are_those_of_the_step_with_the_lowest_loss(tiny_model: Path) -> None:
    best, progress = whole(tiny_model, rising(select="best"))
    found = summary(progress.records, 24, "best")
    lowest = min(record["valid_loss"] for record in progress.records)
    assert found["kept_valid_loss"] == lowest < progress.records[-1]["valid_loss"]
    kept = progress.records[found["kept_step"] - 1]
    assert kept["valid_loss"] == lowest
    last, _ = whole(tiny_model, rising(select="last"))
    assert not equal(best, last)
    assert measure(best) == pytest.approx(lowest, rel=1e-6)


def measure(model: Any) -> float:
    with torch.no_grad():
        batch = collate(VALID)
        return float(next_token_loss(model.eval(), batch).total) / batch.units


def test_a_run_that_learns_no_more_is_stopped_early(tiny_model: Path) -> None:
    records = whole(tiny_model, rising(early_stopping=3))[1].records
    losses = [record["valid_loss"] for record in records]
    assert len(losses) < 24
    assert len(losses) - 1 - losses.index(min(losses)) == 3


@pytest.mark.parametrize(
    "values",
    [{"ema": 0.7, "select": "best"}, {"select": "best", "early_stopping": 2, "learning_rate": 0.2}],
    ids=["average", "early"],
)
def test_a_run_killed_in_any_step_keeps_the_same_bytes(tiny_model: Path, values: dict[str, Any]) -> None:
    of = settings(validate_every=1, epochs=2, **values)
    expected, progress = whole(tiny_model, of)
    steps = len(progress.records)
    assert steps > 3
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
