"""Long documents as several examples, for `tokenize.over_length: split`.

A document of more than `limit` tokens becomes as few pieces as hold it, of nearly the same length: none is a last word
alone. Pieces do not overlap; the first token of each is predicted by nothing. Reads and writes nothing.
"""

import dataclasses
import itertools

from tunegate.models.tokens.examples import IGNORED, Example


def pieces_of(example: Example, limit: int) -> list[Example]:
    """The example as examples of at most `limit` tokens: `id`, `id#2`, `id#3`, …"""
    length = len(example.ids)
    count = count_of(length, limit)
    if count == 1:
        return [example]
    bounds = [length * number // count for number in range(count + 1)]
    return [
        dataclasses.replace(
            example,
            id=example.id if number == 0 else f"{example.id}#{number + 1}",
            ids=example.ids[start:end],
            labels=[IGNORED, *example.labels[start + 1 : end]],
        )
        for number, (start, end) in enumerate(itertools.pairwise(bounds))
    ]


def count_of(length: int, limit: int) -> int:
    """How many pieces a document of `length` tokens makes."""
    return max(1, -(-length // limit))
