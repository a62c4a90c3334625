"""What a trial's folder says of it: the objectives, the losses while it runs, the run for the outbox.

Reads the files that the pipeline's stages write, and the training's checkpoint; writes nothing.
"""

import json
import math
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.evaluation.trajectory import read_trajectory
from tunegate.experiments.declaration import Objective
from tunegate.files import STATE, files_below, read_json
from tunegate.params import Params

ADAPTER, PACKAGE, TRAJECTORY = Path("models/adapter"), Path("models/package"), Path("models/trajectory.csv")
METRICS, TIMINGS = Path("reports/metrics.json"), Path("reports/timings.json")
REPORTS = (METRICS, TIMINGS, Path("reports/data.json"), Path("reports/confusion.csv"), Path("reports/report.html"))
_CHECKPOINTS = STATE / "checkpoint"
_ALIASES = {"latency": "timings.tuned.p95_seconds", "minutes": "timings.train.seconds"}


def course_so_far(project: Path) -> list[float]:
    """The losses on the validation rows in the newest checkpoint of a training that runs; empty without one."""
    best: list[dict[str, Any]] = []
    for path in (project / _CHECKPOINTS).rglob("run.json"):
        try:
            records = json.loads(path.read_text(encoding="utf-8"))["records"]
        except (OSError, ValueError, KeyError):  # replaced at this very moment
            continue
        best = records if len(records) > len(best) else best
    return [record["valid_loss"] for record in best if record.get("valid_loss") is not None]


def course_of(project: Path) -> list[float]:
    """The losses on the validation rows of a training that is done."""
    return [point["valid_loss"] for point in read_trajectory(project / TRAJECTORY) if "valid_loss" in point]


def targets_of(objectives: tuple[Objective, ...]) -> list[str]:
    """The stages of dvc.yaml that must have run before the objectives can be measured."""
    return ["score", *(["package"] if any(o.metric == "package_bytes" for o in objectives) else [])]


def measure(project: Path, objective: Objective, params: Params) -> float:
    """The objective's value. Raises InputError where there is no such number."""
    metric = objective.metric
    if metric == "valid_loss":
        return _valid_loss(project, params)
    if metric == "trainable_parameters":
        return float(sum(_parameters(path) for path in files_below(project / ADAPTER) if path.suffix == ".safetensors"))
    if metric == "package_bytes":
        return float(sum(path.stat().st_size for path in files_below(project / PACKAGE)))
    value = _number(project, _ALIASES.get(metric, metric), metric)
    return round(value / 60, 4) if metric == "minutes" else value


def _valid_loss(project: Path, params: Params) -> float:
    course = course_of(project)
    if not course:
        remedy = "name another metric: this training measures nothing on the validation rows"
        raise InputError("no loss on the validation rows", place=f"objectives: {TRAJECTORY}", remedy=remedy)
    return min(course) if params.train.select == "best" else course[-1]


def _number(project: Path, path: str, said: str) -> float:
    file, keys = (TIMINGS, path.removeprefix("timings.")) if path.startswith("timings.") else (METRICS, path)
    value: Any = read_json(project / file)
    for key in keys.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        remedy = f"name a number in {file}, such as tuned.accuracy; docs/search.md lists the others"
        raise InputError(f"{file} has no number {keys}", place=f"objectives: {said}", remedy=remedy)
    return float(value)


def _parameters(path: Path) -> int:
    """The numbers in a safetensors file, by the shapes in its head."""
    with path.open("rb") as stream:
        head = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in head.items() if name != "__metadata__")
