import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.preflight import memory
from tunegate.preflight.memory import CONTEXT, GPUS, Forecast, forecast
from tunegate.training.adapter import start, trainable
from tunegate.training.techniques.sft import sft

SETTINGS = Train(precision="fp32", rank=4, tokens_per_step=256, epochs=2)
ROWS = [Example(str(n), [5 + (n + i) % 90 for i in range(40)], [-100] * 20 + [7] * 20) for n in range(24)]


@pytest.fixture
def found(tiny_model: Path) -> Forecast:
    model = start(tiny_model, SETTINGS)
    kept = {name: parameter.detach().clone() for name, parameter in trainable(model).items()}
    made = forecast(model, sft(), SETTINGS, sft().plan(ROWS, SETTINGS, {}))
    assert all(torch.equal(kept[name], parameter) for name, parameter in trainable(model).items())
    return made


def test_the_work_is_that_of_the_plan(found: Forecast) -> None:
    assert found.largest_batch == 240
    assert found.steps == 8
    assert found.tokens == 2 * 24 * 40
    assert found.seconds == pytest.approx(found.tokens / found.tokens_per_second)


def test_weights_gradients_and_moments_are_counted(tiny_model: Path, found: Forecast) -> None:
    model = start(tiny_model, SETTINGS)
    trained = sum(parameter.numel() for parameter in trainable(model).values())
    assert found.weights == sum(parameter.numel() * 4 for parameter in model.parameters())
    assert (found.gradients, found.optimizer) == (4 * trained, 8 * trained)
    assert found.peak >= found.weights + found.gradients + found.optimizer


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_batch_of_few_long_rows_is_foreseen_by_what_they_keep(tiny_model: Path, rows: int) -> None:
    long = [Example(str(n), [5 + i % 90 for i in range(100)], [-100] * 50 + [7] * 50) for n in range(6)]
    settings = SETTINGS.model_copy(update={"tokens_per_step": 100 * rows})
    made, one = (
        forecast(start(tiny_model, settings), sft(), of, sft().plan(long, of, {}))
        for of in (settings, SETTINGS.model_copy(update={"tokens_per_step": 100}))
    )
    fixed = made.weights + made.gradients + made.optimizer
    kept = [round((f.gpu - CONTEXT) / 1.1) - fixed for f in (made, one)]
    # Somewhat more than in proportion: pairs of tokens in different rows.
    assert 0.99 * rows * kept[1] <= kept[0] < 2 * rows * kept[1]
    assert kept[1] > 100 * 128 * 4
    assert 0 < one.activations == pytest.approx(kept[1], abs=2)


def test_what_checkpoints_of_activations_hide_from_autograd_is_counted(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.model_copy(update={"activation_checkpointing": True})
    peaks = iter([1_000_000_000, 1_100_000_000])
    monkeypatch.setattr(memory, "_peak", lambda: next(peaks))
    made = forecast(start(tiny_model, settings), sft(), settings, sft().plan(ROWS, settings, {}))
    assert made.activations > 100_000_000
    held = made.weights + made.gradients + made.optimizer + made.activations
    assert made.gpu == pytest.approx(1.1 * held + CONTEXT, rel=1e-6)


def test_the_weights_of_other_models_are_counted(tiny_model: Path) -> None:
    model = start(tiny_model, SETTINGS)
    held = dataclasses.replace(sft(), extra_bytes=10**9)
    plan = sft().plan(ROWS, SETTINGS, {})
    with_it, without = (forecast(model, technique, SETTINGS, plan) for technique in (held, sft()))
    assert with_it.weights - without.weights == 10**9
    assert with_it.gpu - without.gpu == pytest.approx(1.1e9, rel=0.01)


@pytest.mark.parametrize(("free", "patience", "whole"), [(10**12, 1e9, 5), (0, 1e9, 0), (10**12, 0.0, 0)])
def test_a_whole_batch_is_timed_where_memory_and_patience_allow_it(
    tiny_model: Path, free: int, patience: float, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, as_ever = list[int](), memory.warm_up_step

    def warm_up_step(model: Any, technique: Any, settings: Any, rows: Sequence[Example]) -> None:
        sizes.append(sum(row.length for row in rows))
        as_ever(model, technique, settings, rows)

    monkeypatch.setattr(memory, "free_of", lambda _: (free, free))
    monkeypatch.setattr(memory, "_PATIENCE", patience)
    monkeypatch.setattr(memory, "warm_up_step", warm_up_step)
    made = forecast(start(tiny_model, SETTINGS), sft(), SETTINGS, sft().plan(ROWS, SETTINGS, {}))
    assert sizes.count(240) == whole
    assert made.seconds == pytest.approx(made.tokens / made.tokens_per_second)


@pytest.mark.parametrize(("needed", "name"), [(3e9, "T4"), (30e9, "A100 40GB"), (500e9, "several GPUs")])
def test_the_gpu_it_needs_has_a_name(found: Forecast, needed: float, name: str) -> None:
    assert dataclasses.replace(found, gpu=int(needed)).gpu_name.startswith(name)
    assert [size for _, size in GPUS] == sorted(size for _, size in GPUS)
