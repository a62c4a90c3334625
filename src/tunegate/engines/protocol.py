"""What every engine offers: token ids in, token ids out, asynchronously, one step at a time.

The gateway serves by this protocol and stages score by it, so what answers in production can be measured before it
does. Text, chat templates and stop strings are not an engine's concern: `tunegate.engines.chat` turns conversations
into ids, `tunegate.engines.answers` turns ids into text.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

Finish = Literal["stop", "length"]
"""Why an answer ended: by the model's own end token, or at the limit."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose tokens. Temperature 0 is greedy, and the same prompt then gives the same answer."""

    max_tokens: int
    """Most new tokens, 1 or more."""
    temperature: float = 0.0
    """0 or more; divides the logits."""
    top_p: float = 1.0
    """Nucleus sampling (arXiv 1904.09751): the probability mass that tokens are drawn from, above 0 and at most 1."""
    seed: int | None = None
    """Repeats a sampled answer; drawn anew for each request when None."""


@dataclass(frozen=True, slots=True)
class Step:
    """New tokens of one request, in order; `finish` is set on its last step."""

    tokens: list[int]
    finish: Finish | None = None


class Engine(Protocol):
    """An opened model that answers any number of requests at once."""

    @property
    def context(self) -> int:
        """The most tokens of prompt and answer together."""
        ...

    @property
    def alive(self) -> bool:
        """Whether requests can still be answered; an engine that has failed stays dead."""
        ...

    def generate(self, prompt: list[int], sampling: Sampling) -> AsyncIterator[Step]:
        """Yield the answer to a prompt (token ids, not empty) in steps; closing the iterator cancels the request.

        Raises MachineError when the engine has failed or the request does not fit into its memory.
        """
        ...
