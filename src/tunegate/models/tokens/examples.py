"""An example: one row as token ids, with what else its technique needs; and its columns in data/tokens."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

IGNORED = -100
"""The label of a position that is not trained on (PyTorch's cross-entropy ignores it)."""

TOKENS = pa.schema(
    [
        ("id", pa.string()),
        ("ids", pa.list_(pa.int32())),
        ("labels", pa.list_(pa.int32())),
        ("rejected", pa.list_(pa.int32())),
        ("target", pa.string()),
        ("tasks", pa.map_(pa.string(), pa.string())),
    ]
)
"""The columns of data/tokens/<split>.parquet: the fields of `Example`."""


@dataclasses.dataclass(frozen=True)
class Example:
    """One row as tokens; what its technique does not need is None."""

    id: str
    ids: list[int]
    """Prompt and answer, or what there is of them."""
    labels: list[int]
    """`labels[i]` is `ids[i]` where it is trained on, else IGNORED."""
    rejected: list[int] | None = None
    """preference: the tokens of the other answer, which stand after the prompt in place of the trained ones."""
    target: str | None = None
    """classify: the label or labels as the row has them. reinforce: the row's answer."""
    tasks: Mapping[str, str] | None = None
    """Techniques with tasks: what may name the row's task, its `source` and its slices."""

    @property
    def prompt(self) -> int:
        """How many tokens come before the first trained one; all, when none is trained."""
        return next((index for index, label in enumerate(self.labels) if label != IGNORED), len(self.ids))

    @property
    def length(self) -> int:
        """Tokens that a model sees of it: both answers of a preference, each after the prompt."""
        return len(self.ids) + (0 if self.rejected is None else self.prompt + len(self.rejected))

    @property
    def longest(self) -> int:
        """Tokens of its longest sequence."""
        return max(len(self.ids), 0 if self.rejected is None else self.prompt + len(self.rejected))


def examples_from(table: Any) -> list[Example]:
    """The examples in a `pyarrow.Table` with the columns TOKENS."""
    return [Example(**(row | {"tasks": _mapping(row["tasks"])})) for row in table.select(TOKENS.names).to_pylist()]


def columns_of(examples: Iterable[Example]) -> list[Any]:
    """The examples as columns, in the order of TOKENS."""
    held = list(examples)
    tasks = [None if example.tasks is None else sorted(example.tasks.items()) for example in held]
    return [
        pa.array([example.id for example in held], pa.string()),
        _lists([example.ids for example in held]),
        _lists([example.labels for example in held]),
        pa.array([example.rejected for example in held], TOKENS.field("rejected").type),
        pa.array([example.target for example in held], pa.string()),
        pa.array(tasks, TOKENS.field("tasks").type),
    ]


def _lists(rows: list[list[int]]) -> Any:
    # Ten times faster than pyarrow's own conversion from lists of lists.
    held = [np.asarray(row, dtype=np.int32) for row in rows]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in held])]).astype(np.int32)
    values = np.concatenate(held) if held else np.empty(0, np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _mapping(pairs: Any) -> dict[str, str] | None:
    return None if pairs is None else dict(pairs)
