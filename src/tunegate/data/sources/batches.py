"""Some records of a file at a time, column by column, with their places: what every reader of a format gives."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tunegate.data.sources.streams import TextStream
from tunegate.tables import BATCH_ROWS

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


def is_full(rows: int, started: int, stream: TextStream) -> bool:
    """Whether a batch of `rows` records, begun when `started` bytes were read, is to be handed on."""
    return rows >= BATCH_ROWS or stream.consumed - started >= BATCH_BYTES
