"""How likely whole sequences are: log-probabilities at the trained positions, and which sequence each belongs to.

For techniques whose loss is over answers and not over tokens. Knows batches and how they are laid out; does not know
techniques.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.training.batching import Tokens, collate
from tunegate.training.loss import log_probs_of, logits_of


@dataclasses.dataclass(frozen=True)
class Sequences:
    """S sequences in one batch, with N trained positions between them."""

    tokens: Tokens
    owners: torch.Tensor
    """int64, shape (N): the number of the sequence that each trained position belongs to."""
    lengths: torch.Tensor
    """fp32, shape (S): trained positions of each sequence."""

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """Values of the trained positions, shape (N), summed over each sequence: shape (S)."""
        return torch.zeros_like(self.lengths).index_add(0, self.owners, values)

    def means(self, values: torch.Tensor) -> torch.Tensor:
        """Values of the trained positions, shape (N), as the mean of each sequence: shape (S)."""
        return self.sums(values) / self.lengths

    def to(self, device: str) -> "Sequences":
        """The same on a device."""
        return Sequences(self.tokens.to(device), self.owners.to(device), self.lengths.to(device))


def laid_out(examples: Sequence[Example]) -> Sequences:
    """The examples as sequences of one batch, in their order."""
    lengths = torch.tensor([sum(label != IGNORED for label in example.labels[1:]) for example in examples])
    owners = torch.repeat_interleave(torch.arange(len(examples)), lengths)
    return Sequences(collate(examples), owners, lengths.float())


def answered(example: Example, answer: list[int]) -> Example:
    """The example's prompt with an answer to be trained on."""
    prompt = example.ids[: example.prompt]
    return Example(example.id, prompt + answer, [IGNORED] * len(prompt) + answer)


def log_probs(model: Any, tokens: Tokens, temperature: float = 1.0) -> torch.Tensor:
    """Log-probability of the target at each trained position, in nats, fp32, shape (N).

    With a temperature, in the distribution that answers are sampled from.
    """
    if temperature == 1:
        return log_probs_of(model, tokens)
    logits = logits_of(model, tokens) / temperature
    return -torch.nn.functional.cross_entropy(logits, tokens.targets, reduction="none")
