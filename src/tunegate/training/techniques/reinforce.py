"""Reinforce: answers that the model samples become likelier by how much better they are than their siblings.

GRPO and RLOO. Several answers to each row are rewarded by programs and compared with each other, which takes no second
model to say what to expect. The loss is a mean over answers. Validation takes the likeliest answer to each row, whose
loss is minus its reward.
"""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tunegate.errors import RefusedError
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.params import Train
from tunegate.training.batching import shuffled
from tunegate.training.reference_model import Reference, bytes_of_copy, reference_of
from tunegate.training.sampling import Sampler
from tunegate.training.sequence_likelihood import Sequences, laid_out, log_probs
from tunegate.training.technique import Loss, Prepared, State, Step, Technique
from tunegate.training.techniques.rewards import Answer, Rewards

NOTES = ("reward", "reward_std", "equal_groups", "answer_length", "truncated")
"""Means over answers: reward; the standard deviation within its group; the share in groups with equal rewards, which
teach nothing; tokens; the share that was cut off."""

CLIPPED, KL = "clipped", "kl"

PATIENCE = 10
"""First steps of which one must have two different rewards for one row."""

_EPSILON = 1e-4
"""Keeps the deviation of almost equal rewards from making much of little."""


@dataclasses.dataclass(frozen=True)
class Rollout(Prepared):
    """A sampled answer after its prompt, and how much better it is than its siblings."""

    advantage: float
    notes: tuple[float, ...]
    """Its part of NOTES and of every reward."""


@dataclasses.dataclass(frozen=True)
class Rollouts:
    """A batch of S answers."""

    sequences: Sequences
    advantages: torch.Tensor
    """fp32, shape (S)."""
    notes: tuple[float, ...]
    """Sums over the answers."""
    first: dict[str, torch.Tensor] = dataclasses.field(default_factory=dict)
    """Results of the first pass over the batch, shape (N): later updates compare with them."""

    @property
    def rows(self) -> tuple[str, ...]:
        """The ids of the rows, one per answer."""
        return self.sequences.tokens.rows

    @property
    def tokens(self) -> int:
        """Tokens in it."""
        return self.sequences.tokens.tokens

    @property
    def units(self) -> int:
        """Answers in it."""
        return len(self.advantages)

    def to(self, device: str) -> "Rollouts":
        """The same batch on a device, without results."""
        return Rollouts(self.sequences.to(device), self.advantages.to(device), self.notes)

    def at_first(self, name: str, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The result of `compute` at the first call."""
        if name not in self.first:
            self.first[name] = compute().detach()
        return self.first[name]


@dataclasses.dataclass(frozen=True)
class _Sized:
    example: Example
    id: str
    length: int


def reinforce(settings: Train, model: Any, base: Path) -> Technique:
    """What reinforcement gives to the loop; `model` is what training starts from, made of the folder `base`."""
    how, rewards = settings.reinforce, Rewards(settings.reinforce.rewards)
    reference = reference_of(model) if how.kl else None
    names = (*NOTES, *rewards.names)
    return Technique(
        collate=_collate,
        loss=lambda m, batch: _loss(m, batch, settings, names, reference),
        plan=_plan,
        notes=(*names, CLIPPED, *([KL] if how.kl else [])),
        prepare=_Preparation(settings, load_tokenizer(base), rewards),
        watch=require_difference,
        extra_bytes=bytes_of_copy(model) if how.kl else 0,
        updates=how.updates,
    )


def advantages(rewards: Sequence[float], algorithm: str) -> list[float]:
    """How much better each of one row's answers is than the others.

    grpo: rewards less their mean, over their standard deviation (arXiv 2402.03300, section 4.1.2); rloo: each less the
    mean of the others (arXiv 2402.14740, equation 8).
    """
    mean, count = statistics.fmean(rewards), len(rewards)
    if algorithm == "rloo":
        return [(reward - mean) * count / (count - 1) for reward in rewards]
    deviation = statistics.stdev(rewards)
    return [(reward - mean) / (deviation + _EPSILON) for reward in rewards]


def _plan(examples: Sequence[Example], settings: Train, state: State) -> list[Step]:
    """Steps of as many rows as have room with all of their answers at their longest."""
    how = settings.reinforce
    sized = [_Sized(e, e.id, how.answers_per_row * (len(e.ids) + how.max_new_tokens)) for e in examples]
    plan = shuffled(sized, settings, state)  # type: ignore[arg-type]
    return [dataclasses.replace(s, examples=[item.example for item in s.examples]) for s in plan]  # type: ignore[attr-defined]


class _Preparation:
    """From a step's rows to rewarded answers."""

    def __init__(self, settings: Train, tokenizer: Any, rewards: Rewards) -> None:
        how = settings.reinforce
        self._how, self._tokenizer, self._rewards = how, tokenizer, rewards
        limit = settings.tokens_per_batch
        self._sampler = Sampler(tokenizer.eos_token_id, how.max_new_tokens, how.temperature, limit)

    def __call__(self, model: Any, examples: Sequence[Example], step: int) -> list[Rollout]:
        """The answers of a step; the likeliest one to each row where `step` is -1. Raises as `Rewards` does."""
        validates = step < 0
        count = 1 if validates else self._how.answers_per_row
        repeated = [example for example in examples for _ in range(count)]
        answers = self._sampler(model, [example.ids for example in repeated], greedy=validates)
        values = self._rewards([self._answer(e, ids) for e, ids in zip(repeated, answers, strict=True)])
        rollouts = []
        for start in range(0, len(repeated), count):
            group = slice(start, start + count)
            rollouts += self._group(repeated[group], answers[group], values[group])
        return rollouts

    def _answer(self, example: Example, ids: list[int]) -> Answer:
        text, prompt = (self._tokenizer.decode(part, skip_special_tokens=True) for part in (ids, example.ids))
        return Answer(example.id, text.strip(), example.target, prompt.strip(), dict(example.tasks or {}))

    def _group(
        self, examples: Sequence[Example], answers: Sequence[list[int]], values: Sequence[tuple[float, ...]]
    ) -> list[Rollout]:
        """The answers to one row."""
        totals = [self._rewards.total(value) for value in values]
        alone = len(totals) == 1
        better = totals if alone else advantages(totals, self._how.algorithm)
        deviation = 0.0 if alone else statistics.stdev(totals)
        equal = float(min(totals) == max(totals))
        rollouts = []
        for example, answer, gain, total, value in zip(examples, answers, better, totals, values, strict=True):
            cut = float(answer[-1] != self._tokenizer.eos_token_id)
            trained = Example(example.id, example.ids + answer, [IGNORED] * len(example.ids) + answer)
            rollouts.append(Rollout(trained, gain, (total, deviation, equal, float(len(answer)), cut, *value)))
        return rollouts


def require_difference(records: Sequence[Mapping[str, Any]]) -> None:
    """Raise RefusedError when in none of the first steps one row had two different rewards.

    Later there is nothing wrong with it: all answers may be right at last.
    """
    if len(records) == PATIENCE and all(record["equal_groups"] == 1 for record in records):
        problem = f"in the first {PATIENCE} steps all answers to a row were worth the same, the last ones"
        problem += f" {records[-1]['reward']:g}: nothing can be learned from them"
        remedy = "reward what the model already does at times, raise answers_per_row or temperature, or train by "
        remedy += "sft first"
        raise RefusedError(problem, place="train.reinforce", remedy=remedy)


def _collate(rollouts: Sequence[Rollout]) -> Rollouts:
    gains = torch.tensor([rollout.advantage for rollout in rollouts])
    notes = tuple(sum(values) for values in zip(*(rollout.notes for rollout in rollouts), strict=True))
    return Rollouts(laid_out([rollout.example for rollout in rollouts]), gains, notes)


def _loss(model: Any, batch: Rollouts, settings: Train, names: Sequence[str], reference: Reference | None) -> Loss:
    """GRPO compares the probabilities of tokens, RLOO those of whole answers; both add the weighted divergence."""
    how, sequences = settings.reinforce, batch.sequences
    now = log_probs(model, sequences.tokens, how.temperature)
    moved = now - batch.at_first("log_probs", lambda: now)
    by_token = how.algorithm == "grpo"
    gains = batch.advantages[sequences.owners] if by_token else batch.advantages
    ratios = torch.exp(moved if by_token else sequences.sums(moved))
    losses = -torch.minimum(ratios * gains, ratios.clamp(1 - how.clip, 1 + how.clip) * gains)
    clipped = torch.where(gains > 0, ratios > 1 + how.clip, ratios < 1 - how.clip) & (gains != 0)
    notes = dict(zip(names, batch.notes, strict=True))
    notes[CLIPPED] = float((sequences.means(clipped.float()) if by_token else clipped.float()).sum())
    if by_token:
        losses = sequences.means(losses)
    if reference is not None:
        before = batch.at_first("reference", lambda: _before(reference, sequences, how.temperature))
        # The estimate that has no negative values: r - log r - 1 with r = p_before / p_now.
        divergence = torch.exp(before - now) - (before - now) - 1
        losses = losses + how.kl * (sequences.means(divergence) if by_token else sequences.sums(divergence))
        notes[KL] = float(sequences.means(divergence).detach().sum())
    return Loss(losses.sum(), notes)


def _before(reference: Reference, sequences: Sequences, temperature: float) -> torch.Tensor:
    with reference() as model:
        return log_probs(model, sequences.tokens, temperature)
