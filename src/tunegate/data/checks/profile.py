"""What the ingested rows are like: lengths, labels, slices, repeats, conversations. Counts, chunk by chunk.

Reads the rows, or those of one source. Keeps a few bytes for each row and no text.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tunegate.data.checks.chat import is_well_formed
from tunegate.data.checks.columns import SLICE, Chunk, chunks, column_names, digests
from tunegate.errors import InputError
from tunegate.text import did_you_mean, listed

TEXTS = ("text", "answer", "rejected")
MANY_VALUES = 1000
"""A column with more different values is not a set of values."""


@dataclass
class Lengths:
    """Of some texts, how many characters they have."""

    parts: list[Any] = field(default_factory=list)

    def add(self, lengths: Any) -> None:
        """Take more lengths in."""
        self.parts.append(lengths.drop_null().to_numpy(zero_copy_only=False).astype(np.int32))

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def at(self, share: float) -> int:
        """The length that this share of the texts does not exceed: 0 is the shortest, 1 the longest."""
        return int(np.quantile(np.concatenate(self.parts), share, method="lower"))


@dataclass
class Profile:
    """What the rows of `source`, or of all sources, are like."""

    source: str | None
    rows: int = 0
    talks: int = 0
    """Rows that are conversations."""
    malformed: int = 0
    """Conversations that are not well formed, whatever template would render them."""
    lengths: dict[str, Lengths] = field(default_factory=lambda: {name: Lengths() for name in TEXTS})
    """Of the texts of each column; rows without one do not count."""
    values: dict[str, Counter[str] | None] = field(default_factory=dict)
    """For the label and each slice, how often each value occurs; None for more than MANY_VALUES values."""
    turns: int = 0
    """The most messages of the user in one row."""
    repeated: int = 0
    """Rows whose text, answer and rejected answer are those of another row, too."""

    def count(self, column: str) -> int:
        """Rows with a value in a column of few values."""
        counts = self.values.get(column)
        return counts.total() if counts else 0


def profile_of(path: Path, source: str | None = None) -> Profile:
    """What the rows in the Parquet file are like, or those of one source. Raises InputError when there are none."""
    names = column_names(path)
    profile = Profile(source, values={name: Counter() for name in names if name == "label" or name.startswith(SLICE)})
    sources: set[str] = set()
    pairs = []
    for chunk in chunks(path, ["source", *TEXTS, "turns", *profile.values, "messages"]):
        sources.update(chunk.columns["source"].unique().to_pylist())
        chosen = _chosen(chunk, source)
        _count(profile, chosen)
        pairs.append(_pairs(chosen))
    if not profile.rows:
        which = f" of source {source!r}{did_you_mean(source, sources)}" if source else ""
        remedy = f"the sources are {listed(sorted(sources))}" if sources else "run `dvc repro ingest`"
        raise InputError(f"no rows{which}", place=str(path), remedy=remedy)
    _, counts = np.unique(np.concatenate(pairs), return_counts=True)
    profile.repeated = int(counts[counts > 1].sum())
    return profile


def _chosen(chunk: Chunk, source: str | None) -> dict[str, Any]:
    import pyarrow.compute

    if source is None:
        return chunk.columns
    mask = pyarrow.compute.equal(chunk.columns["source"], source)
    return {name: values.filter(mask) for name, values in chunk.columns.items()}


def _count(profile: Profile, columns: dict[str, Any]) -> None:
    import pyarrow.compute as pc

    rows = len(columns["source"])
    profile.rows += rows
    profile.talks += rows - columns["messages"].null_count
    profile.malformed += sum(
        not is_well_formed(json.loads(talk)) for talk in columns["messages"].drop_null().to_pylist()
    )
    profile.turns = max(profile.turns, pc.max(columns["turns"]).as_py() or 0)
    for name, lengths in profile.lengths.items():
        lengths.add(pc.utf8_length(columns[name]))
    for name, counts in profile.values.items():
        if counts is not None:
            frequencies = pc.value_counts(columns[name].drop_null())
            counts.update(
                dict(zip(frequencies.field("values").to_pylist(), frequencies.field("counts").to_pylist(), strict=True))
            )
            if len(counts) > MANY_VALUES:
                profile.values[name] = None


def _pairs(columns: dict[str, Any]) -> Any:
    mixed = np.zeros(len(columns["source"]), np.uint64)
    for name in TEXTS:
        # An odd factor turns what came before around, so that swapped texts are another row.
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) ^ digests(columns[name]).fill_null(0).to_numpy()
    return mixed
