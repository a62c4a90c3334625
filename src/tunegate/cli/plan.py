"""`tunegate plan`: which stages would run and why, and what training and evaluating will cost.

Reads git, dvc.yaml, dvc.lock and DVC's cache on this machine; runs nothing and fetches nothing.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tunegate.cli.runs import table
from tunegate.files import to_json
from tunegate.repository.snapshot import Snapshot
from tunegate.repository.staleness import StaleStage, plan_stages
from tunegate.repository.working_copy import UNVERSIONED, checkout
from tunegate.tracking.forecast import LEDGER, Forecast, forecast, read_records

_HEAD = ("stage", "what happens", "why")
_FORECAST_HEAD = ("forecast", "work", "time", "memory", "from")
_UNITS = {"train": "tokens", "evaluate": "rows"}


def plan(
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Compare with dvc.lock at the merge base with this, not with the tree's own."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say which stages would run, why, and what it will cost. Example: tunegate plan --base origin/main

    `runs`: a file, a parameter or the command changed. `may run`: it reads what another stage makes, and runs if that
    changes. `restored`: this machine's run cache has the result. Nothing is run or fetched; the answer is the same in
    a clone without outputs.
    """
    from tunegate.repository.outputs import open_outputs
    from tunegate.repository.revisions import open_repository

    repository = open_repository()
    fork = repository.merge_base(base, "HEAD") if base else None
    with open_outputs(repository.root) as outputs:
        tree = Snapshot(repository, None, outputs)
        against = Snapshot(repository, fork, outputs).lock if fork else None
        stages = plan_stages(tree, against)
        ledger = tree.json(LEDGER) if tree.text(LEDGER) else {}
    stale = [stage.name for stage in stages if stage.status in ("runs", "may run")]
    revision = fork or checkout(repository.root).commit
    records = read_records(repository, revision) if stale and revision != UNVERSIONED else []
    costs = forecast(tree.params.model_dump(by_alias=True), ledger, records, stale)
    print(_as_json(fork, stages, costs) if as_json else _as_text(fork, stages, costs), end="" if as_json else "\n")


def _as_json(fork: str | None, stages: Sequence[StaleStage], costs: Sequence[Forecast]) -> str:
    plan: dict[str, Any] = {
        "against": fork,
        "stages": [{**dataclasses.asdict(stage), "after": stage.after} for stage in stages],
        "forecast": [dataclasses.asdict(cost) for cost in costs],
    }
    return to_json(plan)


def _as_text(fork: str | None, stages: Sequence[StaleStage], costs: Sequence[Forecast]) -> str:
    lock = f"dvc.lock at {fork[:12]}" if fork else "dvc.lock"
    if all(stage.status == "skipped" for stage in stages):
        return f"nothing to do: every stage is as {lock} says"
    rows = [_HEAD, *(row for stage in stages for row in _rows(stage))]
    parts = [f"compared with {lock}:", table(rows)]
    if costs:
        parts.append(table([_FORECAST_HEAD, *map(_cost_row, costs)]))
    notes = [f"{cost.stage}: {note}" for cost in costs for note in cost.notes]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def _rows(stage: StaleStage) -> list[tuple[str, str, str]]:
    waits = f"after {', '.join(stage.after)}" if stage.after else ""
    reasons = [cause.text for cause in stage.causes if cause.kind != "upstream"]
    first, *more = [*reasons, *filter(None, [waits])] or [""]
    return [(stage.name, stage.status, first), *(("", "", text) for text in more)]


def _cost_row(cost: Forecast) -> tuple[str, ...]:
    runs = "1 recorded run" if cost.runs == 1 else f"{cost.runs} recorded runs"
    return (
        cost.stage,
        "not recorded" if cost.amount is None else f"{cost.amount:,} {_UNITS[cost.stage]}",
        "not recorded" if cost.seconds is None else duration(cost.seconds),
        "not recorded" if cost.peak_memory_bytes is None else f"{cost.peak_memory_bytes / 1e9:.1f} GB",
        f"{runs} on {cost.hardware}" if cost.runs else "-",
    )


def duration(seconds: float) -> str:
    """Seconds for people: `40 s`, `7 min`, `2.5 h`."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
