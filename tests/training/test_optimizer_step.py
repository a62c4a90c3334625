import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from tunegate.errors import MachineError
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training import loop
from tunegate.training.adapter import start, trainable
from tunegate.training.optimizer_step import Stepper
from tunegate.training.techniques.sft import sft

SETTINGS = Train(precision="fp32", epochs=1, tokens_per_step=24, rank=4, learning_rate=0.01, dropout=0.2)
ROWS = [Example(str(n), [1, *range(10, 11 + n % 6), 30, 2], [-100, *range(10, 11 + n % 6), 30, 2]) for n in range(12)]
LONG = Example("long", [1, *range(20, 50), 2], [-100, *range(20, 50), 2])


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def run(tiny_model: Path, technique: Any, rows: Sequence[Example] = ROWS) -> tuple[Any, list[dict[str, Any]]]:
    model = start(tiny_model, SETTINGS)
    return model, loop.run(model, rows, ROWS[:2], SETTINGS, technique, {}).records


def test_a_run_whose_longest_batch_does_not_fit_fails_before_the_first_step(tiny_model: Path) -> None:
    def short_of_memory(model: Any, batch: Any) -> Any:
        if "long" in batch.rows:
            raise torch.OutOfMemoryError("no more")
        trained.append(batch.rows)
        return sft().loss(model, batch)

    trained: list[Any] = []
    with pytest.raises(MachineError, match="32 tokens in the row long"):
        run(tiny_model, dataclasses.replace(sft(), loss=short_of_memory), [*ROWS, LONG])
    assert not trained


def test_a_memory_probe_leaves_nothing_behind(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probed, records = run(tiny_model, sft())
    (Path.cwd() / "other").mkdir()
    monkeypatch.chdir(Path.cwd() / "other")
    monkeypatch.setattr(Stepper, "probe_memory", lambda _stepper, _plan: None)
    plain, expected = run(tiny_model, sft())
    assert records == expected
    pairs = zip(trainable(probed).values(), trainable(plain).values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
