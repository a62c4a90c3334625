"""What a model answers to the test rows: greedy answers, correctness, likelihood of the reference, time.

Rows of similar length are answered together, padded on the left. The untuned base is what the tuned model
was before training, and both see the same tokens.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import torch
from tqdm import tqdm

from tunegate.errors import InputError
from tunegate.evaluation.examples import MODELS, is_correct
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.formats.answers import is_answered, unanswered
from tunegate.models.tokens.rows import messages_of, pairs_of, question_of
from tunegate.models.tuned import TunedModel
from tunegate.params import Evaluate

Row = dict[str, Any]

PREDICTION = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.string()),
        ("question", pa.string()),
        ("reference", pa.string()),
        ("label", pa.string()),
        ("slices", pa.map_(pa.string(), pa.string())),
    ]
    + [
        (f"{model}_{name}", kind)
        for model in ("base", "tuned")
        for name, kind in (
            ("answer", pa.string()),
            ("correct", pa.bool_()),
            ("nll", pa.float64()),
            ("seconds", pa.float64()),
        )
    ]
)
"""The columns of models/predictions.parquet. nll: nats per token of the reference; seconds: wall time, a batch's
shared evenly among its rows, and so the only column that differs between two equal runs."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A test row as tokens."""

    row: Row
    prompt: list[int]
    reference: str
    reference_ids: list[int]
    """The reference answer's tokens, with the one that ends it."""


def answer_all(
    tuned: TunedModel, tokenizer: Any, rows: Sequence[Row], settings: Evaluate, *, models: Sequence[str] = MODELS
) -> list[Row]:
    """One row of models/predictions.parquet per test row, sorted by id.

    `models` are those that answer; the columns of another are left out.
    """
    questions = questions_of(tokenizer, rows)
    answers: dict[str, dict[str, Row]] = {}
    for name in models:
        with tuned.untuned() if name == "base" else contextlib.nullcontext(tuned.model) as model:
            answers[name] = _answers(model, tokenizer, questions, settings, name)
    return [prediction_of(q, answers) for q in sorted(questions, key=lambda q: q.row["id"])]


def questions_of(tokenizer: Any, rows: Sequence[Row]) -> list[Question]:
    """The test rows as tokens, with the answer that each should get. Raises InputError that names a refused row."""
    for row in rows:
        if not is_answered(row):
            raise unanswered(row["id"])
    questions = []
    for row, (prompt, answer) in zip(rows, pairs_of(Recipe.of(tokenizer).chat(), rows), strict=True):
        end = answer.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in answer else len(answer)
        questions.append(Question(row, prompt, messages_of(row)[-1]["content"], answer[:end]))
    return questions


def _answers(model: Any, tokenizer: Any, questions: list[Question], settings: Evaluate, name: str) -> dict[str, Row]:
    answers: dict[str, Row] = {}
    ordered = sorted(questions, key=lambda q: (len(q.prompt), q.row["id"]))
    with torch.inference_mode(), tqdm(total=len(ordered), desc=f"evaluate {name}", unit="row") as bar:
        for batch in _chunks(ordered, settings.batch_size):
            started = time.perf_counter()
            texts = _generate(model, tokenizer, batch, settings)
            seconds = (time.perf_counter() - started) / len(batch)
            losses = nll_of(model, tokenizer, batch, settings)
            for question, text, nll in zip(batch, texts, losses, strict=True):
                correct = is_correct(text, question.reference, ignore_case=settings.ignore_case)
                answers[question.row["id"]] = {"answer": text, "correct": correct, "nll": nll, "seconds": seconds}
            bar.update(len(batch))
    return answers


def _generate(model: Any, tokenizer: Any, batch: list[Question], settings: Evaluate) -> list[str]:
    ids, mask = _pad_left([q.prompt for q in batch], tokenizer.pad_token_id, settings.device)
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=settings.max_new_tokens,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    texts: list[str] = tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in texts]


def nll_of(model: Any, tokenizer: Any, batch: list[Question], settings: Evaluate) -> list[float]:
    """Mean negative log-likelihood of each reference, in nats per token."""
    ids, mask = _pad_left([q.prompt + q.reference_ids for q in batch], tokenizer.pad_token_id, settings.device)
    longest = max(len(q.reference_ids) for q in batch)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=longest + 1, use_cache=False
    ).logits
    log_probabilities = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    chosen = log_probabilities.gather(-1, ids[:, -longest:, None]).squeeze(-1)
    return [float(-chosen[i, longest - len(q.reference_ids) :].mean()) for i, q in enumerate(batch)]


def _pad_left(rows: list[list[int]], pad: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def prediction_of(question: Question, answers: dict[str, dict[str, Row]]) -> Row:
    """The row of models/predictions.parquet; `answers` are by model and the row's id."""
    row = question.row
    common = {"id": row["id"], "group": row["group"], "question": question_of(row), "reference": question.reference}
    scores = {f"{name}_{k}": v for name, rows in answers.items() for k, v in rows[row["id"]].items()}
    return common | {"label": row["label"], "slices": row["slices"]} | scores


def _chunks(items: list[Question], size: int) -> Iterator[list[Question]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def require_rows(rows: Sequence[Row], *, place: str) -> Sequence[Row]:
    """The rows themselves. Raises InputError when there are none."""
    if not rows:
        raise InputError("no test rows", place=place, remedy="raise prepare.test_share")
    return rows
