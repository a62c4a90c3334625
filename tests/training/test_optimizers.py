from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import Killed, equal, settings, train, whole

from tunegate.params import Train
from tunegate.training.optimizers import learning_rate, optimizer_of

RATES = {"adamw": 0.05, "adamw_8bit": 0.05, "sgd": 0.5}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def of(name: str, **values: Any) -> Train:
    # Rank 64 gives matrices of 4,096 numbers, from which bitsandbytes keeps moments in 8 bits.
    wide = {"rank": 64, "target_modules": ("q_proj", "gate_proj")}
    return settings(optimizer=name, learning_rate=RATES[name], **(wide | values))


@pytest.mark.parametrize("name", RATES)
def test_every_optimizer_learns(tiny_model: Path, name: str) -> None:
    records = whole(tiny_model, of(name, epochs=5, dropout=0.0))[1].records
    assert records[-1]["valid_loss"] < records[3]["valid_loss"] < records[0]["loss"]


@pytest.mark.parametrize("name", RATES)
def test_every_optimizer_s_moments_are_resumed_to_the_bit(tiny_model: Path, name: str) -> None:
    expected, progress = whole(tiny_model, of(name))
    with pytest.raises(Killed):
        train(tiny_model, of(name), kill_in=4)
    resumed, again = train(tiny_model, of(name))
    assert again.resumed
    assert again.records == progress.records
    assert equal(expected, resumed)


def test_moments_in_8_bits_are_in_8_bits(tiny_model: Path) -> None:
    model = torch.nn.Linear(64, 64)
    optimizer = optimizer_of(dict(model.named_parameters()), of("adamw_8bit"))
    model(torch.ones(2, 64)).sum().backward()
    optimizer.step()
    kept = [state["state1"].dtype for state in optimizer.state.values()]
    assert kept == [torch.uint8, torch.float32]


@pytest.mark.parametrize("name", RATES)
def test_weights_decay_and_vectors_do_not(name: str) -> None:
    model = torch.nn.Linear(8, 8)
    optimizer = optimizer_of(dict(model.named_parameters()), Train(optimizer=name, weight_decay=0.5, learning_rate=0.1))  # type: ignore[arg-type]
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(model.weight, weight * 0.95)
    assert torch.equal(model.bias, bias)


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, Train(warmup_share=0.1, learning_rate=1.0)) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates == [*sorted(rates[:10]), *sorted(rates[10:], reverse=True)]
    assert rates[-1] < 0.01


@pytest.mark.parametrize(
    ("schedule", "middle", "last"), [("cosine", 0.5, 0.0), ("linear", 0.5, 0.0), ("constant", 1, 1)]
)
def test_a_schedule_falls_as_its_name_says(schedule: str, middle: float, last: float) -> None:
    settings = Train(warmup_share=0.0, learning_rate=1.0, schedule=schedule)  # type: ignore[arg-type]
    assert learning_rate(50, 100, settings) == pytest.approx(middle)
    assert learning_rate(99, 100, settings) == pytest.approx(last, abs=0.011)
