"""Shares of the training rows: nested, by the hash of a row's group, the rows of a group together.

Works on data/tokens, so that validation and test rows stay the same; augmented rows go with the row they were made of.
Every share has a group of every label that a head tells apart, or of every task: without one, nothing could be trained.
"""

import hashlib
from pathlib import Path
from typing import Any

from tunegate.models.labels import split
from tunegate.params import Train
from tunegate.tables import parquet_batches, read_parquet, write_parquet

PREPARED, TOKENS = Path("data/prepared"), Path("data/tokens")
_TRAIN, _AUGMENTED = "train.parquet", "augmented.parquet"


def groups_in(project: Path) -> dict[str, str]:
    """Training row to its group."""
    found: dict[str, str] = {}
    for batch in parquet_batches(project / PREPARED / _TRAIN, columns=["id", "group"]):
        found.update(zip(batch["id"].to_pylist(), batch["group"].to_pylist(), strict=True))
    made = project / TOKENS / _AUGMENTED
    for batch in parquet_batches(made, columns=["id", "parent"]) if made.exists() else ():
        pairs = zip(batch["id"].to_pylist(), batch["parent"].to_pylist(), strict=True)
        found.update((row, found.get(parent, parent)) for row, parent in pairs)
    return found


def keep_share(project: Path, share: float, groups: dict[str, str], train: Train) -> int:
    """Leave in data/tokens of the scratch project the training rows of `share` of the groups; return how many rows.

    A smaller share is part of a larger one.
    """
    import pyarrow as pa

    path = project / TOKENS / _TRAIN
    table = read_parquet(path)
    of_rows = [groups.get(row, row) for row in table["id"].to_pylist()]
    kinds: dict[str, set[str]] = {group: set() for group in of_rows}
    for group, found in zip(of_rows, _kinds(table, train), strict=True):
        kinds[group].update(found)
    order, least = _ordered(kinds)
    kept = set(order[: max(1, least, round(share * len(order)))])
    chosen = table.filter(pa.array([group in kept for group in of_rows]))
    write_parquet(path, chosen)
    return int(chosen.num_rows)


def _ordered(kinds: dict[str, set[str]]) -> tuple[list[str], int]:
    """The groups by hash, but the first of every kind before all others; and how many those are."""
    order = sorted(kinds, key=lambda group: (hashlib.sha256(group.encode()).digest(), group))
    seen: set[str] = set()
    first = []
    for group in order:
        if kinds[group] - seen:
            first.append(group)
            seen |= kinds[group]
    known = set(first)
    return [*first, *(group for group in order if group not in known)], len(first)


def _kinds(table: Any, train: Train) -> list[tuple[str, ...]]:
    """By row, the labels or the task of which a training needs one."""
    if train.has_head:
        separator = train.classify.separator if train.classify.multi_label else None
        return [split(text or "", separator) for text in table["target"].to_pylist()]
    if train.technique in ("multitask", "fewshot"):
        name = train.multitask.task if train.technique == "multitask" else train.fewshot.task
        return [(dict(tasks or ()).get(name, ""),) for tasks in table["tasks"].to_pylist()]
    return [()] * int(table.num_rows)
