"""Distillation: at every trained position the student takes over the teacher's distribution, and not only its choice.

The loss is the divergence KL(teacher ‖ student) with both softened by a temperature T, times T² so that gradients stay
as large (arXiv 1503.02531), a mean over trained tokens; a share of it may be the usual loss on the row's own answer.
In some of the steps the student samples the answers itself and is corrected where it goes (arXiv 2306.13649).
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunegate.models.folders import TEACHER
from tunegate.models.loading import load_base, load_tokenizer
from tunegate.models.resources import bytes_of
from tunegate.models.tokens.examples import Example
from tunegate.params import Distill, Train
from tunegate.training.batching import Tokens, collate, shuffled
from tunegate.training.loss import logits_of
from tunegate.training.sampling import Sampler
from tunegate.training.sequence_likelihood import answered
from tunegate.training.technique import Loss, Prepared, Technique

NOTES = ("divergence", "agreement", "on_policy")
"""Means over trained tokens: the divergence at temperature 1, in nats; the share at which teacher and student would say
the same; and whether the student had sampled them."""


@dataclasses.dataclass(frozen=True)
class DistillationExample(Prepared):
    """An example, and whether its answer is the row's own or the student's."""

    sampled: bool


@dataclasses.dataclass(frozen=True)
class DistillationBatch:
    """A batch whose answers are all of one kind."""

    content: Tokens
    sampled: bool

    @property
    def rows(self) -> tuple[str, ...]:
        """The ids of the examples, in order."""
        return self.content.rows

    @property
    def tokens(self) -> int:
        """Tokens in it."""
        return self.content.tokens

    @property
    def units(self) -> int:
        """Trained tokens."""
        return self.content.units

    def to(self, device: str) -> "DistillationBatch":
        """The same batch on a device."""
        return DistillationBatch(self.content.to(device), self.sampled)


def distill(settings: Train, base: Path) -> Technique:
    """What distillation gives to the loop; the teacher lies with the student's base in the folder `base`."""
    how = settings.distill
    teacher = load_base(base / TEACHER, device=settings.device, precision=settings.precision).requires_grad_(False)
    sampler = Sampler(load_tokenizer(base).eos_token_id, how.max_new_tokens, tokens_per_batch=settings.tokens_per_batch)
    return Technique(
        collate=_collate,
        loss=lambda model, batch: _loss(model, batch, how, teacher),
        plan=shuffled,
        notes=NOTES,
        prepare=lambda model, examples, step: _prepared(model, examples, step, settings, sampler),
        extra_bytes=bytes_of(teacher),
    )


def divergence(teacher: torch.Tensor, student: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """KL(teacher ‖ student) of two sets of logits, shape (N, vocabulary) each, in nats: shape (N)."""
    target, given = (torch.log_softmax(logits / temperature, dim=-1) for logits in (teacher, student))
    return torch.nn.functional.kl_div(given, target, reduction="none", log_target=True).sum(-1)


def samples_in(step: int, settings: Train) -> bool:
    """Whether the student samples the answers of a step (from 0); drawn for each alone, so that resume is exact."""
    drawn = np.random.default_rng([settings.seed, step]).random()
    return bool(drawn < settings.distill.on_policy)


def _prepared(
    model: Any, examples: Sequence[Example], step: int, settings: Train, sampler: Sampler
) -> list[DistillationExample]:
    if step < 0 or not samples_in(step, settings):
        return [DistillationExample(example, sampled=False) for example in examples]
    answers = sampler(model, [example.ids[: example.prompt] for example in examples])
    return [DistillationExample(answered(e, answer), sampled=True) for e, answer in zip(examples, answers, strict=True)]


def _collate(items: Sequence[DistillationExample]) -> DistillationBatch:
    return DistillationBatch(collate([item.example for item in items]), items[0].sampled)


def _loss(model: Any, batch: DistillationBatch, how: Distill, teacher: Any) -> Loss:
    student = logits_of(model, batch.content)
    with torch.no_grad():
        target = logits_of(teacher, batch.content)
    # Some models have room for more tokens than their tokenizer knows: what both have is compared.
    width = min(student.shape[-1], target.shape[-1])
    student, target = student[:, :width], target[:, :width]
    total = divergence(target, student, how.temperature).sum() * how.temperature**2
    if how.hard_share and not batch.sampled:
        own = torch.nn.functional.cross_entropy(student, batch.content.targets, reduction="sum")
        total = (1 - how.hard_share) * total + how.hard_share * own
    with torch.no_grad():
        divergence_sum = float(divergence(target, student).sum())
        agreed = float((target.argmax(-1) == student.argmax(-1)).sum())
    return Loss(total, dict(zip(NOTES, (divergence_sum, agreed, float(batch.sampled * batch.units)), strict=True)))
