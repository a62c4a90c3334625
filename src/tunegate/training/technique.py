"""What a technique gives to the loop. Every technique trains by the same loop, and so has its exact resume, divergence
detector, trajectory and accounting.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import torch

from tunegate.models.tokens.examples import Example
from tunegate.params import Train

Notes = dict[str, float]
"""Sums over the units of a batch, by name: what a technique records besides its loss."""

State = dict[str, Any]
"""What a technique knows beyond the weights, as JSON; it is part of every checkpoint."""


class Item(Protocol):
    """What batches are made of: an example, or what a technique made of one."""

    @property
    def id(self) -> str:
        """The row's id."""

    @property
    def length(self) -> int:
        """Tokens that the model sees of it."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """An item that is an example, and what a technique's subclass adds to it."""

    example: Example

    @property
    def id(self) -> str:
        """The row's id."""
        return self.example.id

    @property
    def length(self) -> int:
        """Tokens that the model sees of it."""
        return self.example.length


class Batch(Protocol):
    """What goes through the model at once."""

    @property
    def rows(self) -> tuple[str, ...]:
        """The ids of its rows, in order."""

    @property
    def tokens(self) -> int:
        """Tokens in it."""

    @property
    def units(self) -> int:
        """What the loss is a mean over: trained tokens, rows or pairs."""

    def to(self, device: str) -> Self:
        """The same batch on a device."""


@dataclasses.dataclass(frozen=True)
class Loss:
    """The loss of one batch."""

    total: torch.Tensor
    """Sum over the batch's units, a scalar in fp32."""
    notes: Notes = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Technique:
    """How one technique learns. `notes` are the names that its losses and preparations record."""

    collate: Callable[[Sequence[Any]], Any]
    """Items to a Batch."""
    loss: Callable[[Any, Any], Loss]
    """(model, batch): the batch's loss, with a graph."""
    plan: Callable[[Sequence[Example], Train, State], list["Step"]]
    """The steps of one phase."""
    notes: tuple[str, ...] = ()
    """Names of what it records besides the loss, as columns of the trajectory: means over units."""
    prepare: Callable[[Any, Sequence[Example], int], Sequence[Any]] | None = None
    """(model, a step's examples, step from 0): the items to learn from, for instance sampled answers."""
    prepares_together: bool = False
    """Whether `prepare` must see all of a step's examples at once; else each process sees those of its share."""
    begin: Callable[[Any, Sequence[Example], int], State] | None = None
    """(model, examples, phase from 0): called once before a phase; its state plans that phase."""
    phases: int = 1
    """How often a plan is made, each time with a learning rate that starts again."""
    watch: Callable[[Sequence[Mapping[str, Any]]], None] | None = None
    """(all records): called after every step; raises RefusedError where going on is of no use."""
    extra_bytes: int = 0
    """Bytes of weights that it holds in addition to the trained model's."""
    updates: int = 1
    """Optimizer updates on what was prepared for one step."""
    rows: Callable[[Sequence[Example], Sequence[Example]], tuple[Sequence[Example], Sequence[Example]]] | None = None
    """(train, valid): those rows that are learned from and those that measure it; raises InputError for rows that
    cannot be used. None: all."""
    keep: Callable[[Path, Sequence[Example], State], None] | None = None
    """(adapter's folder, examples, last state): called once after training, writes what else is to be kept of it."""
    compute_gradients: Callable[[Any, Sequence[Example], Any], tuple[float, Mapping[str, float]]] | None = None
    """(model, a step's examples, autocast): in place of loss and backward, fills the gradients of the trainable
    parameters itself; returns the loss and notes."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One optimizer step of a plan."""

    epoch: int
    """From 1."""
    ends_epoch: bool
    examples: Sequence[Example]
