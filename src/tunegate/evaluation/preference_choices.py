"""Which of two answers a model finds likelier: the metric of `preference`.

Likelier is the answer with the higher mean log-probability per token, so that a short answer is not preferred for being
short. Rows of similar length go together.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm

from tunegate.evaluation.answers import Question, nll_of, prediction_of, questions_of
from tunegate.evaluation.examples import MODELS
from tunegate.models.tokens.formats.preferences import require_both, with_rejected
from tunegate.models.tuned import TunedModel
from tunegate.params import Evaluate

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Choice:
    """A test row with its two answers."""

    chosen: Question
    rejected: Question

    @property
    def length(self) -> int:
        """Tokens of the longer one, with the prompt."""
        return len(self.chosen.prompt) + max(len(self.chosen.reference_ids), len(self.rejected.reference_ids))


def choose_all(
    tuned: TunedModel, tokenizer: Any, rows: Sequence[Row], settings: Evaluate, *, models: Sequence[str] = MODELS
) -> list[Row]:
    """One row of models/predictions.parquet per test row, sorted by id.

    The reference is the chosen answer, a model's answer the one of the two that it finds likelier; nll is that of the
    chosen one. No row has a label, since answers are no classes. `models` are those that answer; the columns of another
    are left out. Raises InputError for a row without both answers.
    """
    choices = _choices(tokenizer, rows)
    answers: dict[str, dict[str, Row]] = {}
    for name in models:
        with tuned.untuned() if name == "base" else contextlib.nullcontext(tuned.model) as model:
            answers[name] = dict(_answers(model, tokenizer, choices, settings, name))
    ordered = sorted((choice.chosen for choice in choices), key=lambda question: question.row["id"])
    return [prediction_of(question, answers) | {"label": None} for question in ordered]


def _choices(tokenizer: Any, rows: Sequence[Row]) -> list[Choice]:
    for row in rows:
        require_both(row)
    chosen = questions_of(tokenizer, rows)
    rejected = questions_of(tokenizer, [with_rejected(row) for row in rows])
    return [Choice(one, other) for one, other in zip(chosen, rejected, strict=True)]


def _answers(
    model: Any, tokenizer: Any, choices: list[Choice], settings: Evaluate, name: str
) -> Iterator[tuple[str, Row]]:
    ordered = sorted(choices, key=lambda choice: (choice.length, choice.chosen.row["id"]))
    with torch.inference_mode(), tqdm(total=len(ordered), desc=f"evaluate {name}", unit="row") as bar:
        for start in range(0, len(ordered), settings.batch_size):
            batch = ordered[start : start + settings.batch_size]
            started = time.perf_counter()
            chosen = nll_of(model, tokenizer, [choice.chosen for choice in batch], settings)
            rejected = nll_of(model, tokenizer, [choice.rejected for choice in batch], settings)
            seconds = (time.perf_counter() - started) / len(batch)
            for choice, one, other in zip(batch, chosen, rejected, strict=True):
                answer = (choice.chosen if one < other else choice.rejected).reference
                yield (
                    choice.chosen.row["id"],
                    {"answer": answer, "correct": one < other, "nll": one, "seconds": seconds},
                )
            bar.update(len(batch))
