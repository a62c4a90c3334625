"""Classification: a head over the labels of the training rows instead of an answer in words.

One label of a row: cross-entropy. Several: binary cross-entropy of each label, added up. Either is minus the log of the
probability that the model gives to what the row has. Decoders and encoders alike; how rows share a forward pass is
`tunegate.models.batch_layouts`'.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from tunegate.errors import InputError
from tunegate.models.batch_layouts import head_logits
from tunegate.models.labels import Labels
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training.batching import shuffled
from tunegate.training.technique import Loss, State, Technique

_RESERVED = 2
"""Positions that some encoders count but do not use: RoBERTa's begin behind its padding token's."""


@dataclasses.dataclass(frozen=True)
class LabelledRows:
    """Several rows with their labels."""

    ids: tuple[list[int], ...]
    targets: torch.Tensor
    """int64, shape (rows): the labels' numbers; of several labels, float32, shape (rows, labels), 1 where it is one."""
    rows: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Tokens in it."""
        return sum(map(len, self.ids))

    @property
    def units(self) -> int:
        """Rows: what the loss is a mean over."""
        return len(self.ids)

    def to(self, device: str) -> "LabelledRows":
        """The same batch on a device."""
        return dataclasses.replace(self, targets=self.targets.to(device))


def classify(settings: Train, model: Any) -> Technique:
    """What classification by the labels of the model's head gives to the loop."""
    names = model.config.id2label
    own = settings.classify
    labels = Labels(tuple(names[number] for number in sorted(names)), own.multi_label, own.separator, own.threshold)
    return Technique(
        collate=partial(_collate, labels),
        loss=partial(_loss, labels),
        plan=shuffled,
        notes=("accuracy",),
        begin=_begin,
    )


def _collate(labels: Labels, examples: Sequence[Example]) -> LabelledRows:
    targets = torch.tensor([labels.target(example.target or "") for example in examples])
    return LabelledRows(tuple(e.ids for e in examples), targets, tuple(e.id for e in examples))


def _loss(labels: Labels, model: Any, batch: LabelledRows) -> Loss:
    logits = head_logits(model, batch.ids)
    if labels.multi:
        total = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.targets, reduction="sum")
        right = ((logits.detach().sigmoid() >= labels.threshold) == batch.targets.bool()).all(-1)
    else:
        total = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum")
        right = logits.detach().argmax(-1) == batch.targets
    return Loss(total, {"accuracy": float(right.sum())})


def _begin(model: Any, examples: Sequence[Example], _phase: int) -> State:
    """Raise InputError when the longest example has more tokens than the model has positions."""
    longest = max(examples, key=lambda example: example.length)
    positions = getattr(model.config, "max_position_embeddings", None)
    try:
        with torch.no_grad():
            head_logits(model, [longest.ids])
    except (IndexError, RuntimeError):
        if positions is None or longest.length <= positions - _RESERVED:
            raise
        problem = f"row {longest.id} has {longest.length} tokens, the model has {positions} positions"
        remedy = f"set it to {positions - _RESERVED} at most; tokenize.over_length says what happens to longer rows"
        raise InputError(problem, place="tokenize.max_length", remedy=remedy) from None
    return {}
