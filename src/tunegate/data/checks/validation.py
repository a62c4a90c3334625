"""What follows from a suite's outcomes: stop, quarantine, or go on.

A row that fails several expectations has the first of them as its reason in the ledger; the quarantine has all.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunegate.data.checks.outcomes import SHOWN_KEYS, Numbers, Outcome, Rows
from tunegate.data.ledger.stage_ledger import make_ledger
from tunegate.data.rows import PLACED_ROW
from tunegate.errors import RefusedError
from tunegate.tables import GROUP_ROWS, parquet_batches, parquet_writer
from tunegate.text import listed, visible

NAMED_IN_ERROR = 10
VALUES_IN_ERROR = 3
LETTERS_IN_ERROR = 40
"""Errors end in logs, where whole texts of rows have no place."""


@dataclass(frozen=True)
class Validation:
    """The rows that go to quarantine, the outcomes that move them, the normalised result and the stage's ledger."""

    quarantined: Numbers
    moving: tuple[Outcome, ...]
    result: dict[str, Any]
    ledger: dict[str, Any]


def decide(suite: str, rows: Rows, outcomes: list[Outcome], *, max_quarantined_share: float) -> Validation:
    """Part the rows by `outcomes`. Raises RefusedError for a critical failure and for too many rows in quarantine."""
    for outcome in outcomes:
        if outcome.expectation.severity == "critical" and not outcome.success:
            _refuse(suite, outcome, rows)
    moving = tuple(o for o in outcomes if o.expectation.severity == "warning" and not o.success)
    for outcome in moving:
        _check_own_share(suite, outcome, rows)
    firsts = _firsts(moving)
    quarantined = np.sort(np.concatenate(firsts)) if firsts else np.empty(0, np.int64)
    _check_share(suite, quarantined, moving, rows, max_quarantined_share)
    return Validation(quarantined, moving, _result(suite, rows, outcomes, quarantined), _ledger(rows, moving, firsts))


def part_rows(path: Path, validation: Validation, passed: Path, quarantine: Path) -> None:
    """Write the rows of the Parquet file `path` to the files `passed` and `quarantine`, in their order."""
    import pyarrow as pa

    with_reasons = PLACED_ROW.append(pa.field("reasons", pa.list_(pa.string())))
    start = 0
    with parquet_writer(passed, PLACED_ROW) as keep, parquet_writer(quarantine, with_reasons) as set_aside:
        for batch in parquet_batches(path, columns=PLACED_ROW.names, rows=GROUP_ROWS):
            away = _in_batch(validation.quarantined, start, batch.num_rows)
            if len(away):
                stays = np.ones(batch.num_rows, dtype=bool)
                stays[away - start] = False
                reasons = pa.array(_reasons(validation.moving, away, start, batch.num_rows), pa.list_(pa.string()))
                set_aside(pa.Table.from_batches([batch.take(away - start)]).append_column("reasons", reasons))
                batch = batch.filter(pa.array(stays))  # noqa: PLW2901
            keep(batch)
            start += batch.num_rows + len(away)


def _firsts(moving: tuple[Outcome, ...]) -> list[Numbers]:
    """For each outcome the rows that no outcome before it moves."""
    moved = np.empty(0, np.int64)
    firsts = []
    for outcome in moving:
        firsts.append(np.setdiff1d(outcome.failing, moved, assume_unique=True))
        moved = np.union1d(moved, outcome.failing)
    return firsts


def _refuse(suite: str, outcome: Outcome, rows: Rows) -> None:
    if len(outcome.failing):
        named = _named(outcome.failing, rows)
        fault = f"{len(outcome.failing)} of {len(rows)} rows fail: {named}"
    else:
        kwargs = json.dumps(outcome.expectation.kwargs, ensure_ascii=False)
        fault = f"found {_brief(outcome.observed)}, expected {kwargs}"
    remedy = "mend the rows at their source; with severity warning the rows would go to quarantine instead"
    raise RefusedError(f"{outcome.expectation.name}: {fault}", place=f"suite {suite}", remedy=remedy)


def _brief(observed: Any) -> str:
    """What was observed, without whole texts: of many values the first, each cut."""
    if isinstance(observed, dict):
        return "{" + ", ".join(f"{_brief(key)}: {_brief(value)}" for key, value in observed.items()) + "}"
    if isinstance(observed, list):
        more = [f"… {len(observed)} in all"] if len(observed) > VALUES_IN_ERROR else []
        return "[" + ", ".join([*map(_brief, observed[:VALUES_IN_ERROR]), *more]) + "]"
    if isinstance(observed, str) and len(observed) > LETTERS_IN_ERROR:
        observed = f"{observed[:LETTERS_IN_ERROR]}…"
    return repr(observed)


def _check_own_share(suite: str, outcome: Outcome, rows: Rows) -> None:
    limit = outcome.expectation.max_quarantined_share
    share = len(outcome.failing) / len(rows)
    if limit is not None and share > limit:
        count = f"{len(outcome.failing)} of {len(rows)} rows ({share:.1%})"
        problem = f"{outcome.expectation.name}: {count} would go to quarantine: {_named(outcome.failing, rows)}"
        remedy = f"mend the rows, or raise the expectation's max_quarantined_share (now {limit})"
        raise RefusedError(problem, place=f"suite {suite}", remedy=remedy)


def _check_share(suite: str, quarantined: Numbers, moving: tuple[Outcome, ...], rows: Rows, limit: float) -> None:
    share = len(quarantined) / len(rows)
    if share > limit:
        named = _named(quarantined, rows, moving)
        problem = f"{len(quarantined)} of {len(rows)} rows ({share:.1%}) would go to quarantine: {named}"
        remedy = f"mend the rows, or raise validate.max_quarantined_share (now {limit}) in params.yaml"
        raise RefusedError(problem, place=f"suite {suite}", remedy=remedy)
    if len(quarantined) == len(rows):
        remedy = "mend the rows, or correct the suite"
        raise RefusedError("every row would go to quarantine", place=f"suite {suite}", remedy=remedy)


def _named(numbers: Numbers, rows: Rows, moving: tuple[Outcome, ...] = ()) -> str:
    """The first of the rows by id and place, and what moves each."""
    names = []
    for number, row in rows.named(numbers[:NAMED_IN_ERROR].tolist()).items():
        reason = next((f": {outcome.expectation.name}" for outcome in moving if number in outcome.failing), "")
        names.append(f"{visible(row.id, keep='')} ({visible(row.place, keep='')}){reason}")
    return listed(names, count=len(numbers))


def _result(suite: str, rows: Rows, outcomes: list[Outcome], quarantined: Numbers) -> dict[str, Any]:
    named = rows.named(number for outcome in outcomes for number in outcome.failing[:SHOWN_KEYS].tolist())
    results = [outcome.to_json(rows, named) for outcome in outcomes]
    moved = rows.per_source(quarantined)
    per_source = {
        source: {"rows": count, "quarantined": moved.get(source, 0)} for source, count in rows.per_source().items()
    }
    return {
        "suite": suite,
        "rows": len(rows),
        "quarantined": len(quarantined),
        "per_source": per_source,
        "success": all(outcome.success for outcome in outcomes),
        "expectations": sorted(results, key=lambda item: (item["type"], json.dumps(item["kwargs"], sort_keys=True))),
    }


def _ledger(rows: Rows, moving: tuple[Outcome, ...], firsts: list[Numbers]) -> dict[str, Any]:
    entered = rows.per_source()
    dropped: dict[str, dict[str, int]] = {}
    for outcome, numbers in zip(moving, firsts, strict=True):
        for source, count in rows.per_source(numbers).items():
            reasons = dropped.setdefault(source, {})
            name = f"quarantine: {outcome.expectation.name}"
            reasons[name] = reasons.get(name, 0) + count
    passed = {source: count - sum(dropped.get(source, {}).values()) for source, count in entered.items()}
    return make_ledger("validate", sources_in=entered, sources_out=passed, dropped=dropped)


def _in_batch(numbers: Numbers, start: int, count: int) -> Any:
    first, last = np.searchsorted(numbers, (start, start + count))
    return numbers[first:last]


def _reasons(moving: tuple[Outcome, ...], away: Any, start: int, count: int) -> list[list[str]]:
    """The names of the expectations that each of the rows fails, in the order of the suite."""
    reasons: list[list[str]] = [[] for _ in away]
    for outcome in moving:
        for index in np.searchsorted(away, _in_batch(outcome.failing, start, count)).tolist():
            reasons[index].append(outcome.expectation.name)
    return reasons
