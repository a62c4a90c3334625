"""The rules of length, repetition and preference: rows too short or too long, that say the same again and again, or
whose rejected answer is the chosen one.

Counted in characters of the text as it will be trained on: of two answers, the longer counts, and either may repeat
itself.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tunegate.data.rows import Row, rows_of
from tunegate.data.similarity.shingles import repetition
from tunegate.params import Prepare

Left = dict[int, tuple[str, str | None]]
"""The number of a row in its batch to the reason why it is left out and the value that was in its way."""


def exceeded(batch: pa.RecordBatch, settings: Prepare) -> Left:
    """The rows of a batch that break a rule of `settings`, each with the first one that it breaks."""
    left: Left = {}
    # A later reason replaces an earlier one.
    left.update(_repetitive(batch, settings))
    left.update(_too_long(batch, settings))
    left.update(_too_short(batch, settings))
    left.update(_prefers_nothing(batch))
    return left


def _too_short(batch: pa.RecordBatch, settings: Prepare) -> Iterator[tuple[int, tuple[str, str]]]:
    if not settings.min_characters:
        return
    lengths = _lengths(batch["text"])
    for number, row in conversations(batch):
        lengths[number] = len(row.last_turn)
    for number in np.flatnonzero(lengths < settings.min_characters).tolist():
        yield number, ("too_short", f"{lengths[number]} characters")


def _too_long(batch: pa.RecordBatch, settings: Prepare) -> Iterator[tuple[int, tuple[str, str]]]:
    if settings.max_characters is None:
        return
    lengths = _lengths(batch["text"]) + np.maximum(_lengths(batch["label"]), _lengths(batch["rejected"]))
    for number, row in conversations(batch):
        length = sum(len(message["content"]) for message in row.messages or ())
        lengths[number] = length + max(0, len(row.rejected or "") - len(row.answer))
    for number in np.flatnonzero(lengths > settings.max_characters).tolist():
        yield number, ("too_long", f"{lengths[number]} characters")


def _repetitive(batch: pa.RecordBatch, settings: Prepare) -> Iterator[tuple[int, tuple[str, str]]]:
    if settings.max_repetition >= 1:
        return
    texts = [text or "" for text in batch["text"].to_pylist()]
    others: dict[int, str] = {}
    for number, row in conversations(batch):
        contents = [message["content"] for message in row.messages or ()]
        texts[number] = "\n".join(contents)
        if row.rejected is not None:
            others[number] = "\n".join([*contents[:-1], row.rejected])
    shares = repetition(texts)
    if others:
        rejected = list(others)
        shares[rejected] = np.maximum(shares[rejected], repetition([*others.values()]))
    for number in np.flatnonzero(shares > settings.max_repetition).tolist():
        yield number, ("repetitive", f"{shares[number]:.2f} repeated")


def _prefers_nothing(batch: pa.RecordBatch) -> Iterator[tuple[int, tuple[str, None]]]:
    rejected = batch["rejected"]
    if rejected.null_count == batch.num_rows:
        return
    same = pc.fill_null(pc.equal(batch["label"], rejected), False).to_numpy(zero_copy_only=False).copy()
    for number, row in conversations(batch):
        same[number] = row.answer == row.rejected
    for number in np.flatnonzero(same).tolist():
        yield number, ("rejected_is_chosen", None)


def _lengths(texts: pa.Array) -> Any:
    return pc.fill_null(pc.utf8_length(texts), 0).to_numpy(zero_copy_only=False).copy()


def conversations(batch: pa.RecordBatch) -> Iterator[tuple[int, Row]]:
    """Each row of a batch that is a conversation, with its number; making objects of the others would be waste."""
    numbers = np.flatnonzero(pc.is_valid(batch["messages"]).to_numpy(zero_copy_only=False))
    if len(numbers):
        yield from zip(numbers.tolist(), rows_of(batch.take(pa.array(numbers))), strict=True)
