"""Answers that a model samples to prompts while it is trained, as its own distribution has them.

Draws from torch's random state, which checkpoints hold.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tunegate.models.generation import generated
from tunegate.training.batching import grouped
from tunegate.training.reference_model import evaluating


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How answers are sampled."""

    eos: int
    """The token that ends an answer."""
    max_new_tokens: int
    """Longest answer, in tokens."""
    temperature: float = 1.0
    """The logits are divided by it."""
    tokens_per_batch: int | None = None
    """Prompts and longest answers that are sampled together, in tokens. null: all."""

    def __call__(self, model: Any, prompts: Sequence[list[int]], *, greedy: bool = False) -> list[list[int]]:
        """The tokens of one answer to each prompt, with the one that ends it unless it was cut off."""
        numbered = [_Prompt(number, prompt, self.max_new_tokens) for number, prompt in enumerate(prompts)]
        ordered = sorted(numbered, key=lambda item: (item.length, item.number))
        own = {"do_sample": True, "temperature": self.temperature, "top_k": 0, "top_p": 1.0}
        how: dict[str, Any] = {} if greedy else own
        answers_by_number: dict[int, list[int]] = {}
        for group in grouped(ordered, self.tokens_per_batch or sum(item.length for item in numbered)):
            with evaluating(model):
                answers = generated(
                    model, [item.ids for item in group], end=self.eos, longest=self.max_new_tokens, **how
                )
            answers_by_number |= {item.number: answer for item, answer in zip(group, answers, strict=True)}
        return [answers_by_number[number] for number in range(len(prompts))]


@dataclasses.dataclass(frozen=True)
class _Prompt:
    number: int
    ids: list[int]
    room: int

    @property
    def id(self) -> str:
        return str(self.number)

    @property
    def length(self) -> int:
        return len(self.ids) + self.room
