"""Two projects that answer the same questions, side by side: how often right, how fast, how large, at what cost.

Reads reports/ and the package of each project, or its size in dvc.lock.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import files_below, read_json, read_text
from tunegate.reporting.numbers import LABELS, duration, shown, size
from tunegate.repository.lock import parse_lock

PACKAGE = "models/package"
SHARED_SLICES = 4
"""Slices of at most this many values have rows of their own."""


def measured(project: Path) -> dict[str, float]:
    """The numbers of a project's tuned model, by name. Raises InputError when its pipeline has not run."""
    path = project / "reports" / "metrics.json"
    if not path.is_file():
        raise InputError("the pipeline has not run there", place=str(path), remedy="run `dvc repro` in that project")
    metrics, timings = read_json(path), read_json(project / "reports" / "timings.json")
    names = [name for name in ("accuracy", "exact_match", "macro_f1") if name in metrics["tuned"]]
    values = {name: metrics["tuned"][name] for name in names} | _slices(metrics)
    values |= {"p50": timings["tuned"]["p50_seconds"], "p95": timings["tuned"]["p95_seconds"]}
    values |= {"training": timings["train"]["seconds"], "memory": timings["train"]["peak_memory_bytes"]}
    packaged = _size(project)
    return values if packaged is None else values | {"package": packaged}


def rows_of(columns: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """A head with the projects' names, then a row for each number that any of them has."""
    rows = [("", *columns)]
    for name in dict.fromkeys(name for values in columns.values() for name in values):
        label, show = _shown(name)
        rows.append((label, *(show(values[name]) if name in values else "" for values in columns.values())))
    return rows


def markdown(rows: list[tuple[str, ...]]) -> str:
    """The rows as a Markdown table."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|---{'|---:' * (len(rows[0]) - 1)}|", *lines[1:]])


def _slices(metrics: dict[str, Any]) -> dict[str, float]:
    return {
        f"accuracy, {name} {value}": part["tuned"]["accuracy"]
        for name, values in sorted(metrics["slices"].items())
        for value, part in sorted(values.items())
        if len(values) <= SHARED_SLICES and "accuracy" in part.get("tuned", {})
    }


def _size(project: Path) -> float | None:
    folder, lock = project / PACKAGE, project / "dvc.lock"
    if folder.is_dir():
        return sum(file.stat().st_size for file in files_below(folder))
    if not lock.is_file():
        return None
    for entry in parse_lock(read_text(lock), place=str(lock)).values():
        if PACKAGE in entry.outs:
            return entry.outs[PACKAGE].size
    return None


def _shown(name: str) -> tuple[str, Callable[[float], str]]:
    other: dict[str, tuple[str, Callable[[float], str]]] = {
        "p50": ("Seconds per row, p50", duration),
        "p95": ("Seconds per row, p95", duration),
        "training": ("Training", duration),
        "memory": ("Largest memory of training", size),
        "package": ("Package", size),
    }
    if name in other:
        return other[name]
    metric, _, where = name.partition(", ")
    return f"{LABELS[metric]}, {where}" if where else LABELS[metric], lambda value: shown(metric, value)
