"""How often the served answers are those of the stage `evaluate`.

Asks the engine as the gateway does, greedily, with every question in flight at once, and compares texts after
trimming, as `evaluate` does.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tunegate.engines.answers import answer
from tunegate.engines.chat import Chat
from tunegate.engines.protocol import Engine, Sampling
from tunegate.models.tokens.template import Message

TOLERANCE = 0.01
"""Accepted share of test questions with another answer: half-precision weights can tip a near tie."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A conversation and what `evaluate` recorded as its answer."""

    messages: list[Message]
    answer: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The result of a comparison; `different` pairs the index of a question with the answer that was served."""

    questions: int
    different: dict[int, str]

    @property
    def share(self) -> float:
        """The share of questions with equal answers; 0 when there are no questions."""
        return 1 - len(self.different) / self.questions if self.questions else 0.0

    @property
    def holds(self) -> bool:
        """Whether the share is within the tolerance."""
        return self.share >= 1 - TOLERANCE


async def agreement(engine: Engine, chat: Chat, expected: Sequence[Expected], max_tokens: int) -> Agreement:
    """Compare served with expected answers of at most `max_tokens` tokens."""
    served = await asyncio.gather(*(_ask(engine, chat, item.messages, max_tokens) for item in expected))
    pairs = enumerate(zip(served, expected, strict=True))
    return Agreement(len(expected), {i: text for i, (text, item) in pairs if text.strip() != item.answer.strip()})


async def _ask(engine: Engine, chat: Chat, messages: list[Message], max_tokens: int) -> str:
    chunks = answer(engine, chat, chat.prompt_ids(messages), Sampling(max_tokens), [])
    return "".join([chunk.text async for chunk in chunks])
