"""How likely both models hold the test rows of technique `pretrain`: raw text, to which nothing is answered.

A row's text is its reference; question and answers are empty. Long documents are split, as in training. The row's
source is added to its slices, so that the domain and general text are measured apart: what the model forgets.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm

from tunegate.evaluation.answers import Question, nll_of
from tunegate.evaluation.examples import MODELS
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.formats.raw_text import RawText, split_document
from tunegate.models.tuned import TunedModel
from tunegate.params import Evaluate

Row = dict[str, Any]

LONGEST = 1024
"""Tokens of a document that are read at once, where the model reads as many."""
_TOGETHER = 2048
"""Tokens that go through the model together: a probability for every word of the vocabulary at each takes memory."""


def read_all(
    tuned: TunedModel, tokenizer: Any, rows: Sequence[Row], settings: Evaluate, *, models: Sequence[str] = MODELS
) -> list[Row]:
    """One row of models/predictions.parquet per test row, sorted by id; `models` are those that read.

    Raises InputError that names a row which is not raw text.
    """
    limit = min(LONGEST, getattr(tuned.plain.config, "max_position_embeddings", None) or LONGEST)
    parts = _parts(tokenizer, rows, limit)
    likelihoods = {}
    for name in models:
        with tuned.untuned() if name == "base" else contextlib.nullcontext(tuned.model) as model:
            likelihoods[name] = _read(model, tokenizer, parts, settings, name)
    return [_prediction(row, likelihoods) for row in sorted(rows, key=lambda row: str(row["id"]))]


def with_source(row: Row) -> Row:
    """The row with its source among its slices, unless a slice of it has this name."""
    return row | {"slices": sorted({"source": row["source"], **dict(row["slices"] or [])}.items())}


def _parts(tokenizer: Any, rows: Sequence[Row], limit: int) -> list[Question]:
    """The documents, long ones split, each a first token and what follows it."""
    examples = zip(rows, RawText()(Recipe.of(tokenizer), rows), strict=True)
    return [
        Question(row, part.ids[:1], "", part.ids[1:])
        for row, example in examples
        for part in split_document(example, limit)
    ]


def _read(
    model: Any, tokenizer: Any, parts: Sequence[Question], settings: Evaluate, name: str
) -> dict[str, tuple[float, float]]:
    """(nats per token, seconds) by row."""
    sums: dict[str, list[float]] = {}
    ordered = sorted(parts, key=lambda part: (len(part.reference_ids), part.row["id"]))
    with torch.inference_mode(), tqdm(total=len(ordered), desc=f"evaluate {name}", unit="document") as bar:
        for batch in _chunks(ordered, settings.batch_size):
            started = time.perf_counter()
            losses = nll_of(model, tokenizer, batch, settings)
            seconds = (time.perf_counter() - started) / len(batch)
            for part, nll in zip(batch, losses, strict=True):
                total = sums.setdefault(part.row["id"], [0.0, 0.0, 0.0])
                for at, more in enumerate((nll * len(part.reference_ids), len(part.reference_ids), seconds)):
                    total[at] += more
            bar.update(len(batch))
    return {row: (total / tokens, seconds) for row, (total, tokens, seconds) in sums.items()}


def _chunks(parts: Sequence[Question], size: int) -> Iterator[list[Question]]:
    """Documents in their order, which is by length: as many together as `size` and the memory allow."""
    chunk: list[Question] = []
    for part in parts:
        if chunk and (len(chunk) == size or (len(chunk) + 1) * (1 + len(part.reference_ids)) > _TOGETHER):
            yield chunk
            chunk = []
        chunk.append(part)
    if chunk:
        yield chunk


def _prediction(row: Row, likelihoods: dict[str, dict[str, tuple[float, float]]]) -> Row:
    scores: Row = {}
    for name, rows in likelihoods.items():
        nll, seconds = rows[row["id"]]
        scores |= {f"{name}_answer": "", f"{name}_correct": False, f"{name}_nll": nll, f"{name}_seconds": seconds}
    common = {"id": row["id"], "group": row["group"], "question": "", "reference": row["text"], "label": None}
    return common | {"slices": with_source(row)["slices"]} | scores
