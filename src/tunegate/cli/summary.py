"""`tunegate summary`: the results of the pipeline on one screen; the end of `make demo`.

Reads reports/metrics.json and the newest run's receipt. Imports nothing heavy and connects to nothing.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from tunegate.cli.runs import table
from tunegate.errors import InputError, UsageError
from tunegate.files import read_json, to_json
from tunegate.reporting.model_comparison import markdown, measured, rows_of
from tunegate.reporting.numbers import LABELS, compare, headline
from tunegate.tracking.outbox import Record, read_records
from tunegate.tracking.store import LOCAL

METRICS = Path("reports/metrics.json")
REPORT = Path("reports/report.html")
PACKAGE = Path("models/package")

_MOST_VALUES = 12
_NEXT = (
    ("make serve", "serve the package on this machine: an OpenAI-compatible API"),
    ("dvc exp run -S train.epochs=3", "change a parameter and run what depends on it"),
    ("tunegate init ../my-model", "a new repository for your own rows"),
)


def summary(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    other: Annotated[
        Path | None,
        typer.Option("--compare", "--beside", metavar="DIR", help="Compare with the project there."),
    ] = None,
) -> None:
    """Show the metrics, where the results lie, and what to try next. Example: tunegate summary --json"""
    if other is not None:
        _print_comparison(other, as_json)
        return
    if not METRICS.is_file():
        raise InputError("the pipeline has not run here", place=str(METRICS), remedy="run `make demo` or `dvc repro`")
    metrics = read_json(METRICS)
    record = _record_of(metrics["lineage"])
    print(to_json(_as_json(metrics, record)) if as_json else _as_text(metrics, record), end="" if as_json else "\n")


def _print_comparison(other: Path, as_json: bool) -> None:
    """Both projects in one Markdown table, named as their folders are; the other by its path where both are alike."""
    mine, its = Path().resolve(), other.resolve()
    if mine == its:
        raise UsageError("--compare names this project", remedy="name the folder of another one")
    columns = {mine.name: measured(Path()), its.name if its.name != mine.name else str(its): measured(other)}
    print(to_json(columns) if as_json else markdown(rows_of(columns)), end="" if as_json else "\n")


def _as_text(metrics: dict[str, Any], record: Record | None) -> str:
    rows = [("", "untuned", "tuned", "change")]
    rows += [(item.label, item.base, item.tuned, item.change) for item in compare(metrics["base"], metrics["tuned"])]
    rows += [row for name, values in metrics["slices"].items() for row in _slices(name, values)]
    aligned = [(row[0], *(cell.rjust(9) for cell in row[1:])) for row in rows]
    parts = [f"{metrics['rows']} test rows, lineage {metrics['lineage'][:12]}", table(aligned)]
    parts.append("\n".join(f"{name:<9}{where}" for name, where in _places(record)))
    width = max(len(command) for command, _ in _NEXT)
    activate = Path(".venv/bin/activate")
    head = f"Next, after `source {activate}`:" if activate.is_file() else "Next:"
    parts.append(f"{head}\n" + "\n".join(f"  {command:<{width}}  {meaning}" for command, meaning in _NEXT))
    return "\n\n".join(parts)


def _slices(name: str, values: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The headline metric of every value; a slice of many values is for the report."""
    if len(values) > _MOST_VALUES:
        return []
    rows = []
    for value, metrics in values.items():
        if "tuned" in metrics:
            metric = headline(metrics["tuned"])
            item = next(i for i in compare(metrics["base"], metrics["tuned"]) if i.name == metric)
            rows.append((f"{LABELS[metric]}, {name} {value}", item.base, item.tuned, item.change))
    return rows


def _places(record: Record | None) -> list[tuple[str, str]]:
    package = f"{PACKAGE}/" if PACKAGE.is_dir() else "not made yet: `dvc repro package`"
    report = str(REPORT) if REPORT.is_file() else "not here: `dvc pull reports/report.html` or `dvc repro`"
    return [("report", report), ("package", package), ("run", _run(record))]


def _run(record: Record | None) -> str:
    if record is None:
        return "recorded on another machine"
    if record.receipt is None:
        return f"{record.id}, not in MLflow yet: `tunegate runs sync`"
    run = f"{record.receipt.run_id}, model {record.name} version {record.receipt.version}"
    if record.receipt.store != LOCAL:
        return f"{run}, in {record.receipt.store}"
    return f"{run}; open it with `mlflow ui --backend-store-uri {LOCAL}`"


def _record_of(lineage: str) -> Record | None:
    records = [record for record in read_records() if record.lineage == lineage]
    return records[-1] if records else None


def _as_json(metrics: dict[str, Any], record: Record | None) -> dict[str, Any]:
    return {
        "metrics": metrics,
        "report": str(REPORT) if REPORT.is_file() else None,
        "package": str(PACKAGE) if PACKAGE.is_dir() else None,
        "run": record.model_dump() if record else None,
        "next": [command for command, _ in _NEXT],
    }
