"""What of an example is trained on, as text: the spans that a preview colours.

Tokens are decoded in runs, since a letter may be several of them.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

from tunegate.files import write_json
from tunegate.models.tokens.examples import IGNORED, Example, examples_from
from tunegate.tables import parquet_batches

FILE = "preview.json"
SHOWN = 4
"""Rows of a preview."""


@dataclasses.dataclass(frozen=True)
class Span:
    """A run of tokens of one kind."""

    text: str
    trained: bool
    tokens: int


def spans_of(tokenizer: Any, example: Example) -> list[Span]:
    """The example as runs of trained and of untrained tokens, in order; what is `rejected` is left out."""
    pairs = zip(example.ids, (label != IGNORED for label in example.labels), strict=True)
    runs = ((trained, [token for token, _ in run]) for trained, run in itertools.groupby(pairs, key=lambda p: p[1]))
    return [Span(tokenizer.decode(ids, skip_special_tokens=False), trained, len(ids)) for trained, ids in runs]


def write_preview(tokenizer: Any, folder: Path) -> None:
    """Write the first training rows of a folder of tokens, as spans, to FILE in it."""
    batch = next(iter(parquet_batches(folder / "train.parquet")))
    shown = {example.id: spans_of(tokenizer, example) for example in examples_from(batch.slice(0, SHOWN))}
    write_json(folder / FILE, {name: list(map(dataclasses.asdict, spans)) for name, spans in shown.items()})
