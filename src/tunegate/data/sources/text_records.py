"""Plain text as records: a file is one, or each of its paragraphs; they have the columns `text` and `file`.

Paragraphs are separated by empty lines. Reads in constant memory.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from tunegate.data.sources.batches import Batch, batches_of
from tunegate.data.sources.declaration import RowPer
from tunegate.data.sources.locations import Located
from tunegate.data.sources.streams import MAX_RECORD, TextStream, open_text
from tunegate.errors import InputError

_NAMES = ["text", "file"]


@dataclass(frozen=True)
class TextBatch(Batch):
    """Texts of one file."""

    texts: list[str]
    is_raw: ClassVar[bool] = True

    def column(self, name: str) -> list[Any]:
        """The texts, or the file's name for each of them."""
        if name not in _NAMES:
            raise KeyError(name)
        return list(self.texts) if name == "text" else [self.file] * len(self)

    def names(self) -> list[str]:
        """The two columns that all texts have."""
        return list(_NAMES)

    def values(self) -> Iterator[dict[str, Any]]:
        """Each text with its file."""
        return ({"text": text, "file": self.file} for text in self.texts)

    def head(self, count: int) -> "TextBatch":
        """The first `count` texts."""
        return TextBatch(self.file, self.lines[:count], self.texts[:count])


def read_text_records(file: Located, row_per: RowPer) -> Iterator[Batch]:
    """The texts of `file`. Raises InputError for one that is longer than a record may be."""
    with open_text(file) as stream:
        yield from batches_of(_texts(stream, row_per), stream, functools.partial(TextBatch, file.name))


def _texts(stream: TextStream, row_per: RowPer) -> Iterator[tuple[int, str]]:
    """Each text with the line where it begins, without the line ends around it."""
    held: list[str] = []
    size = first = 0
    for number, line in enumerate(stream.lines(), 1):
        empty = line.isspace()
        if empty and held and row_per == "paragraph":
            yield first, "".join(held).rstrip("\r\n")
            held, size = [], 0
        if empty and (not held or row_per == "paragraph"):
            continue
        first = first if held else number
        held.append(line)
        size += len(line)
        if size > MAX_RECORD:
            remedy = "cut it" if row_per == "paragraph" else "cut it, or write `row_per: paragraph` for the source"
            problem = f"a {row_per} of more than {MAX_RECORD:,} characters"
            raise InputError(problem, place=f"{stream.file.name}:{first}", remedy=remedy)
    if text := "".join(held).rstrip():
        yield first, text
