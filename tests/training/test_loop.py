import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from tunegate.errors import InputError, RefusedError, Stopped
from tunegate.files import read_json, write_json
from tunegate.models.loading import load_base
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training import checkpoint, divergence, loop
from tunegate.training.adapter import save_adapter, trainable, with_adapter
from tunegate.training.techniques.sft import sft

SETTINGS = Train(
    precision="fp32", epochs=3, tokens_per_step=32, checkpoint_every=2, rank=4, learning_rate=0.01, dropout=0.1
)
ROWS = [Example(str(n), [1, 10 + n, 20 + n, 30 + n % 3, 2], [-100, -100, -100, 30 + n % 3, 2]) for n in range(24)]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # accelerate keeps one state for the whole process; a stage is a process, a test is not.
    AcceleratorState._reset_state(reset_partial_state=True)


def fresh(tiny_model: Path, settings: Train = SETTINGS) -> Any:
    torch.manual_seed(settings.seed)
    return with_adapter(load_base(tiny_model, device="cpu", precision=settings.precision), settings)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainable(model).items()}


def equal(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values(), strict=True))


def test_the_loss_falls_on_train_and_valid(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 0.05, "dropout": 0.0, "epochs": 8})
    records = loop.run(fresh(tiny_model, settings), ROWS, ROWS[:6], settings, sft(), {}).records
    valid = [record["valid_loss"] for record in records if record["valid_loss"] is not None]
    assert len(valid) == 8
    assert records[-1]["loss"] < records[0]["loss"] * 0.8
    assert valid[-1] < valid[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_equal_runs_give_equal_bits(tiny_model: Path, precision: Any, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"precision": precision})
    made = []
    for name in ("one", "other"):
        model = fresh(tiny_model, settings)
        loop.run(model, ROWS, ROWS[:6], settings, sft(), {})
        checkpoint.discard()
        (tmp_path / name).mkdir()
        save_adapter(model, tmp_path / name, "models/base")
        made.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"adapter_model.safetensors", "adapter_config.json"}


def test_a_run_resumed_at_any_checkpoint_equals_the_uninterrupted_one(tiny_model: Path) -> None:
    whole = fresh(tiny_model)
    expected = loop.run(whole, ROWS, ROWS[:6], SETTINGS, sft(), {}).records
    checkpoint.discard()
    interrupted = fresh(tiny_model)
    stop_after(interrupted, calls=5)
    with pytest.raises(KeyError):
        loop.run(interrupted, ROWS, ROWS[:6], SETTINGS, sft(), {})
    newest = checkpoint.newest()
    assert newest is not None
    saved = newest / checkpoint.RUN
    held = read_json(saved)
    assert held.pop("seconds") > 0
    slow = {key: value for key, value in held.items() if key != checkpoint.SEAL} | {"seconds": 1000.0}
    write_json(saved, slow | {checkpoint.SEAL: checkpoint.seal_of(slow, newest / checkpoint.TENSORS)})
    resumed = fresh(tiny_model)
    progress = loop.run(resumed, ROWS, ROWS[:6], SETTINGS, sft(), {})
    assert progress.resumed
    assert 1000 < progress.seconds < 2000
    assert progress.records == expected
    assert equal(whole, resumed)


def test_a_checkpoint_of_other_parameters_is_refused_with_the_difference(tiny_model: Path) -> None:
    interrupted = fresh(tiny_model)
    stop_after(interrupted, calls=5)
    with pytest.raises(KeyError):
        loop.run(interrupted, ROWS, ROWS[:6], SETTINGS, sft(), {"train.learning_rate": 0.01, "data": "a" * 64})
    with pytest.raises(RefusedError, match=r"train\.learning_rate: 0\.01 → 0\.05") as caught:
        loop.run(fresh(tiny_model), ROWS, ROWS[:6], SETTINGS, sft(), {"train.learning_rate": 0.05, "data": "b" * 64})
    assert "data: aaaaaaaaaaaa → bbbbbbbbbbbb" in caught.value.problem
    assert str(checkpoint.FOLDER) in caught.value.remedy


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_rows(tiny_model: Path) -> None:
    model = fresh(tiny_model)
    next(iter(trainable(model).values())).data.fill_(float("nan"))
    with pytest.raises(RefusedError, match="the loss is nan at step 1, on the rows"):
        loop.run(model, ROWS, ROWS[:6], SETTINGS, sft(), {})


def stop_after(model: Any, calls: int) -> None:
    """Make the model raise KeyError in its forward pass number `calls` + 1, as a kill would end it."""
    left = iter(range(calls))

    def hook(*_: Any) -> None:
        if next(left, None) is None:
            raise KeyError("killed")

    model.register_forward_pre_hook(hook)


def test_a_signal_while_a_phase_begins_loses_nothing_of_the_phase_before(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 1, "checkpoint_every": 50})
    stops = [False, False, False, True]

    def begin(_model: Any, _examples: Any, phase: int) -> dict[str, Any]:
        if stops.pop(0):
            raise Stopped(signal.SIGTERM)
        return {"phase": phase}

    technique = dataclasses.replace(sft(), begin=begin, phases=2)
    whole = fresh(tiny_model, settings)
    expected = loop.run(whole, ROWS, ROWS[:6], settings, technique, {}).records
    checkpoint.discard()
    with pytest.raises(Stopped):
        loop.run(fresh(tiny_model, settings), ROWS, ROWS[:6], settings, technique, {})
    assert checkpoint.newest() == checkpoint.FOLDER / f"{len(expected) // 2:08d}"
    stops.append(False)
    resumed = fresh(tiny_model, settings)
    assert loop.run(resumed, ROWS, ROWS[:6], settings, technique, {}).records == expected
    assert equal(whole, resumed)


def test_a_checkpoint_that_a_signal_asks_for_replaces_no_good_one_while_the_loss_is_suspicious(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def suspicious(records: Any) -> bool:
        if len(records) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return len(records) > 4

    monkeypatch.setattr(divergence, "is_suspicious", suspicious)
    settings = SETTINGS.model_copy(update={"checkpoint_every": 1})
    with pytest.raises(Stopped):
        loop.run(fresh(tiny_model), ROWS, ROWS[:6], settings, sft(), {})
    assert sorted(int(path.name) for path in checkpoint.FOLDER.iterdir()) == [4, 6]


@pytest.mark.parametrize(("train", "valid", "split"), [([], ROWS, "train"), (ROWS, [], "valid")])
def test_a_split_without_rows_is_refused_by_name(tiny_model: Path, train: Any, valid: Any, split: str) -> None:
    with pytest.raises(InputError, match="no rows") as caught:
        loop.run(fresh(tiny_model), train, valid, SETTINGS, sft(), {})
    assert caught.value.place == f"split {split}"
