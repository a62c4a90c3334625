"""Predictions of every technique: which module answers the test rows, by what the tuned model says was trained.

Writes nothing. Does not know how any technique answers.
"""

from collections.abc import Sequence
from typing import Any

from tunegate.evaluation.answering import answer_all
from tunegate.evaluation.examples import MODELS
from tunegate.models.loading import Tuned
from tunegate.params import Evaluate

Row = dict[str, Any]


def predictions_of(
    tuned: Tuned, tokenizer: Any, rows: Sequence[Row], settings: Evaluate, *, models: Sequence[str] = MODELS
) -> list[Row]:
    """One row of models/predictions.parquet per test row, sorted by id; `models` are those that answer."""
    match tuned.record.technique:
        case _:
            return answer_all(tuned, tokenizer, rows, settings, models=models)
