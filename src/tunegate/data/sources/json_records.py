"""JSON files as records: one object a line, or one array of objects, read as a stream.

Reads one file at a time. Does not know what the keys mean.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from tunegate.data.sources.batches import Batch, is_full
from tunegate.data.sources.json_text import DECODER, MEND, checked_record, parse_strict, refuse
from tunegate.data.sources.locations import Located
from tunegate.data.sources.streams import MAX_RECORD, TextStream, open_text
from tunegate.errors import InputError

_LONGEST_TOKEN = 16
"""Characters of -Infinity, of an escape, of false, with some to spare."""
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
        found = ((index, list(record)) for index, record in enumerate(self.records) if name not in record)
        return next(found, None)


def read_json_lines(file: Located) -> Iterator[Batch]:
    """The objects of a JSON Lines file."""
    with open_text(file) as stream:
        yield from _batches(_lines(stream), stream)


def read_json_array(file: Located) -> Iterator[Batch]:
    """The objects of a file that is one JSON array."""
    with open_text(file) as stream:
        yield from _batches(_elements(stream), stream)


def _batches(numbered: Iterator[tuple[int, dict[str, Any]]], stream: TextStream) -> Iterator[Batch]:
    lines: list[int] = []
    records: list[dict[str, Any]] = []
    started = 0
    for line, record in numbered:
        lines.append(line)
        records.append(record)
        if is_full(len(records), started, stream):
            yield JsonBatch(stream.file.name, lines, records)
            lines, records, started = [], [], stream.consumed
    if records:
        yield JsonBatch(stream.file.name, lines, records)


def _lines(stream: TextStream) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(stream.lines(), 1):
        if line.isspace():
            continue
        place = f"{stream.file.name}:{number}"
        yield number, checked_record(parse_strict(line, place), line, place, "a line")


def _elements(stream: TextStream) -> Iterator[tuple[int, dict[str, Any]]]:
    text = _Window(stream)
    if text.next_character() != "[":
        problem = f"a JSON file must hold an array of objects (got {text.shown()})"
        raise InputError(problem, place=text.place, remedy=_ARRAY)
    text.step()
    if text.next_character() != "]":
        yield text.element()
        while text.next_character() == ",":
            text.step()
            yield text.element()
    found = text.next_character()
    if found != "]":
        problem = f"expected ',' or ']' (got {text.shown()})" if found else "the array is cut: it has no ']' at its end"
        raise InputError(f"not valid JSON: {problem}", place=text.place, remedy="restore the file")
    text.step()
    if text.next_character():
        problem = f"not valid JSON: more after the array: {text.shown()}"
        raise InputError(problem, place=text.place, remedy=_ARRAY)


class _Window:
    """The piece of a text that is held in memory, and how far in it one has read."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._held = ""
        self._at = 0
        self._line = 1

    @property
    def place(self) -> str:
        """File and line of what comes next."""
        return f"{self._stream.file.name}:{self._line}"

    def shown(self) -> str:
        """The beginning of what comes next, for an error."""
        return repr(self._held[self._at : self._at + 20])

    def next_character(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            self._advance(_SPACES.match(self._held, self._at).end())  # type: ignore[union-attr]
            if self._at < len(self._held) or not self._more():
                return self._held[self._at : self._at + 1]

    def step(self) -> None:
        """Go past the next character."""
        self._at += 1

    def element(self) -> tuple[int, dict[str, Any]]:
        """The line and the value of the object that comes next."""
        self.next_character()
        value, end = self._decoded()
        line = self._line
        record = checked_record(value, self._held[self._at : end], self.place, "an element of the array")
        self._advance(end)
        return line, record

    def _decoded(self) -> tuple[Any, int]:
        while True:
            try:
                return DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                # What the window has cut reads as a string without end, or as wrong at its very end.
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self._held) - _LONGEST_TOKEN
                is_long = len(self._held) - self._at > MAX_RECORD
                if is_cut and not is_long and self._more():
                    continue
                self._refuse_element(error, is_cut and is_long)
            except (ValueError, RecursionError) as error:
                refuse(error, self.place)

    def _refuse_element(self, error: json.JSONDecodeError, is_long: bool) -> NoReturn:
        if is_long:
            problem = f"an element of more than {MAX_RECORD:,} characters"
            raise InputError(problem, place=self.place, remedy="cut its texts; no model reads as much at once")
        self._advance(error.pos)
        raise InputError(f"not valid JSON: {error.msg}", place=self.place, remedy=MEND) from None

    def _advance(self, end: int) -> None:
        self._line += self._held.count("\n", self._at, end)
        self._at = end

    def _more(self) -> bool:
        text = self._stream.chunk()
        self._held, self._at = self._held[self._at :] + text, 0
        return bool(text)
