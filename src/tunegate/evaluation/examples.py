"""The test examples as `score` needs them: one object per row of models/predictions.parquet, checked, sorted by id.

Fails closed: a missing column, no row, a duplicate id or an NLL that is not finite is an error.
"""

import collections
import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from tunegate.errors import InputError
from tunegate.text import listed

MODELS = ("base", "tuned")
"""The two models that answer every example: untuned base and tuned model."""

TEST_ROW = ("id", "group", "question", "reference", "label", "slices")
"""The columns that are the test row's own, whichever model answers it."""

_FIELDS = ("answer", "correct", "nll", "seconds")
_COLUMNS = ("id", "question", "reference", "label", "slices", *(f"{m}_{f}" for m in MODELS for f in _FIELDS))
_REMEDY = "run the stage `evaluate` again: `dvc repro --force evaluate`"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one model answered to one example."""

    text: str
    correct: bool
    nll: float
    """Mean negative log-likelihood of the reference answer, nats per token."""
    seconds: float
    """Wall time, the batch's shared evenly among its rows."""


@dataclasses.dataclass(frozen=True)
class Example:
    """A test row with both models' answers."""

    id: str
    question: str
    reference: str
    label: str | None
    slices: dict[str, str]
    base: Answer
    tuned: Answer

    @property
    def is_asked(self) -> bool:
        """Whether there is something to answer; raw text has no question, and is only read."""
        return bool(self.question) or self.label is not None

    def answer_of(self, model: str) -> Answer:
        """The answer of one of `MODELS`."""
        return self.base if model == "base" else self.tuned


def is_correct(answer: str, reference: str, *, ignore_case: bool) -> bool:
    """Exact match after trimming white space and, if asked, case folding."""
    pair = (answer.strip(), reference.strip())
    return pair[0].casefold() == pair[1].casefold() if ignore_case else pair[0] == pair[1]


def sha256_of_test_set(table: Any) -> str:
    """Names a test set: sha256 over what each row asks and how it counts, sorted by id, whatever was answered."""
    rows = sorted(table.select(list(TEST_ROW)).to_pylist(), key=lambda row: str(row["id"]))
    digest = hashlib.sha256()
    for row in rows:
        values = [row[name] for name in TEST_ROW[:-1]] + [sorted(dict(row["slices"] or []).items())]
        digest.update(json.dumps(values, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()


def examples_of(table: Any, *, place: str, models: Sequence[str] = MODELS) -> list[Example]:
    """The rows of a `pyarrow.Table`, sorted by id, so that nothing depends on the order in which they were answered.

    `models` have answered them; the others' answers, of a model that was scored again alone, may be missing.
    """
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"no column {', '.join(missing)}", place=place, remedy=_REMEDY)
    examples = [_example(row) for row in table.select(_COLUMNS).to_pylist()]
    if not examples:
        remedy = "raise prepare.test_share, or check that the data have rows"
        raise InputError("no test example was answered", place=place, remedy=remedy)
    counts = collections.Counter(example.id for example in examples)
    _refuse("duplicate id", [name for name, count in counts.items() if count > 1], place)
    for model in models:
        for name in ("nll", "seconds"):
            bad = [e.id for e in examples if not math.isfinite(getattr(e.answer_of(model), name))]
            _refuse(f"{model}_{name} is not a finite number", bad, place)
    return sorted(examples, key=lambda example: example.id)


def _example(row: dict[str, Any]) -> Example:
    base, tuned = (
        Answer(
            text=row[f"{model}_answer"] or "",
            correct=bool(row[f"{model}_correct"]),
            nll=_number(row[f"{model}_nll"]),
            seconds=_number(row[f"{model}_seconds"]),
        )
        for model in MODELS
    )
    slices = dict(row["slices"] or [])
    return Example(row["id"], row["question"], row["reference"], row["label"], slices, base, tuned)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _refuse(problem: str, ids: Sequence[str], place: str) -> None:
    if ids:
        raise InputError(f"{problem}: {listed(sorted(ids), 5)}", place=place, remedy=_REMEDY)
