"""Two models' answers to the same test rows, as arrays aligned by id: what the statistics work on.

Takes tables of models/predictions.parquet and uses the tuned model's columns alone. Fails closed: on ids that do not
match, a number that is not finite, or a claim of correctness that the answer itself contradicts.
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tunegate.errors import InputError, RefusedError
from tunegate.evaluation.examples import TEST_ROW, Answer, Example, is_correct
from tunegate.evaluation.metrics import OTHER, pairs_of
from tunegate.gate.policy import Cluster
from tunegate.text import listed

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Row = dict[str, Any]

PLACE = "models/predictions.parquet"
_ANSWER = ("tuned_answer", "tuned_correct", "tuned_nll")
_SHOWN = 5
_REMEDY = "run the stage `evaluate` again: `dvc repro --force evaluate`"


@dataclasses.dataclass(frozen=True)
class Side:
    """What one model answered; one entry per row, `answered` per labelled row."""

    correct: Bools
    nll: Floats
    """Nats per token of the reference."""
    answered: Ints
    """The class answered, -1 for an answer that is not a class."""


@dataclasses.dataclass(frozen=True)
class Paired:
    """Candidate and baseline on the same rows, sorted by id."""

    ids: list[str]
    groups: Ints
    """Rows that share this number, counted from 0, are of one group."""
    slices: dict[str, list[str | None]]
    labelled: Bools
    """Whether a row is classification (has a label) or free text."""
    classes: list[str]
    references: Ints
    """The right class of each labelled row, an index into `classes`."""
    candidate: Side
    baseline: Side | None
    cluster: Cluster = "group"
    """Whether a group or a row is one observation."""

    @property
    def clusters(self) -> Ints:
        """Rows that share this number are one observation."""
        return self.groups if self.cluster == "group" else np.arange(len(self.ids), dtype=np.int64)

    def clustered(self, by: Cluster) -> "Paired":
        """The same with observations of the other kind."""
        return dataclasses.replace(self, cluster=by)

    def select(self, rows: Bools) -> "Paired":
        """The same of some of the rows; numbers of groups and classes stay."""
        among = rows[self.labelled]
        return Paired(
            ids=[name for name, chosen in zip(self.ids, rows, strict=True) if chosen],
            groups=self.groups[rows],
            slices={k: [v for v, chosen in zip(vs, rows, strict=True) if chosen] for k, vs in self.slices.items()},
            labelled=self.labelled[rows],
            classes=self.classes,
            references=self.references[among],
            candidate=_selected(self.candidate, rows, among),
            baseline=_selected(self.baseline, rows, among) if self.baseline else None,
            cluster=self.cluster,
        )


def paired_of(
    candidate: Any,
    baseline: Any | None,
    *,
    cluster: Cluster,
    ignore_case: bool,
    places: tuple[str, str] = (f"{PLACE} (candidate)", f"{PLACE} (baseline)"),
) -> Paired:
    """Two tables of predictions (`pyarrow.Table`) side by side; `places` names them in errors.

    Raises InputError for a missing column, no row, a duplicate id, a missing value, an NLL that is not finite,
    and rows that are not the same on both sides; RefusedError where a row claims to be right and is wrong, or the
    other way round.
    """
    rows = _rows(candidate, places[0], ignore_case)
    others = _rows(baseline, places[1], ignore_case) if baseline is not None else None
    if others is not None:
        _require_same(rows, others, places[1])
    classes = sorted({row["reference"] for row in rows if row["label"] is not None})
    index = {name: number for number, name in enumerate(classes)} | {OTHER: -1}
    names = sorted({name for row in rows for name in dict(row["slices"] or [])})
    numbers = {name: number for number, name in enumerate(sorted({row["group"] for row in rows}))}
    return Paired(
        ids=[row["id"] for row in rows],
        groups=np.array([numbers[row["group"]] for row in rows], dtype=np.int64),
        slices={name: [dict(row["slices"] or []).get(name) for row in rows] for name in names},
        labelled=np.array([row["label"] is not None for row in rows], dtype=np.bool_),
        classes=classes,
        references=_ints(index[row["reference"]] for row in rows if row["label"] is not None),
        candidate=_side(rows, index, ignore_case),
        baseline=_side(others, index, ignore_case) if others is not None else None,
        cluster=cluster,
    )


def _rows(table: Any, place: str, ignore_case: bool) -> list[Row]:
    _require_columns(table, (*TEST_ROW, *_ANSWER), place)
    rows: list[Row] = table.select([*TEST_ROW, *_ANSWER]).to_pylist()
    if not rows:
        raise InputError("no test row was answered", place=place, remedy="raise prepare.test_share")
    counts = collections.Counter(row["id"] for row in rows)
    _refuse("duplicate id", [name for name, count in counts.items() if count > 1], place)
    for column in (*TEST_ROW[:4], *_ANSWER):
        _refuse(f"{column} is missing", [row["id"] for row in rows if row[column] is None], place)
    _refuse("tuned_nll is not a finite number", [r["id"] for r in rows if not math.isfinite(r["tuned_nll"])], place)
    wrong = [r["id"] for r in rows if r["tuned_correct"] != _is_right(r, ignore_case)]
    remedy = "these predictions were edited, or evaluate.ignore_case was: run the stage `evaluate` again"
    _refuse("tuned_correct contradicts the answer", wrong, place, RefusedError, remedy)
    return sorted(rows, key=lambda row: str(row["id"]))


def _is_right(row: Row, ignore_case: bool) -> bool:
    return is_correct(row["tuned_answer"], row["reference"], ignore_case=ignore_case)


def _require_columns(table: Any, columns: Iterable[str], place: str) -> None:
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise InputError(f"no column {', '.join(missing)}", place=place, remedy=_REMEDY)


def _require_same(rows: list[Row], others: list[Row], place: str) -> None:
    ids, other_ids = ({row["id"] for row in side} for side in (rows, others))
    remedy = "both models must answer the same test rows: score the baseline again on the candidate's"
    _refuse("rows of the candidate are missing here", list(ids - other_ids), place, InputError, remedy)
    _refuse("rows that the candidate does not have", list(other_ids - ids), place, InputError, remedy)
    for column in TEST_ROW[1:5]:
        changed = [a["id"] for a, b in zip(rows, others, strict=True) if a[column] != b[column]]
        _refuse(f"{column} differs from the candidate's", changed, place, InputError, remedy)


def _refuse(
    problem: str, ids: list[Any], place: str, error: Callable[..., Exception] = InputError, remedy: str = _REMEDY
) -> None:
    if ids:
        raise error(f"{problem}: {listed(sorted(map(str, ids)), _SHOWN)}", place=place, remedy=remedy)


def _side(rows: list[Row], index: dict[str, int], ignore_case: bool) -> Side:
    answers = [Answer(row["tuned_answer"], row["tuned_correct"], row["tuned_nll"], 0.0) for row in rows]
    examples = [
        Example(row["id"], row["question"], row["reference"], row["label"], {}, answer, answer)
        for row, answer in zip(rows, answers, strict=True)
    ]
    return Side(
        correct=np.array([answer.correct for answer in answers], dtype=np.bool_),
        nll=np.array([answer.nll for answer in answers], dtype=np.float64),
        answered=_ints(index[pair.answer] for pair in pairs_of(examples, "tuned", ignore_case=ignore_case)),
    )


def _selected(side: Side, rows: Bools, among: Bools) -> Side:
    return Side(side.correct[rows], side.nll[rows], side.answered[among])


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)
