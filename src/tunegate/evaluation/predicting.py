"""Predictions of every technique: which module answers the test rows, by what the adapter's folder says was trained.

Reads tuned.json of that folder; writes nothing. Does not know how any technique answers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunegate.evaluation.answering import answer_all
from tunegate.evaluation.examples import MODELS
from tunegate.files import read_json
from tunegate.params import Evaluate

TUNED = "tuned.json"

Row = dict[str, Any]


def predictions_of(
    model: Any,
    adapter: Path,
    tokenizer: Any,
    rows: Sequence[Row],
    settings: Evaluate,
    *,
    models: Sequence[str] = MODELS,
) -> list[Row]:
    """One row of models/predictions.parquet per test row, sorted by id; `models` are those that answer."""
    match technique_of(adapter):
        case _:
            return answer_all(model, tokenizer, rows, settings, models=models)


def technique_of(adapter: Path) -> str:
    """The technique that trained what is in the folder; `sft` where it does not say."""
    path = adapter / TUNED
    return str(read_json(path)["technique"]) if path.is_file() else "sft"
