"""The difference between the data of two commits: everything that tunegate.data.diff finds, in one value.

Reads the locked outputs of both sides; writes only a work database, below the project's state folder, that is gone
afterwards. Memory does not grow with the rows beyond DuckDB's limit. The same commits give the same value.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tunegate.data.compute.database import connect
from tunegate.data.diff.declarations import expectation_changes, reason_counts, source_changes, token_counts
from tunegate.data.diff.display import shown, shown_edit
from tunegate.data.diff.leaks import open_leaks, seen_by_base
from tunegate.data.diff.removed_rows import (
    CHANGES,
    DROPPED,
    new_duplicates,
    new_leaks_left_out,
    personal_data,
    quarantine,
)
from tunegate.data.diff.result import DataDiff, Pairs
from tunegate.data.diff.row_changes import edited, moved, one_sided, row_counts
from tunegate.data.diff.row_tables import load
from tunegate.data.diff.shifts import shifts
from tunegate.data.diff.sides import OUTPUTS, PREPARED, Side, side_of
from tunegate.data.diff.text_shifts import text_shifts
from tunegate.files import STATE
from tunegate.repository.snapshot import Snapshot

NEAR = 0.9
"""Similarity from which two questions are nearly equal, where no policy says another."""
MEMORY = 2**30
"""Bytes that DuckDB may keep; what needs more goes to disk."""


def compare_snapshots(before: Snapshot | None, after: Snapshot, *, near: float = NEAR) -> DataDiff:
    """The difference between two commits; without `before`, everything is new.

    Raises InputError when an output is locked and cannot be had, or a file is damaged.
    """
    state = after.repository.root / STATE
    state.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="diff-", dir=state) as folder:
        return compare(side_of(before), side_of(after), Path(folder), near=near, first=before is None)


def compare(before: Side, after: Side, folder: Path, *, near: float = NEAR, first: bool = False) -> DataDiff:
    """The difference between two sides; `folder` is for the work database."""
    same = PREPARED in after.hashes and before.hashes.get(PREPARED) == after.hashes[PREPARED]
    with connect(folder, MEMORY) as connection:
        load(connection, before, after)
        count, moves = moved(connection)
        nothing = Pairs(count=0, pairs=[])
        shifted, not_computed = ([], []) if same else shifts(connection)
        return DataDiff(
            base=None if first else before.name,
            head=after.name,
            same=same,
            notes=[*_notes(before, after, first=first), *not_computed],
            rows=row_counts(connection),
            added=one_sided(connection, "after", shown),
            removed=one_sided(connection, "before", shown),
            edited=edited(connection, shown_edit),
            moved=moves,
            moved_count=count,
            shifts=[] if same else [*shifted, *text_shifts(connection)],
            duplicates=new_duplicates(connection, before, after),
            leaks_left_out=new_leaks_left_out(connection, before, after),
            leaks=nothing if same else open_leaks(connection),
            seen=nothing if same else seen_by_base(connection, before, near=near),
            left_out=reason_counts(before, after),
            quarantine=quarantine(connection, before, after),
            personal_data=personal_data(connection, before, after),
            expectations=expectation_changes(before, after),
            sources=source_changes(before, after),
            tokens=token_counts(before, after),
        )


def _notes(before: Side, after: Side, *, first: bool) -> Iterator[str]:
    """What cannot be compared."""
    if first:
        yield "there is no base to compare with: everything is new"
    for side, name in ((before, "base"), (after, "head")):
        if name == "base" and first:
            continue
        missing = [output for output in OUTPUTS if output not in side.folders]
        if missing:
            yield f"the {name} locks no {', '.join(missing)}"
        older = [file for file in (DROPPED, CHANGES) if PREPARED in side.folders and not side.file(PREPARED, file)]
        if older:
            yield f"the {name}'s {PREPARED} has no {', '.join(older)}: it was made by an older tunegate"
