"""Padding-free batches: whole examples laid end to end, position ids restarting, no attention mask.

transformers derives the block-diagonal causal mask from restarting position ids when it gets neither an attention mask
nor a cache; a test proves that every example's logits equal those it gets alone. Order and contents depend on nothing
but the examples, the seed and the epoch. This module does not know the model.
"""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch

from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.params import Train
from tunegate.training.technique import Item, State, Step

Sized = TypeVar("Sized", bound=Item)


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Several examples as one row of T tokens."""

    input_ids: torch.Tensor
    """int64, shape (1, T)."""
    position_ids: torch.Tensor
    """int64, shape (1, T): 0, 1, 2, … anew for every example."""
    trained: torch.Tensor
    """int64, shape (N): the positions whose *next* token is trained on; logits are needed there only."""
    targets: torch.Tensor
    """int64, shape (N): those next tokens."""
    rows: tuple[str, ...]
    """The ids of the examples, in order."""
    lengths: tuple[int, ...]
    """Tokens of each example."""

    @property
    def tokens(self) -> int:
        """Tokens in it."""
        return self.input_ids.numel()

    @property
    def units(self) -> int:
        """Trained tokens: what the loss is a mean over."""
        return len(self.targets)

    def to(self, device: str) -> "Tokens":
        """The same batch on a device."""
        return Tokens(
            self.input_ids.to(device),
            self.position_ids.to(device),
            self.trained.to(device),
            self.targets.to(device),
            self.rows,
            self.lengths,
        )


def collate(examples: Sequence[Example]) -> Tokens:
    """Lay the examples end to end. The last token of an example predicts nothing of the next one."""
    ids = [token for example in examples for token in example.ids]
    positions = [position for example in examples for position in range(len(example.ids))]
    trained, targets, offset = [], [], 0
    for example in examples:
        for index, label in enumerate(example.labels[1:]):
            if label != IGNORED:
                trained.append(offset + index)
                targets.append(label)
        offset += len(example.ids)
    tensors = (torch.tensor([ids]), torch.tensor([positions]), torch.tensor(trained), torch.tensor(targets))
    return Tokens(*tensors, tuple(example.id for example in examples), tuple(len(example.ids) for example in examples))


def shuffled(examples: Sequence[Example], settings: Train, state: State) -> list[Step]:
    """The steps of `settings.epochs` passes, each over all examples in an order of its own.

    `state["phase"]`, if there is one, makes the orders of each phase other ones.
    """
    plan = []
    for epoch in range(settings.epochs):
        seed = [settings.seed, epoch, *([state["phase"]] if state.get("phase") else [])]
        order = np.random.default_rng(seed).permutation(len(examples))
        batches = grouped([examples[index] for index in order], settings.tokens_per_step)
        plan += [Step(epoch + 1, index == len(batches) - 1, batch) for index, batch in enumerate(batches)]
    return plan


def grouped(items: Sequence[Sized], tokens: int) -> list[list[Sized]]:
    """The items in their order, as many in a group as `tokens` holds; a longer one is a group of its own."""
    groups: list[list[Sized]] = [[]]
    room = tokens
    for item in items:
        if groups[-1] and item.length > room:
            groups.append([])
            room = tokens
        groups[-1].append(item)
        room -= item.length
    return groups
