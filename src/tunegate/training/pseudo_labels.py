"""A model's own greedy answers to questions, each with the probability of the whole of it.

Works on examples that are prompts; reads and writes nothing. Does not know what the answers are for.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tunegate.models.tokens.examples import Example
from tunegate.training.batching import grouped
from tunegate.training.reference_model import evaluating
from tunegate.training.sampling import Sampler
from tunegate.training.sequence_likelihood import answered, laid_out, log_probs


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

    `end` is the token that ends an answer; `tokens` bounds what is answered together.
    """
    said = Sampler(end, longest, tokens_per_batch=tokens)(model, [example.ids for example in prompts], greedy=True)
    made = [
        answered(example, answer)
        for example, answer in zip(prompts, said, strict=True)
        if len(answer) > 1 and answer[-1] == end
    ]
    found = list[Guess]()
    with evaluating(model):
        for group in grouped(made, tokens) if made else []:
            laid = laid_out(group).to(device)
            sums = laid.sums(log_probs(model, laid.tokens)).tolist()
            found += [Guess(e.id, e.ids[e.prompt :], math.exp(logs)) for e, logs in zip(group, sums, strict=True)]
    return found
