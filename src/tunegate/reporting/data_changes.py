"""How the prepared rows differ between two commits: by id, by split, by label, by length.

Reads the locked output data/prepared of both; equal hashes are equal rows, and then nothing is read of the first.
Does not know what the model makes of the rows.
"""

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from tunegate.data.preparing.splits import SPLITS
from tunegate.data.rows import Row, rows_of
from tunegate.repository.snapshot import Snapshot
from tunegate.tables import read_parquet

PREPARED = "data/prepared"

Splits = Mapping[str, Sequence[Row]]


@dataclasses.dataclass(frozen=True)
class SplitChange:
    """One split: its rows before and after, and those that came, went or were edited."""

    split: str
    before: int
    after: int
    added: int
    removed: int
    edited: int


@dataclasses.dataclass(frozen=True)
class RowChange:
    """A row of one side only."""

    id: str
    split: str
    question: str
    answer: str


@dataclasses.dataclass(frozen=True)
class Edit:
    """A row of both sides that is not the same: field to its value before and after."""

    id: str
    split: str
    fields: dict[str, tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Move:
    """A row that is in another split than before."""

    id: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Count:
    """How often something occurs, before and after."""

    name: str
    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class Length:
    """Lengths of the questions in one unit: median and 95th percentile, before and after; None without rows."""

    unit: str
    median: tuple[int | None, int | None]
    p95: tuple[int | None, int | None]


@dataclasses.dataclass(frozen=True)
class DataChanges:
    """All of it, each list sorted by id. `same` where both sides lock the same bytes."""

    same: bool
    splits: list[SplitChange]
    added: list[RowChange]
    removed: list[RowChange]
    edited: list[Edit]
    moved: list[Move]
    labels: list[Count]
    """Labels whose number of rows differs, the largest difference first."""
    lengths: list[Length]


def data_changes(before: Snapshot | None, after: Snapshot) -> DataChanges | None:
    """The difference of the prepared rows; None where `after` locks none. Without `before`, every row is new."""
    locked = after.locked(PREPARED)
    if locked is None:
        return None
    known = before.locked(PREPARED) if before else None
    if known and known.md5 == locked.md5:
        rows = read_splits(after)
        return compare_rows(rows, rows, same=True)
    return compare_rows(read_splits(before) if before and known else {}, read_splits(after))


def read_splits(snapshot: Snapshot) -> dict[str, list[Row]]:
    """The rows of each split that the locked output has."""
    folder = snapshot.output(PREPARED)
    files = {split: folder / f"{split}.parquet" for split in SPLITS}
    return {split: rows_of(read_parquet(path)) for split, path in files.items() if path.is_file()}


def compare_rows(before: Splits, after: Splits, *, same: bool = False) -> DataChanges:
    """The difference of two sets of splits."""
    old, new = _by_id(before), _by_id(after)
    edits = [] if same else _edits(old, new)
    added, removed = new.keys() - old.keys(), old.keys() - new.keys()
    return DataChanges(
        same=same,
        splits=_splits(old, new, {edit.id for edit in edits}),
        added=_rows(new, added),
        removed=_rows(old, removed),
        edited=edits,
        moved=[Move(i, old[i][0], new[i][0]) for i in sorted(old.keys() & new.keys()) if old[i][0] != new[i][0]],
        labels=_labels(old, new),
        lengths=[] if same else _lengths(old, new),
    )


Placed = dict[str, tuple[str, Row]]


def _by_id(splits: Splits) -> Placed:
    return {row.id: (split, row) for split, rows in splits.items() for row in rows}


def _rows(placed: Placed, ids: Iterable[str]) -> list[RowChange]:
    return [RowChange(i, placed[i][0], placed[i][1].last_turn, placed[i][1].answer) for i in sorted(ids)]


def _edits(old: Placed, new: Placed) -> list[Edit]:
    found = []
    for key in sorted(old.keys() & new.keys()):
        split, row = new[key]
        one, other = _fields(old[key][1]), _fields(row)
        fields = {name: (one[name], other[name]) for name in one if one[name] != other[name]}
        if fields:
            found.append(Edit(key, split, fields))
    return found


def _fields(row: Row) -> dict[str, str]:
    slices = ", ".join(f"{name}: {value}" for name, value in sorted(row.slices.items()))
    return {"question": row.question, "answer": row.answer, "group": row.group, "slices": slices, "source": row.source}


def _splits(old: Placed, new: Placed, edited: set[str]) -> list[SplitChange]:
    found = []
    for split in SPLITS:
        one, other = ({key for key, (where, _) in placed.items() if where == split} for placed in (old, new))
        counts = (len(one), len(other), len(other - one), len(one - other), len(edited & one & other))
        found.append(SplitChange(split, *counts))
    return found


def _labels(old: Placed, new: Placed) -> list[Count]:
    one, other = (
        collections.Counter(row.label for _, row in placed.values() if row.label is not None) for placed in (old, new)
    )
    found = [Count(label, one[label], other[label]) for label in one | other if one[label] != other[label]]
    return sorted(found, key=lambda count: (-abs(count.after - count.before), count.name))


def _lengths(old: Placed, new: Placed) -> list[Length]:
    found = []
    for unit, measure in (("characters", len), ("words", lambda text: len(text.split()))):
        sides = [sorted(measure(row.last_turn) for _, row in placed.values()) for placed in (old, new)]
        median, p95 = ([_at(side, share) for side in sides] for share in (0.5, 0.95))
        found.append(Length(unit, (median[0], median[1]), (p95[0], p95[1])))
    return found


def _at(ordered: Sequence[int], share: float) -> int | None:
    """The nearest-rank percentile."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
