"""What a head answers to the test rows: its label or labels, and how likely it held those of the row.

Rows of similar length go together. The untuned model has the same head as it was initialised, before any training.
"""

import contextlib
import dataclasses
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm

from tunegate.errors import InputError
from tunegate.evaluation.examples import MODELS
from tunegate.models.batch_layouts import head_logits, max_positions
from tunegate.models.labels import Labels
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.formats.classes import label_of, shortened, text_ids
from tunegate.models.tokens.rows import question_of
from tunegate.models.tuned import TunedModel
from tunegate.params import Evaluate

Row = dict[str, Any]

UNSEEN_NLL = -math.log(1e-6)
"""Counted for each label of a row that no training row has: the head gives it no probability at all."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A test row as tokens, and its labels."""

    row: Row
    ids: list[int]
    reference: tuple[str, ...]


def classify_all(
    tuned: TunedModel, tokenizer: Any, rows: Sequence[Row], settings: Evaluate, *, models: Sequence[str] = MODELS
) -> list[Row]:
    """One row of models/predictions.parquet per test row, sorted by id.

    `models` are those that answer; the columns of another are left out. Raises InputError for rows without a label.
    """
    labels = Labels.recorded(tuned.record.model_dump())
    limit = min(tokenizer.model_max_length, max_positions(tuned.plain) or tokenizer.model_max_length)
    questions = _questions(labels, tokenizer, rows, limit)
    answers: dict[str, dict[str, Row]] = {}
    for name in models:
        with tuned.untuned() if name == "base" else contextlib.nullcontext(tuned.model) as model:
            answers[name] = dict(_answers(model, labels, questions, settings, name))
    return [_prediction(labels, q, answers) for q in sorted(questions, key=lambda q: str(q.row["id"]))]


def unseen_labels(tuned: TunedModel, rows: Sequence[Row]) -> dict[str, int]:
    """Labels of test rows that no training row has, and how many rows have each: they are answered wrongly."""
    labels = Labels.recorded(tuned.record.model_dump())
    return dict(Counter(sorted(name for row in rows for name in labels.unknown(label_of(row) or ""))))


def _questions(labels: Labels, tokenizer: Any, rows: Sequence[Row], limit: int) -> list[Question]:
    recipe = Recipe.of(tokenizer)
    questions = []
    for row in rows:
        label = label_of(row)
        if label is None or not (labels.multi or label.strip()):
            remedy = "label it, or leave unlabelled rows out of data/frozen and data/sources.yaml"
            raise InputError("a test row without a label", place=f"row {row['id']}", remedy=remedy)
        ids = shortened(recipe, text_ids(recipe, row), limit)
        questions.append(Question(row, ids, labels.of(label)))
    return questions


def _answers(
    model: Any, labels: Labels, questions: list[Question], settings: Evaluate, name: str
) -> Iterator[tuple[str, Row]]:
    ordered = sorted(questions, key=lambda q: (len(q.ids), q.row["id"]))
    with torch.inference_mode(), tqdm(total=len(ordered), desc=f"evaluate {name}", unit="row") as bar:
        for start in range(0, len(ordered), settings.batch_size):
            batch = ordered[start : start + settings.batch_size]
            started = time.perf_counter()
            logits = head_logits(model, [question.ids for question in batch]).cpu()
            seconds = (time.perf_counter() - started) / len(batch)
            for question, row in zip(batch, logits, strict=True):
                predicted = _predicted(labels, row)
                nll = _nll(labels, row, question.reference)
                answer = {"answer": labels.text(predicted), "correct": predicted == question.reference, "nll": nll}
                yield question.row["id"], answer | {"seconds": seconds}
            bar.update(len(batch))


def _predicted(labels: Labels, logits: torch.Tensor) -> tuple[str, ...]:
    if not labels.multi:
        return (labels.names[int(logits.argmax())],)
    return tuple(
        name
        for name, probability in zip(labels.names, logits.sigmoid(), strict=True)
        if probability >= labels.threshold
    )


def _nll(labels: Labels, logits: torch.Tensor, reference: tuple[str, ...]) -> float:
    """Minus the log of the probability of the row's labels, and of no others, in nats."""
    present = [name in reference for name in labels.names]
    unseen = UNSEEN_NLL * (len(reference) - sum(present))
    if labels.multi:
        signs = torch.tensor([1.0 if has else -1.0 for has in present])
        return unseen - float(torch.nn.functional.logsigmoid(signs * logits).sum())
    return unseen or -float(torch.log_softmax(logits, -1)[present.index(True)])


def _prediction(labels: Labels, question: Question, answers: dict[str, dict[str, Row]]) -> Row:
    row, reference = question.row, labels.text(question.reference)
    common = {"id": row["id"], "group": row["group"], "question": question_of(row), "reference": reference}
    scores = {f"{name}_{k}": v for name, rows in answers.items() for k, v in rows[row["id"]].items()}
    return common | {"label": reference, "slices": row["slices"]} | scores
