"""Runs side by side: the parameters that differ, the metrics, the costs and the losses.

Reads the outbox; a run that is uploaded has its trajectory in MLflow, from where it is fetched when needed.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.evaluation.trajectory import Point, read_trajectory
from tunegate.text import listed
from tunegate.tracking.artifacts import download
from tunegate.tracking.outbox import COST, RUNS, Record, artifacts_of, read_records
from tunegate.tracking.runs import TRAJECTORY

_LEAST_CHARACTERS = 4


@dataclasses.dataclass(frozen=True)
class Line:
    """One number of every run; None where a run has none."""

    name: str
    values: list[float | None]

    @property
    def deltas(self) -> list[float | None]:
        """The differences from the first run."""
        first = self.values[0]
        return [None if value is None or first is None else value - first for value in self.values]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs, the first of which the others are compared with."""

    runs: list[Record]
    params: dict[str, list[str | None]]
    """The parameters that are not the same in all; None where a run has no such parameter."""
    metrics: list[Line]
    costs: list[Line]
    """Seconds, bytes and tokens. They differ from run to run of the same commit."""

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        shown = ("id", "commit", "lineage", "tags", "recorded_at")
        names = [{name: getattr(run, name) for name in shown} for run in self.runs]
        lines = {
            kind: {line.name: {"values": line.values, "deltas": line.deltas} for line in kind_lines}
            for kind, kind_lines in (("metrics", self.metrics), ("costs", self.costs))
        }
        return {"runs": names, "params": self.params, **lines}


def find(names: Sequence[str], root: Path = RUNS) -> list[Record]:
    """The runs of these names: the beginning of an id, of MLflow's run id, of a lineage key or of a commit.

    Raises InputError for a name that no run has, or more than one.
    """
    records = read_records(root)
    return [_find(name, records) for name in names]


def compare(records: Sequence[Record]) -> Comparison:
    """The records side by side."""
    keys = dict.fromkeys(key for record in records for key in record.params)
    params: dict[str, list[str | None]] = {key: [record.params.get(key) for record in records] for key in keys}
    differing = {key: values for key, values in params.items() if len(set(values)) > 1}
    names = dict.fromkeys(name for record in records for name in record.metrics)
    lines = [Line(name, [record.metrics.get(name) for record in records]) for name in names]
    costs = [line for line in lines if _is_cost(line.name)]
    return Comparison(list(records), differing, [line for line in lines if not _is_cost(line.name)], costs)


def trajectory_of(record: Record, root: Path = RUNS) -> list[Point]:
    """The run's loss, step by step. Raises MachineError where MLflow has it and does not answer."""
    path = artifacts_of(record, root) / TRAJECTORY
    if path.exists() or record.receipt is None:
        return read_trajectory(path)
    with tempfile.TemporaryDirectory(prefix="tunegate-run-") as folder:
        return read_trajectory(download(f"runs:/{record.receipt.run_id}/{TRAJECTORY}", Path(folder)))


def _is_cost(name: str) -> bool:
    return name.startswith(COST) or name.endswith("_seconds")


def _find(name: str, records: Sequence[Record]) -> Record:
    matches = [record for record in records if len(name) >= _LEAST_CHARACTERS and _begins(record, name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        problem = f"{len(matches)} runs match: {listed((record.id for record in matches), 5)}"
        raise InputError(problem, place=name, remedy="give more characters of the id")
    problem = "no run on this machine matches"
    remedy = f"`tunegate runs` lists them; give at least {_LEAST_CHARACTERS} characters of an id"
    raise InputError(problem, place=name, remedy=remedy)


def _begins(record: Record, name: str) -> bool:
    more = [record.receipt.run_id] if record.receipt else []
    return any(text.startswith(name) for text in (record.id, record.lineage, record.commit, *more))
