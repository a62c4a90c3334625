"""Some records of a file at a time, column by column, with their places: what every reader of a format gives."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from tunegate.data.sources.streams import TextStream
from tunegate.tables import BATCH_ROWS

Item = TypeVar("Item")

BATCH_BYTES = 16 * 2**20
"""Records are handed on when they took so many bytes, however few they are."""


@dataclass(frozen=True)
class Batch(ABC):
    """Some records of a file, in order; `lines` are where they begin."""

    file: str
    lines: Sequence[int]
    is_raw: ClassVar[bool] = False
    """Whether its records are texts and nothing else."""

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, index: int) -> str:
        """File and line of a record."""
        return f"{self.file}:{self.lines[index]}"

    @abstractmethod
    def column(self, name: str) -> list[Any]:
        """The values of a column. Raises KeyError where a record has no such column."""

    def cells(self, name: str) -> list[Any]:
        """The values of a column, None where a record has no such column."""
        return self.column(name) if name in self.names() else [None] * len(self)

    @abstractmethod
    def names(self) -> list[str]:
        """The columns of the first record."""

    @abstractmethod
    def values(self) -> Iterator[dict[str, Any]]:
        """Each record as column and value."""

    @abstractmethod
    def head(self, count: int) -> "Batch":
        """The first `count` records."""

    def lacking(self, name: str) -> tuple[int, list[str]] | None:
        """The first record without the column, and the columns that it has; None where all have it."""
        return None if name in self.names() else (0, self.names())


def batches_of(
    numbered: Iterable[tuple[int, Item]], stream: TextStream, make: Callable[[list[int], list[Item]], Batch]
) -> Iterator[Batch]:
    """Batches of numbered items, each of BATCH_ROWS items, or of fewer when BATCH_BYTES of `stream` were read."""
    lines: list[int] = []
    items: list[Item] = []
    started = stream.consumed
    for line, item in numbered:
        lines.append(line)
        items.append(item)
        if len(items) >= BATCH_ROWS or stream.consumed - started >= BATCH_BYTES:
            yield make(lines, items)
            lines, items, started = [], [], stream.consumed
    if items:
        yield make(lines, items)
