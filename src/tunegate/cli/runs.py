"""`tunegate runs`: the runs recorded on this machine, comparing them, and uploading those that are still here.

Reads the outbox (tunegate.tracking.outbox); only `sync`, and `compare --html` of what is uploaded, connect to MLflow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.errors import UsageError
from tunegate.files import to_json, write_text
from tunegate.reporting.numbers import LABELS, shown
from tunegate.tracking.outbox import Record, read_records

if TYPE_CHECKING:
    from tunegate.tracking.comparison import Comparison, Line

app = typer.Typer(
    help="Training runs recorded on this machine.",
    epilog="Example: tunegate runs --json | jq '.[-1].metrics'",
    invoke_without_command=True,
)

_HEAD = ("recorded (UTC)", "commit", "lineage", "score", "run", "state")


@app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything that is known, as JSON.")] = False,
) -> None:
    """List the runs recorded on this machine, the oldest first. Example: tunegate runs"""
    if context.invoked_subcommand is not None:
        return
    records = read_records()
    if as_json:
        print(to_json([record.model_dump() for record in records]), end="")
    elif not records:
        print("no runs yet: `dvc repro` records one at the end of the stage `score`")
    else:
        print(table([_HEAD, *map(_row, records)]))


@app.command()
def sync() -> None:
    """Upload the runs that MLflow does not have yet. Example: MLFLOW_TRACKING_URI=http://host tunegate runs sync"""
    from tunegate.tracking.runs import sync as upload

    count = 0
    for record, receipt in upload():
        count += 1
        print(f"{record.id}: run {receipt.run_id}, model {record.name} version {receipt.version}, in {receipt.store}")
    if not count:
        print("nothing to upload")


@app.command(epilog="Example: tunegate runs compare 1f715605 48ca644b --html curves.html")
def compare(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN…", help="Beginning of an id, lineage or commit.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with the loss curves, too.")] = None,
) -> None:
    """Compare runs with the first one: parameters that differ, numbers, costs."""
    from tunegate.reporting.pages import render_runs
    from tunegate.tracking.comparison import compare as side_by_side
    from tunegate.tracking.comparison import find, trajectory_of

    if len(names) < 2:
        raise UsageError("name at least two runs", place="runs compare", remedy="`tunegate runs` lists them")
    comparison = side_by_side(find(names))
    if html:
        write_text(html, render_runs(comparison, [trajectory_of(record) for record in comparison.runs]))
    print(to_json(comparison.as_json()) if as_json else f"{_compared(comparison)}\n", end="")


def _compared(comparison: "Comparison") -> str:
    head = ("", *(f"{record.id[:8]} ({record.checkout.short})" for record in comparison.runs))
    same = "the parameters are the same"
    params = [
        (key, *("-" if value is None else value for value in values)) for key, values in comparison.params.items()
    ]
    parts = [table([("parameter", *head[1:]), *params]) if params else same]
    for title, lines in (("metric", comparison.metrics), ("cost", comparison.costs)):
        if lines:
            parts.append(table([(title, *head[1:]), *map(_line, lines)]))
    return "\n\n".join(parts)


def _line(line: "Line") -> tuple[str, ...]:
    cells = []
    for number, (value, delta) in enumerate(zip(line.values, line.deltas, strict=True)):
        change = "" if not number or not delta else f" ({delta:+.4g})"
        cells.append("-" if value is None else f"{value:.6g}{change}")
    return (line.name, *cells)


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows as text in aligned columns; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _row(record: Record) -> tuple[str, ...]:
    receipt = record.receipt
    return (
        record.recorded_at[:16].replace("T", " "),
        record.checkout.short,
        record.lineage[:12],
        _score(record.metrics),
        receipt.run_id if receipt else record.id,
        f"uploaded, version {receipt.version}" if receipt else "pending",
    )


def _score(metrics: dict[str, float]) -> str:
    name = next((name for name in LABELS if f"tuned.{name}" in metrics), None)
    if name is None:
        return "-"
    return f"{shown(name, metrics[f'base.{name}'])} → {shown(name, metrics[f'tuned.{name}'])}"
