"""From tokens to the text of an answer: decoding as it grows, stop strings, and cancelling what is not needed."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tunegate.engines.chat import Chat
from tunegate.engines.protocol import Engine, Finish, Sampling


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A part of an answer's text; `tokens` counts all new tokens so far, `finish` is set on the last chunk."""

    text: str
    tokens: int
    finish: Finish | None = None


class StopFilter:
    """Passes text on up to the first stop string, holding back what may be the beginning of one."""

    def __init__(self, stops: list[str]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """The text that is certain not to belong to a stop string."""
        self._held += text
        hits = [index for stop in self._stops if (index := self._held.find(stop)) >= 0]
        if hits:
            self.stopped = True
            return self._release(min(hits))
        keep = max((self._overlap(stop) for stop in self._stops), default=0)
        return self._release(len(self._held) - keep)

    def end(self) -> str:
        """What was held back and turned out not to begin a stop string."""
        return "" if self.stopped else self._release(len(self._held))

    def _overlap(self, stop: str) -> int:
        longest = min(len(stop) - 1, len(self._held))
        return next((n for n in range(longest, 0, -1) if self._held.endswith(stop[:n])), 0)

    def _release(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text


async def answer(
    engine: Engine, chat: Chat, prompt: list[int], sampling: Sampling, stops: list[str]
) -> AsyncIterator[TextChunk]:
    """Yield the answer's text in chunks; the last one, possibly empty, says why it ended."""
    decoder, stop = chat.decoder(), StopFilter(stops)
    tokens = 0
    async with contextlib.aclosing(engine.generate(prompt, sampling)) as steps:  # type: ignore[type-var]
        async for step in steps:
            tokens += len(step.tokens)
            text = stop.push(decoder.push(step.tokens))
            if step.finish and not stop.stopped:
                text += stop.push(decoder.end())
            if stop.stopped or step.finish:
                yield TextChunk(text + stop.end(), tokens, "stop" if stop.stopped else step.finish)
                return
            if text:
                yield TextChunk(text, tokens)
