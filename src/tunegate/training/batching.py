"""Padding-free batches: whole examples laid end to end, position ids restarting, no attention mask.

transformers derives the block-diagonal causal mask from restarting position ids when it gets neither an attention mask
nor a cache; a test proves that every example's logits equal those it gets alone. Order and contents depend on nothing
but the examples, the seed and the epoch. This module does not know the model.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from tunegate.models.examples import IGNORED, Example


@dataclasses.dataclass(frozen=True)
class Batch:
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

    def to(self, device: str) -> "Batch":
        """The same batch on a device."""
        return Batch(
            self.input_ids.to(device),
            self.position_ids.to(device),
            self.trained.to(device),
            self.targets.to(device),
            self.rows,
        )


def collate(examples: Sequence[Example]) -> Batch:
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
    return Batch(*tensors, tuple(example.id for example in examples))


def epoch_batches(examples: Sequence[Example], tokens_per_batch: int, *, seed: int, epoch: int) -> list[list[Example]]:
    """One epoch's batches: every example once, shuffled, as many in a batch as `tokens_per_batch` holds.

    An example longer than that is a batch of its own. `epoch` -1 keeps the order, for validation.
    """
    order = range(len(examples)) if epoch < 0 else np.random.default_rng([seed, epoch]).permutation(len(examples))
    batches: list[list[Example]] = [[]]
    room = tokens_per_batch
    for index in order:
        example = examples[int(index)]
        if batches[-1] and len(example.ids) > room:
            batches.append([])
            room = tokens_per_batch
        batches[-1].append(example)
        room -= len(example.ids)
    return batches
