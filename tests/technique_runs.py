"""Examples of made-up tasks as token ids, and a technique trained on them by the one loop."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.params import Train
from tunegate.training import checkpoint, loop
from tunegate.training.adapter import start, trainable
from tunegate.training.batching import collate
from tunegate.training.loss import logits_of
from tunegate.training.setup import technique_of
from tunegate.training.technique import Technique

END = 2
"""The token that ends an answer of the tiny model."""


def example(name: str, prompt: list[int], answer: list[int], **tasks: str) -> Example:
    """A question and its answer; without one it is unlabelled."""
    completion = [*answer, END] if answer else []
    return Example(
        name, [1, *prompt, *completion], [IGNORED] * (1 + len(prompt)) + completion, tasks={"source": "made"} | tasks
    )


def start_of(folder: Path, settings: Train) -> tuple[Any, Technique]:
    """What training starts from, and how."""
    AcceleratorState._reset_state(reset_partial_state=True)
    model = start(folder, settings)
    return model, technique_of(settings, model, folder)


def trained(folder: Path, settings: Train, train: list[Example], valid: list[Example]) -> tuple[Any, Any]:
    """A trained model and the progress of its run."""
    model, technique = start_of(folder, settings)
    progress = loop.run(model, train, valid, settings, technique, {})
    checkpoint.discard()
    return model, progress


def require_exact_resume(
    folder: Path, settings: Train, train: list[Example], valid: list[Example], *, passes: int
) -> None:
    """A run that dies in forward pass number `passes` + 1 and is resumed equals one that does not."""
    whole, expected = trained(folder, settings, train, valid)
    model, technique = start_of(folder, settings)
    left = iter(range(passes))

    def die(*_: Any) -> None:
        if next(left, None) is None:
            raise KeyError("killed")

    model.register_forward_pre_hook(die)
    with pytest.raises(KeyError):
        loop.run(model, train, valid, settings, technique, {})
    again, progress = trained(folder, settings, train, valid)
    assert progress.resumed
    assert (progress.records, progress.state) == (expected.records, expected.state)
    assert all(torch.equal(one, trainable(again)[name]) for name, one in trainable(whole).items())


@torch.no_grad()
def loss_on(model: Any, rows: list[Example]) -> float:
    """Mean loss per trained token."""
    model.eval()
    batch = collate(rows)
    return float(torch.nn.functional.cross_entropy(logits_of(model, batch), batch.targets))


@torch.no_grad()
def share_right(model: Any, rows: list[Example]) -> float:
    """Share of the trained tokens that the model would have chosen."""
    model.eval()
    batch = collate(rows)
    return float((logits_of(model, batch).argmax(-1) == batch.targets).float().mean())
