"""How the two runs differ: where rows were left out, what it cost, what each model is made of.

Reads reports/ and models/adapter of both commits. What an older commit did not record is None, not 0.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from tunegate.data.diff.result import Count
from tunegate.evaluation.trajectory import Point, read_trajectory
from tunegate.files import parse_json
from tunegate.reporting.numbers import duration, ratio, size
from tunegate.repository.lineage import Lineage, read_lineage
from tunegate.repository.snapshot import Snapshot
from tunegate.text import words

LEDGER, TIMINGS, TRAJECTORY = "reports/data.json", "reports/timings.json", "models/trajectory.csv"
ADAPTER, PACKAGE = "models/adapter", "models/package"
NOT_RECORDED = "not recorded"


@dataclasses.dataclass(frozen=True)
class StageChange:
    """One stage's ledger at both commits: rows in and out, and reasons; None where it was not recorded."""

    stage: str
    before: tuple[int, int] | None
    after: tuple[int, int] | None
    reasons: list[Count]


@dataclasses.dataclass(frozen=True)
class Cost:
    """One kind of cost, as text, and its relative change where that can be said."""

    name: str
    before: str
    after: str
    change: str


_COSTS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Training, hardware", "train.hardware", str),
    ("Training, time", "train.seconds", duration),
    ("Training, tokens", "train.tokens", "{:,}".format),
    ("Training, optimizer steps", "train.steps", "{:,}".format),
    ("Training, peak memory", "train.peak_memory_bytes", size),
    ("Evaluation, hardware", "evaluate.hardware", str),
    ("Evaluation, time", "evaluate.seconds", duration),
    ("Evaluation, peak memory", "evaluate.peak_memory_bytes", size),
    ("One answer, median", "tuned.p50_seconds", duration),
    ("One answer, 95th percentile", "tuned.p95_seconds", duration),
    ("Package", "package", size),
)


def ledger_changes(before: Snapshot | None, after: Snapshot) -> list[StageChange]:
    """The stages of the ledger in the order of the candidate's, those that are gone at the end."""
    old, new = _stages(before), _stages(after)
    changes = []
    for stage in dict.fromkeys([*new, *old]):
        one, other = old.get(stage, {}), new.get(stage, {})
        counts = (one.get("reasons", {}), other.get("reasons", {}))
        reasons = [
            Count(name=words(r), before=counts[0].get(r, 0), after=counts[1].get(r, 0))
            for r in sorted({*counts[0], *counts[1]})
        ]
        changes.append(StageChange(stage, _rows(one), _rows(other), reasons))
    return changes


def costs(before: Snapshot | None, after: Snapshot) -> list[Cost]:
    """The costs that one of the two commits recorded."""
    old, new = _cost_values(before), _cost_values(after)
    rows = []
    for name, key, text in _COSTS:
        one, other = old.get(key), new.get(key)
        if one is None and other is None:
            continue
        shown = [NOT_RECORDED if value is None else text(value) for value in (one, other)]
        rows.append(Cost(name, shown[0], shown[1], _relative(one, other)))
    return rows


def trajectory_of(snapshot: Snapshot | None) -> list[Point]:
    """The course of the training; empty where none is locked."""
    if snapshot is None or snapshot.locked(TRAJECTORY) is None:
        return []
    return read_trajectory(snapshot.output(TRAJECTORY))


def lineage_in(snapshot: Snapshot | None) -> Lineage | None:
    """What the model is made of; None where the adapter does not say."""
    if snapshot is None or snapshot.locked(ADAPTER) is None:
        return None
    folder = snapshot.output(ADAPTER)
    return read_lineage(folder) if (folder / "lineage.json").is_file() else None


def _relative(before: object, after: object) -> str:
    if isinstance(before, int | float) and isinstance(after, int | float):
        return ratio(before, after)
    return ""


def _stages(snapshot: Snapshot | None) -> dict[str, Any]:
    return {stage["stage"]: stage for stage in _json(snapshot, LEDGER).get("stages", [])}


def _rows(stage: Any) -> tuple[int, int] | None:
    rows = stage.get("rows")
    return (rows["in"], rows["out"]) if rows else None


def _cost_values(snapshot: Snapshot | None) -> dict[str, Any]:
    if snapshot is None:
        return {}
    values_by_key = {
        f"{group}.{name}": value
        for group, values in _json(snapshot, TIMINGS).items()
        if isinstance(values, dict)
        for name, value in values.items()
    }
    package = snapshot.locked(PACKAGE)
    return values_by_key | ({"package": package.size} if package else {})


def _json(snapshot: Snapshot | None, path: str) -> Any:
    text = snapshot.text(path) if snapshot else None
    if not snapshot or text is None:
        return {}
    return parse_json(text, place=snapshot.place(path))
