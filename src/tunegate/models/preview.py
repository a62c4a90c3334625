"""What of an example is trained on, as text: the pieces that people see coloured.

Tokens are decoded in runs, since a letter may be several of them. Reads and writes nothing.
"""

import dataclasses
import itertools
from typing import Any

from tunegate.models.examples import IGNORED, Example


@dataclasses.dataclass(frozen=True)
class Piece:
    """A run of tokens of one kind."""

    text: str
    trained: bool
    tokens: int


def pieces_of(tokenizer: Any, example: Example) -> list[Piece]:
    """The example as runs of trained and of untrained tokens, in order; what is `rejected` is left out."""
    pairs = zip(example.ids, (label != IGNORED for label in example.labels), strict=True)
    runs = ((trained, [token for token, _ in run]) for trained, run in itertools.groupby(pairs, key=lambda p: p[1]))
    return [Piece(tokenizer.decode(ids, skip_special_tokens=False), trained, len(ids)) for trained, ids in runs]
