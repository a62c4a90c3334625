"""Rows put through the whole of `prepare`, with what became of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.preparation.frozen_test_set import FrozenRow
from tunegate.data.preparation.prepare import prepare
from tunegate.data.rows import PLACED_ROW, Row, rows_of, table_of
from tunegate.params import Compute, PersonalData, Prepare
from tunegate.tables import BATCH_ROWS, read_parquet

WORDS = [
    "lamp",
    "roof",
    "door",
    "pipe",
    "tile",
    "wall",
    "stair",
    "beam",
    "floor",
    "glass",
    "hinge",
    "paint",
    "screw",
    "nail",
    "drill",
]


@dataclass(frozen=True)
class Outcome:
    """What `prepare` wrote."""

    folder: Path
    ledger: dict[str, Any]

    @property
    def splits(self) -> dict[str, list[Row]]:
        return {name: rows_of(read_parquet(self.folder / f"{name}.parquet")) for name in ("train", "valid", "test")}

    @property
    def where(self) -> dict[str, str]:
        """Id to split."""
        return {row.id: name for name, rows in self.splits.items() for row in rows}

    @property
    def dropped(self) -> dict[str, tuple[str, str | None, float | None]]:
        """Id to reason, what was met and its similarity."""
        rows = read_parquet(self.folder / "dropped.parquet").to_pylist()
        return {row["id"]: (row["reason"], row["other"], row["similarity"]) for row in rows}

    @property
    def changes(self) -> dict[str, list[str]]:
        return {row["id"]: row["changes"] for row in read_parquet(self.folder / "changes.parquet").to_pylist()}

    @property
    def texts(self) -> dict[str, str | None]:
        return {row.id: row.text for rows in self.splits.values() for row in rows}


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Outcome]:
    """`prepared(rows, frozen=(), batch=…, compute=…, **params)`: all rows to train, nothing checked, unless asked."""

    def run(
        rows: list[Row],
        frozen: tuple[FrozenRow, ...] = (),
        batch: int = BATCH_ROWS,
        compute: Compute | None = None,
        **params: Any,
    ) -> Outcome:
        defaults = {"valid_share": 0.0, "test_share": 0.0, "min_rows_per_label": 1, "near_duplicates": None}
        defaults |= {"personal_data": PersonalData(action="keep"), "secrets": "keep"}
        # Past the checks, which want all three splits: here only the rest of the work is looked at.
        settings = Prepare.model_construct(**(defaults | params))  # type: ignore[arg-type]
        folder = tmp_path / f"prepared-{len(list(tmp_path.glob('prepared-*')))}"
        batches = table_of(rows, PLACED_ROW).to_batches(max_chunksize=batch)
        ledger = prepare(batches, folder, settings, compute or Compute(reuse=False), frozen=frozen)
        return Outcome(folder, ledger)

    return run


@pytest.fixture
def prose() -> Callable[[int], str]:
    """`prose(7)`: a text of twenty words that no other number has."""

    def text(number: int) -> str:
        return " ".join(f"{word}{number}" for word in WORDS) + f" and that is all of number {number}"

    return text
