"""Spans of a text: of those that overlap the first is kept, and other text is put in their place.

In time linear in the text, however many spans there are.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Place(Protocol):
    """A part of a text."""

    @property
    def start(self) -> int:
        """Its first character."""

    @property
    def end(self) -> int:
        """The character after its last."""


SpanT = TypeVar("SpanT", bound=Place)


def first_come(places: Iterable[SpanT], length: int) -> list[SpanT]:
    """The places in a text of `length` characters that overlap none before them, from left to right."""
    taken = bytearray(length)
    kept = []
    for place in places:
        if not any(taken[place.start : place.end]):
            taken[place.start : place.end] = b"\1" * (place.end - place.start)
            kept.append(place)
    return sorted(kept, key=lambda place: place.start)


def replaced(text: str, places: Iterable[SpanT], replacement: Callable[[SpanT], str]) -> str:
    """`text` with what `replacement` gives at each of `places`, which are in order and do not overlap."""
    parts, done = [], 0
    for place in places:
        parts += [text[done : place.start], replacement(place)]
        done = place.end
    return "".join([*parts, text[done:]])
