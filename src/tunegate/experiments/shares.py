"""Shares of the training rows: nested, by the hash of a row's group, the rows of a group together.

Works on data/tokens, so that validation and test rows stay the same; augmented rows go with the row they were made of.
"""

import hashlib
from pathlib import Path

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


def keep_share(project: Path, share: float, groups: dict[str, str]) -> int:
    """Leave in data/tokens of the scratch project the training rows of `share` of the groups; return how many rows.

    A smaller share is part of a larger one.
    """
    import pyarrow as pa

    path = project / TOKENS / _TRAIN
    table = read_parquet(path)
    of_rows = [groups.get(row, row) for row in table["id"].to_pylist()]
    order = sorted(set(of_rows), key=lambda group: (hashlib.sha256(group.encode()).digest(), group))
    kept = set(order[: max(1, round(share * len(order)))])
    chosen = table.filter(pa.array([group in kept for group in of_rows]))
    write_parquet(path, chosen)
    return int(chosen.num_rows)
