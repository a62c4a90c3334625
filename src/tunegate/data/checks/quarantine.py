"""The rows of a file in two files: those that passed, and those in quarantine with all their reasons.

Reads and writes batch by batch. Does not know why a row is in quarantine beyond the names of the expectations.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tunegate.data.checks.outcomes import Numbers, Outcome
from tunegate.data.checks.validation import Judged
from tunegate.data.rows import PLACED_ROW
from tunegate.tables import GROUP_ROWS, parquet_batches, parquet_writer


def part_rows(path: Path, judged: Judged, passed: Path, quarantine: Path) -> None:
    """Write the rows of the Parquet file `path` to the files `passed` and `quarantine`, in their order."""
    import pyarrow as pa

    with_reasons = PLACED_ROW.append(pa.field("reasons", pa.list_(pa.string())))
    start = 0
    with parquet_writer(passed, PLACED_ROW) as keep, parquet_writer(quarantine, with_reasons) as set_aside:
        for batch in parquet_batches(path, columns=PLACED_ROW.names, rows=GROUP_ROWS):
            away = _between(judged.quarantined, start, batch.num_rows)
            if len(away):
                stays = np.ones(batch.num_rows, dtype=bool)
                stays[away - start] = False
                reasons = pa.array(_reasons(judged.moving, away, start, batch.num_rows), pa.list_(pa.string()))
                set_aside(pa.Table.from_batches([batch.take(away - start)]).append_column("reasons", reasons))
                batch = batch.filter(pa.array(stays))  # noqa: PLW2901
            keep(batch)
            start += batch.num_rows + len(away)


def _between(numbers: Numbers, start: int, count: int) -> Any:
    first, last = np.searchsorted(numbers, (start, start + count))
    return numbers[first:last]


def _reasons(moving: tuple[Outcome, ...], away: Any, start: int, count: int) -> list[list[str]]:
    """The names of the expectations that each of the rows fails, in the order of the suite."""
    reasons: list[list[str]] = [[] for _ in away]
    for outcome in moving:
        for index in np.searchsorted(away, _between(outcome.failing, start, count)).tolist():
            reasons[index].append(outcome.expectation.name)
    return reasons
