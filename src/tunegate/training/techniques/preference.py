"""Preference: the chosen answer becomes likelier than the rejected one. DPO, KTO and ORPO.

Both answers of a pair go through the model in one batch, each after the prompt. DPO and KTO compare with the model of
before training on the same batch. The loss is a mean over pairs; KTO's over answers, which it takes apart.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training.batching import grouped, shuffled
from tunegate.training.reference_model import Reference, bytes_of_copy, evaluating, reference_of
from tunegate.training.sequence_likelihood import Sequences, answered, laid_out, log_probs
from tunegate.training.technique import Loss, Prepared, Technique

NOTES = ("reward_chosen", "reward_rejected", "reward_margin", "preference_accuracy")
"""Implicit rewards, β times how much likelier an answer became (ORPO: β times its mean log-probability), and the share
of pairs in which that of the chosen one is higher."""

KL = "kl"

PairLosses = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Losses, rewards of the chosen answers and of the rejected ones; one number per pair."""


@dataclasses.dataclass(frozen=True)
class Pair(Prepared):
    """A preference, and how far the model has moved on answers that do not belong to their prompts."""

    kl: float


@dataclasses.dataclass(frozen=True)
class Pairs:
    """P pairs: sequence 2i is the chosen answer of pair i, and 2i + 1 the rejected one."""

    sequences: Sequences
    units: int
    kl: float | None = None

    @property
    def rows(self) -> tuple[str, ...]:
        """The ids of the pairs, in order."""
        return self.sequences.tokens.rows[::2]

    @property
    def tokens(self) -> int:
        """Tokens in it."""
        return self.sequences.tokens.tokens

    def to(self, device: str) -> "Pairs":
        """The same batch on a device."""
        return Pairs(self.sequences.to(device), self.units, self.kl)


def preference(settings: Train, model: Any) -> Technique:
    """What learning from preferences gives to the loop; `model` is what training starts from."""
    beta = settings.preference.beta
    if settings.preference.loss == "orpo":
        return Technique(_collate, _losses(lambda m, b: _orpo(m, b, beta)), shuffled, notes=NOTES)
    reference, extra = reference_of(model), bytes_of_copy(model)
    if settings.preference.loss == "dpo":
        return Technique(
            _collate, _losses(lambda m, b: _dpo(m, b, beta, reference)), shuffled, NOTES, extra_bytes=extra
        )
    return Technique(
        collate=_collate_kto,
        loss=_losses(lambda m, b: _kto(m, b, beta, reference)),
        plan=shuffled,
        notes=(*NOTES, KL),
        prepare=lambda m, examples, _step: _with_kl(m, examples, settings, reference),
        prepares_together=True,
        extra_bytes=extra,
    )


def _collate(examples: Sequence[Example]) -> Pairs:
    sequences = [half for e in examples for half in (dataclasses.replace(e, rejected=None), _rejected(e))]
    return Pairs(laid_out(sequences), units=len(examples))


def _collate_kto(pairs: Sequence[Pair]) -> Pairs:
    laid = _collate([pair.example for pair in pairs])
    return Pairs(laid.sequences, units=2 * len(pairs), kl=pairs[0].kl)


def _rejected(example: Example) -> Example:
    assert example.rejected is not None
    return answered(example, example.rejected)


def _losses(pair_losses: Callable[[Any, Pairs], PairLosses]) -> Callable[[Any, Pairs], Loss]:
    def loss(model: Any, batch: Pairs) -> Loss:
        losses, chosen, rejected = pair_losses(model, batch)
        margins, right = chosen - rejected, (chosen > rejected).float()
        # Notes become means over units, of which KTO has two in a pair.
        share = batch.units / len(losses)
        notes = (share * float(values.sum()) for values in (chosen, rejected, margins, right))
        kl = {} if batch.kl is None else {KL: batch.kl * batch.units}
        return Loss(losses.sum(), dict(zip(NOTES, notes, strict=True)) | kl)

    return loss


def _dpo(model: Any, batch: Pairs, beta: float, reference: Reference) -> PairLosses:
    """DPO: equation 7 of arXiv 2305.18290."""
    chosen, rejected = _ratios(model, batch.sequences, reference)
    return -logsigmoid(beta * (chosen - rejected)), beta * chosen.detach(), beta * rejected.detach()


def _kto(model: Any, batch: Pairs, beta: float, reference: Reference) -> PairLosses:
    """KTO: equation 8 of arXiv 2402.01306, with both weights 1."""
    assert batch.kl is not None
    chosen, rejected = _ratios(model, batch.sequences, reference)
    losses = 2 - torch.sigmoid(beta * (chosen - batch.kl)) - torch.sigmoid(beta * (batch.kl - rejected))
    return losses, beta * chosen.detach(), beta * rejected.detach()


def _orpo(model: Any, batch: Pairs, beta: float) -> PairLosses:
    """ORPO: equations 6 and 7 of arXiv 2403.07691; an answer is as likely as its tokens are in the mean."""
    means = batch.sequences.means(log_probs(model, batch.sequences.tokens))
    chosen, rejected = means[0::2], means[1::2]
    odds = (chosen - rejected) - (_log_of_other(chosen) - _log_of_other(rejected))
    return -chosen - beta * logsigmoid(odds), beta * chosen.detach(), beta * rejected.detach()


def _log_of_other(log_prob: torch.Tensor) -> torch.Tensor:
    """log(1 - p) of log(p). A likelihood of one, to the last bit, is taken for the largest number below."""
    return torch.log(-torch.expm1(log_prob.clamp(max=-torch.finfo(torch.float32).eps)))


def _ratios(model: Any, sequences: Sequences, reference: Reference) -> tuple[torch.Tensor, torch.Tensor]:
    """By how much likelier the chosen and the rejected answers became, in nats."""
    now = sequences.sums(log_probs(model, sequences.tokens))
    with reference() as before:
        then = sequences.sums(log_probs(before, sequences.tokens))
    ratios = now - then
    return ratios[0::2], ratios[1::2]


def _with_kl(model: Any, examples: Sequence[Example], settings: Train, reference: Reference) -> list[Pair]:
    """The pairs with KTO's estimate of the divergence: how much likelier answers became after another row's prompt.

    Over a step and not a batch, so that it does not depend on `tokens_per_batch`.
    """
    mismatched = list(_mismatched(examples))
    total = 0.0
    with evaluating(model):
        for group in grouped(mismatched, settings.tokens_per_batch or sum(e.length for e in mismatched)):
            ratios = _ratios(model, laid_out(group).to(settings.device), reference)
            total += sum(float(part.sum()) for part in ratios)
    # A pair alone has no other prompt: its answers would be measured after their own.
    kl = max(0.0, total / len(mismatched)) if len(examples) > 1 else 0.0
    return [Pair(example, kl) for example in examples]


def _mismatched(examples: Sequence[Example]) -> Iterator[Example]:
    longest = max(example.longest for example in examples)
    for example, other in zip(examples, [*examples[1:], examples[0]], strict=True):
        for answer in (example.ids[example.prompt :], example.rejected or []):
            # No longer than what the model sees anyway: it may not have more positions.
            yield answered(other, answer[: longest - other.prompt])
