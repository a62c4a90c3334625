"""Predictions of every technique: which module answers the test rows, by what the tuned model says was trained."""

from collections.abc import Sequence
from typing import Any

from tunegate.evaluation.answers import answer_all
from tunegate.evaluation.classification import classify_all, unseen_labels
from tunegate.evaluation.examples import MODELS
from tunegate.evaluation.likelihood import read_all, with_source
from tunegate.evaluation.preference_choices import choose_all
from tunegate.models.tokens.formats.answers import is_answered
from tunegate.models.tuned import TunedModel
from tunegate.params import Evaluate, Technique

Row = dict[str, Any]

_UNANSWERED = ("semisupervised", "reinforce")
"""Techniques that learn from rows without an answer too."""


def predictions_of(
    tuned: TunedModel, tokenizer: Any, rows: Sequence[Row], settings: Evaluate, *, models: Sequence[str] = MODELS
) -> list[Row]:
    """One row of models/predictions.parquet per test row, sorted by id; `models` are those that answer."""
    match tuned.record.technique:
        case "classify":
            return classify_all(tuned, tokenizer, rows, settings, models=models)
        case "preference":
            return choose_all(tuned, tokenizer, rows, settings, models=models)
        case "pretrain":
            return read_all(tuned, tokenizer, rows, settings, models=models)
        case "multitask" | "fewshot":
            return answer_all(tuned, tokenizer, [with_source(row) for row in rows], settings, models=models)
        case technique:
            return answer_all(tuned, tokenizer, answerable(technique, rows), settings, models=models)


def answerable(technique: Technique, rows: Sequence[Row]) -> list[Row]:
    """The test rows that are answered: of a technique that learns from rows without an answer too, those with one."""
    return [row for row in rows if is_answered(row)] if technique in _UNANSWERED else list(rows)


def remarks_of(tuned: TunedModel, rows: Sequence[Row]) -> list[str]:
    """Remarks on the test rows, one line each: rows that are left out, and labels that cannot be answered."""
    left_out = len(rows) - len(answerable(tuned.record.technique, rows))
    if left_out:
        return [f"test rows without an answer, which nothing can be compared with: {left_out}, left out"]
    if tuned.record.technique != "classify":
        return []
    return [
        f"test rows with the label {name!r}, which no training row has: {count}, all counted as wrong"
        for name, count in unseen_labels(tuned, rows).items()
    ]
