"""Training runs of the tiny model in the test's own process: rows, settings, a start, a kill."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training import checkpoint, loop
from tunegate.training.adapter import start, trainable
from tunegate.training.optimizer_step import Stepper
from tunegate.training.techniques.sft import sft

ROWS = [Example(str(n), [1, 10 + n, 20 + n, 30 + n % 3, 2], [-100, -100, -100, 30 + n % 3, 2]) for n in range(24)]
VALID = ROWS[:6]


class Killed(BaseException):
    """What stands in for SIGKILL in the test's own process."""


def settings(**values: Any) -> Train:
    """Two epochs of four steps with dropout, so that every random number counts."""
    usual = {"precision": "fp32", "epochs": 2, "tokens_per_step": 32, "checkpoint_every": 1, "learning_rate": 0.01}
    lora = {} if values.get("adapter") in ("full", "head") else {"rank": 4, "dropout": 0.1}
    return Train(**(usual | lora | values))


def train(base: Path, of: Train, rows: Sequence[Example] = ROWS, *, kill_in: int | None = None) -> Any:
    """The model and the progress of a run from the checkpoint in the working directory, if there is one.

    With `kill_in`, it raises Killed in the forward pass of the step of that number, from 0, of those that it does.
    """
    # accelerate keeps one state for the whole process; a stage is a process, a test is not.
    AcceleratorState._reset_state(reset_partial_state=True)
    model, real = start(base, of), Stepper.step
    left = iter(range(kill_in or 0))

    def step(self: Stepper, *arguments: Any) -> Any:
        if next(left, None) is None:
            self.model.register_forward_pre_hook(kill)
        return real(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        if kill_in is not None:
            patch.setattr(Stepper, "step", step)
        return model, loop.run(model, rows, VALID, of, sft(), {})


def kill(*_: Any) -> None:
    """A hook that ends the run."""
    raise Killed


def whole(base: Path, of: Train, rows: Sequence[Example] = ROWS) -> Any:
    """The same, from the beginning, leaving no checkpoint."""
    checkpoint.discard()
    result = train(base, of, rows)
    checkpoint.discard()
    return result


def weights(model: Any) -> dict[str, torch.Tensor]:
    """Copies of what is trained."""
    return {name: parameter.detach().clone() for name, parameter in trainable(model).items()}


def equal(one: Any, other: Any) -> bool:
    """Whether two models' trained weights are the same bits."""
    mine, theirs = weights(one), weights(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def logits(model: Any, rows: Sequence[Example] = ROWS[:3]) -> torch.Tensor:
    """What the model says to some rows."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0] for row in rows])
