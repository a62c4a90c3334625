"""A model's own greedy answers to questions, each with the probability of the whole of it.

Works on examples that are prompts; reads and writes nothing. Does not know what the answers are for.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch

from tunegate.models.examples import Example
from tunegate.training.batching import grouped


@dataclasses.dataclass(frozen=True)
class Guess:
    """What the model answers to one question."""

    id: str
    answer: list[int]
    """Token ids, with the one that ends it."""
    confidence: float
    """Probability of the whole answer: the product of its tokens'."""


def guesses(model: Any, prompts: Sequence[Example], *, end: int, longest: int, tokens: int, device: str) -> list[Guess]:
    """An answer to each of the prompts, in their order; one that is empty, or does not end within `longest`
    tokens, is left out.

    `end` is the token that ends an answer; `tokens` bounds the prompts that are answered together.
    """
    ordered = sorted(prompts, key=lambda example: (-example.length, example.id))
    model.eval()
    with torch.no_grad():
        found = {
            guess.id: guess
            for group in grouped(ordered, tokens)
            for guess in _answered(model, group, end, longest, device)
        }
    return [found[example.id] for example in prompts if example.id in found]


def _answered(model: Any, group: Sequence[Example], end: int, longest: int, device: str) -> list[Guess]:
    width = max(example.length for example in group)
    ids = torch.tensor([[end] * (width - example.length) + example.ids for example in group], device=device)
    mask = torch.tensor([[0] * (width - example.length) + [1] * example.length for example in group], device=device)
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=longest,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        output_logits=True,
        return_dict_in_generate=True,
    )
    answers = output.sequences[:, width:]
    chances = torch.log_softmax(torch.stack(output.logits, dim=1).float(), dim=-1)
    chosen = chances.gather(-1, answers[..., None]).squeeze(-1).double().cpu()
    made = []
    for example, answer, logs in zip(group, answers.tolist(), chosen, strict=True):
        if end in answer[1:] and answer[0] != end:
            length = answer.index(end) + 1
            made.append(Guess(example.id, answer[:length], math.exp(math.fsum(logs[:length].tolist()))))
    return made
