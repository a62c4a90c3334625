"""What became of the expectations, and the rows that they were about, by number.

Reads the ids and places of rows that are named in a result. Rows are numbered in the order of their file: a million
failing rows are eight megabytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunegate.data.checks.suites import Expectation
from tunegate.tables import GROUP_ROWS, parquet_batches

Numbers = NDArray[np.int64]
"""Numbers of rows, ascending."""

SHOWN_KEYS = 20
"""Failing ids that a result lists; the quarantine has all of them."""
SHOWN_VALUES = 100
"""Values that a result lists where a whole column was observed."""


class RowReference(NamedTuple):
    """A row as people find it."""

    id: str
    place: str


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation; `failing` are all rows that fail it."""

    expectation: Expectation
    success: bool
    observed: Any
    failing: Numbers

    def to_json(self, rows: "Rows", named: dict[int, RowReference]) -> dict[str, Any]:
        """The outcome for result.json, without ids of its own and without times."""
        observed = self.observed
        if isinstance(observed, list) and len(observed) > SHOWN_VALUES:
            observed = {"values": len(observed), "first": observed[:SHOWN_VALUES]}
        return {
            "type": self.expectation.type,
            "kwargs": self.expectation.kwargs,
            "severity": self.expectation.severity,
            "success": self.success,
            "observed": observed,
            "failed_rows": len(self.failing),
            "failing": [named[number].id for number in self.failing[:SHOWN_KEYS].tolist()],
            "per_source": rows.per_source(self.failing),
        }


@dataclass(frozen=True)
class Rows:
    """The rows of a Parquet file: row `i` is of the source `names[codes[i]]`."""

    path: Path
    names: tuple[str, ...]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    def per_source(self, numbers: Numbers | None = None) -> dict[str, int]:
        """How many of these rows, or of all, each source has; sources with none are left out."""
        counts = np.bincount(self.codes if numbers is None else self.codes[numbers], minlength=len(self.names))
        return {name: int(count) for name, count in sorted(zip(self.names, counts, strict=True)) if count}

    def named(self, numbers: Iterable[int]) -> dict[int, RowReference]:
        """Id and place of each of these few rows."""
        rows = np.unique(np.fromiter(numbers, dtype=np.int64))
        named: dict[int, RowReference] = {}
        start = 0
        for batch in parquet_batches(self.path, columns=["id", "place"], rows=GROUP_ROWS):
            if len(named) == len(rows):
                break
            here = rows[(rows >= start) & (rows < start + batch.num_rows)]
            for number, row in zip(here.tolist(), batch.take(here - start).to_pylist(), strict=True):
                named[number] = RowReference(row["id"], row["place"])
            start += batch.num_rows
        return named
