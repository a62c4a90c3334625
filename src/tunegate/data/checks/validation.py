"""What follows from a suite's outcomes: stop, quarantine, or go on.

Reads and writes nothing. Does not know Great Expectations: `checks` does.
"""

import json
from typing import Any, NamedTuple

import pyarrow as pa

from tunegate.data.checks.running import Outcome
from tunegate.data.ledger import make_ledger
from tunegate.data.nearest import listed
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.errors import RefusedError

NAMED_IN_ERROR = 10


class Validated(NamedTuple):
    """Rows that passed, rows in quarantine with their reasons, the normalised result and the stage's ledger."""

    passed: list[Row]
    quarantined: list[tuple[Row, list[str]]]
    result: dict[str, Any]
    ledger: dict[str, Any]


def judge(suite: str, rows: list[Row], outcomes: list[Outcome], *, max_quarantined_share: float) -> Validated:
    """Part the rows by `outcomes`. Raises RefusedError for a critical failure and for too many rows in quarantine."""
    for outcome in outcomes:
        if outcome.severity == "critical" and not outcome.success:
            _refuse(suite, outcome, rows)
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.severity == "warning" and not outcome.success:
            for key in outcome.failing:
                reasons.setdefault(key, []).append(name_of(outcome))
    passed = [row for row in rows if row.id not in reasons]
    quarantined = [(row, reasons[row.id]) for row in rows if row.id in reasons]
    _check_share(suite, quarantined, len(rows), max_quarantined_share)
    return Validated(passed, quarantined, _result(suite, rows, outcomes, quarantined), _ledger(rows, quarantined))


def quarantine_table(quarantined: list[tuple[Row, list[str]]]) -> pa.Table:
    """The rows in quarantine as a table: those of a row, its place, and `reasons`."""
    table = table_of((row for row, _ in quarantined), PLACED_ROW)
    reasons = pa.array([reasons for _, reasons in quarantined], pa.list_(pa.string()))
    return table.append_column("reasons", reasons)


def name_of(outcome: Outcome) -> str:
    """The expectation as a reader recognises it: its type and the column it looks at."""
    keys = ("column", "column_list", "column_A", "column_B", "column_set")
    columns = [str(outcome.kwargs[key]) for key in keys if key in outcome.kwargs]
    return f"{outcome.type}({', '.join(columns)})"


def _refuse(suite: str, outcome: Outcome, rows: list[Row]) -> None:
    places = {row.id: row.place for row in rows}
    if outcome.failing:
        first = listed([f"{key} ({places[key]})" for key in outcome.failing], NAMED_IN_ERROR)
        found = f"{len(outcome.failing)} of {len(rows)} rows fail: {first}"
    else:
        found = f"found {outcome.observed!r}, expected {json.dumps(outcome.kwargs, ensure_ascii=False)}"
    remedy = "mend the rows at their source; with severity warning the rows would go to quarantine instead"
    raise RefusedError(f"{name_of(outcome)}: {found}", place=f"suite {suite}", remedy=remedy)


def _check_share(suite: str, quarantined: list[tuple[Row, list[str]]], total: int, limit: float) -> None:
    share = len(quarantined) / total if total else 0.0
    if share > limit:
        first = listed([f"{row.id} ({row.place}): {reasons[0]}" for row, reasons in quarantined], NAMED_IN_ERROR)
        problem = f"{len(quarantined)} of {total} rows ({share:.1%}) would go to quarantine: {first}"
        remedy = f"mend the rows, or raise validate.max_quarantined_share (now {limit}) in params.yaml"
        raise RefusedError(problem, place=f"suite {suite}", remedy=remedy)
    if total and len(quarantined) == total:
        remedy = "mend the rows, or correct the suite"
        raise RefusedError("every row would go to quarantine", place=f"suite {suite}", remedy=remedy)


def _result(
    suite: str, rows: list[Row], outcomes: list[Outcome], quarantined: list[tuple[Row, list[str]]]
) -> dict[str, Any]:
    found = [outcome.to_json() for outcome in outcomes]
    return {
        "suite": suite,
        "rows": len(rows),
        "quarantined": len(quarantined),
        "success": all(outcome.success for outcome in outcomes),
        "expectations": sorted(found, key=lambda item: (item["type"], json.dumps(item["kwargs"], sort_keys=True))),
    }


def _ledger(rows: list[Row], quarantined: list[tuple[Row, list[str]]]) -> dict[str, Any]:
    # A row that fails twice has one reason in the ledger, the suite's first; quarantine.parquet has both.
    reasons: dict[str, int] = {}
    for _, names in quarantined:
        reasons[f"quarantine: {names[0]}"] = reasons.get(f"quarantine: {names[0]}", 0) + 1
    away = {row.id for row, _ in quarantined}
    return make_ledger(
        "validate",
        sources_in=[row.source for row in rows],
        sources_out=[row.source for row in rows if row.id not in away],
        reasons=reasons,
        details={"quarantined": {row.id: names for row, names in quarantined}},
    )
