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
class Lesson(Prepared):
    """An example, and whether its answer is the row's own or the student's."""

    sampled: bool


@dataclasses.dataclass(frozen=True)
class Lessons:
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

    def to(self, device: str) -> "Lessons":
        """The same batch on a device."""
        return Lessons(self.content.to(device), self.sampled)


def distill(settings: Train, base: Path) -> Technique:
    """What distillation gives to the loop; the teacher stands beside the student's base, in the folder `base`."""
    how = settings.distill
    teacher = load_base(base / TEACHER, device=settings.device, precision=settings.precision).requires_grad_(False)
    sampler = Sampler(load_tokenizer(base).eos_token_id, how.max_new_tokens, tokens_per_batch=settings.tokens_per_batch)
    return Technique(
        collate=_collate,
        loss=lambda model, batch: _loss(model, batch, how, teacher),
        plan=shuffled,
        notes=NOTES,
        prepare=lambda model, examples, step: _lessons(model, examples, step, settings, sampler),
        beside=bytes_of(teacher),
    )


def divergence(teacher: torch.Tensor, student: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """KL(teacher ‖ student) of two sets of logits, shape (N, vocabulary) each, in nats: shape (N)."""
    wanted, given = (torch.log_softmax(logits / temperature, dim=-1) for logits in (teacher, student))
    return torch.nn.functional.kl_div(given, wanted, reduction="none", log_target=True).sum(-1)


def samples_in(step: int, settings: Train) -> bool:
    """Whether the student samples the answers of a step (from 0); drawn for each alone, so that resume is exact."""
    drawn = np.random.default_rng([settings.seed, step]).random()
    return bool(drawn < settings.distill.on_policy)


def _lessons(model: Any, examples: Sequence[Example], step: int, settings: Train, sampler: Sampler) -> list[Lesson]:
    if step < 0 or not samples_in(step, settings):
        return [Lesson(example, sampled=False) for example in examples]
    answers = sampler(model, [example.ids[: example.prompt] for example in examples])
    return [Lesson(answered(e, answer), sampled=True) for e, answer in zip(examples, answers, strict=True)]


def _collate(lessons: Sequence[Lesson]) -> Lessons:
    return Lessons(collate([lesson.example for lesson in lessons]), lessons[0].sampled)


def _loss(model: Any, batch: Lessons, how: Distill, teacher: Any) -> Loss:
    student = logits_of(model, batch.content)
    with torch.no_grad():
        wanted = logits_of(teacher, batch.content)
    # Some models have room for more tokens than their tokenizer knows: what both have is compared.
    width = min(student.shape[-1], wanted.shape[-1])
    student, wanted = student[:, :width], wanted[:, :width]
    total = divergence(wanted, student, how.temperature).sum() * how.temperature**2
    if how.hard_share and not batch.sampled:
        own = torch.nn.functional.cross_entropy(student, batch.content.targets, reduction="sum")
        total = (1 - how.hard_share) * total + how.hard_share * own
    with torch.no_grad():
        apart = float(divergence(wanted, student).sum())
        agreed = float((wanted.argmax(-1) == student.argmax(-1)).sum())
    return Loss(total, dict(zip(NOTES, (apart, agreed, float(batch.sampled * batch.units)), strict=True)))
