"""JSON files as records: one object a line, read as a stream, or one array of objects, which must fit into memory."""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunegate.data.sources.batches import Batch, batches_of
from tunegate.data.sources.json_text import CORRECT_ROW, DECODER, checked_record, parse_strict, refuse
from tunegate.data.sources.locations import Located
from tunegate.data.sources.streams import MAX_RECORD, TextStream, open_text
from tunegate.errors import InputError

MAX_ARRAY = 64 * 2**20
"""Characters of a file that is one JSON array: it is held in memory as a whole, which JSON Lines are not."""
_SPACES = re.compile(r"[ \t\r\n]*")
_ARRAY = "write an array of objects, or one object a line and call the file .jsonl"


@dataclass(frozen=True)
class JsonBatch(Batch):
    """Objects; each may have other keys."""

    records: list[dict[str, Any]]

    def column(self, name: str) -> list[Any]:
        """The values of a key."""
        return [record[name] for record in self.records]

    def cells(self, name: str) -> list[Any]:
        """The values of a key, None where an object does not have it."""
        return [record.get(name) for record in self.records]

    def names(self) -> list[str]:
        """The keys of the first object."""
        return list(self.records[0])

    def values(self) -> Iterator[dict[str, Any]]:
        """The objects."""
        return iter(self.records)

    def head(self, count: int) -> "JsonBatch":
        """The first `count` objects."""
        return JsonBatch(self.file, self.lines[:count], self.records[:count])

    def lacking(self, name: str) -> tuple[int, list[str]] | None:
        """The first object without the key, and the keys that it has."""
        return next(((i, list(record)) for i, record in enumerate(self.records) if name not in record), None)


def read_json_lines(file: Located) -> Iterator[Batch]:
    """The objects of a JSON Lines file."""
    with open_text(file) as stream:
        yield from batches_of(_lines(stream), stream, functools.partial(JsonBatch, file.name))


def read_json_array(file: Located) -> Iterator[Batch]:
    """The objects of a file that is one JSON array. Raises InputError for one of more than MAX_ARRAY characters."""
    with open_text(file) as stream:
        text = _Position(_whole(stream), file.name)
        yield from batches_of(_elements(text), stream, functools.partial(JsonBatch, file.name))


def _lines(stream: TextStream) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(stream.lines(), 1):
        if line.isspace():
            continue
        place = f"{stream.file.name}:{number}"
        yield number, checked_record(parse_strict(line, place), line, place, "a line")


def _whole(stream: TextStream) -> str:
    chunks, size = [], 0
    while chunk := stream.chunk():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ARRAY:
            problem = f"a JSON array of more than {MAX_ARRAY:,} characters"
            remedy = "write one object a line and call the file .jsonl, for instance with `jq -c '.[]'`"
            raise InputError(problem, place=stream.file.name, remedy=remedy)
    return "".join(chunks)


def _elements(text: "_Position") -> Iterator[tuple[int, dict[str, Any]]]:
    if text.next_character() != "[":
        problem = f"a JSON file must hold an array of objects (got {text.shown()})"
        raise InputError(problem, place=text.place, remedy=_ARRAY)
    text.step()
    if text.next_character() != "]":
        yield text.element()
        while text.next_character() == ",":
            text.step()
            yield text.element()
    last = text.next_character()
    if last != "]":
        problem = f"expected ',' or ']' (got {text.shown()})" if last else "the array is cut: it has no ']' at its end"
        raise InputError(f"not valid JSON: {problem}", place=text.place, remedy="restore the file")
    text.step()
    if text.next_character():
        problem = f"not valid JSON: more after the array: {text.shown()}"
        raise InputError(problem, place=text.place, remedy=_ARRAY)


class _Position:
    """How far one has read in a text, and the line there."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name
        self._at, self._line = 0, 1

    @property
    def place(self) -> str:
        """File and line of what comes next."""
        return f"{self._name}:{self._line}"

    def shown(self) -> str:
        """The beginning of what comes next, for an error."""
        return repr(self._text[self._at : self._at + 20])

    def next_character(self) -> str:
        """The next character that is not a space; empty at the end."""
        self._advance(_SPACES.match(self._text, self._at).end())  # type: ignore[union-attr]
        return self._text[self._at : self._at + 1]

    def step(self) -> None:
        """Go past the next character."""
        self._at += 1

    def element(self) -> tuple[int, dict[str, Any]]:
        """The line and the value of the object that comes next."""
        self.next_character()
        try:
            value, end = DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._advance(error.pos)
            raise InputError(f"not valid JSON: {error.msg}", place=self.place, remedy=CORRECT_ROW) from None
        except (ValueError, RecursionError) as error:
            refuse(error, self.place)
        if end - self._at > MAX_RECORD:
            problem = f"an element of more than {MAX_RECORD:,} characters"
            raise InputError(problem, place=self.place, remedy="cut its texts; no model reads as much at once")
        record = checked_record(value, self._text[self._at : end], self.place, "an element of the array")
        line = self._line
        self._advance(end)
        return line, record

    def _advance(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end
