"""`tunegate runs`: the runs recorded on this machine, and uploading those that are still here.

Reads the outbox (tunegate.tracking.outbox); only `sync` speaks with MLflow.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from tunegate.files import to_json
from tunegate.reporting.numbers import LABELS, shown
from tunegate.tracking.outbox import Record, read_records

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
