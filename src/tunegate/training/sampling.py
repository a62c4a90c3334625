"""Answers that a model samples to prompts while it is trained, as its own distribution has them.

Whatever the model's files say about generation (top-k, penalties) is left out: it would sample from another
distribution than the one whose gradient is taken. Draws from torch's random state, which checkpoints hold. Reads and
writes nothing.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from tunegate.training.batching import grouped
from tunegate.training.reference import evaluating


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
        asked = [_Asked(number, prompt, self.max_new_tokens) for number, prompt in enumerate(prompts)]
        ordered = sorted(asked, key=lambda item: (item.length, item.number))
        found: dict[int, list[int]] = {}
        for group in grouped(ordered, self.tokens_per_batch or sum(item.length for item in asked)):
            answers = self._sampled(model, [item.prompt for item in group], greedy)
            found |= {item.number: answer for item, answer in zip(group, answers, strict=True)}
        return [found[number] for number in range(len(prompts))]

    def _sampled(self, model: Any, prompts: Sequence[list[int]], greedy: bool) -> list[list[int]]:
        width = max(map(len, prompts))
        device = next(model.parameters()).device
        # Padded on the left by a token that the mask hides: which one does not matter.
        ids = torch.tensor([[self.eos] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
        with evaluating(model):
            made = model.generate(input_ids=ids, attention_mask=mask, generation_config=self._config(greedy))
        return [self._ended(row) for row in made[:, width:].tolist()]

    def _config(self, greedy: bool) -> Any:
        from transformers import GenerationConfig

        how: dict[str, Any] = {"do_sample": False}
        if not greedy:
            how = {"do_sample": True, "temperature": self.temperature, "top_k": 0, "top_p": 1.0, "typical_p": 1.0}
        return GenerationConfig(
            **how,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=self.eos,
            pad_token_id=self.eos,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            num_beams=1,
            use_cache=True,
        )

    def _ended(self, answer: list[int]) -> list[int]:
        return answer[: answer.index(self.eos) + 1] if self.eos in answer else answer


@dataclasses.dataclass(frozen=True)
class _Asked:
    number: int
    prompt: list[int]
    room: int

    @property
    def id(self) -> str:
        return str(self.number)

    @property
    def length(self) -> int:
        return len(self.prompt) + self.room
