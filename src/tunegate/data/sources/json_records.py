"""JSON files as records: one object a line, or one array of objects, read as a stream.

Strict where Python's reader is not: an object that names a key twice, or that is nested without end, is refused. Reads
one file at a time. Does not know what the keys mean.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from tunegate.data.sources.locating import Located
from tunegate.data.sources.records import Batch, is_full
from tunegate.data.sources.streams import MAX_RECORD, TextStream, open_text
from tunegate.errors import InputError

MAX_DEPTH = 32
"""Lists and objects inside of each other; a conversation with its parts needs four."""
_LONGEST_TOKEN = 16
"""Characters of -Infinity, of an escape, of false, with some to spare."""
_ARRAY = "write an array of objects, or one object a line and call the file .jsonl"
_MEND = "mend or drop this row"


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


class _RefusedError(ValueError):
    """What Python's reader would let pass."""


def read_json_lines(file: Located) -> Iterator[Batch]:
    """The objects of a JSON Lines file."""
    with open_text(file) as stream:
        yield from _batches(_lines(stream), stream)


def read_json_array(file: Located) -> Iterator[Batch]:
    """The objects of a file that is one JSON array."""
    with open_text(file) as stream:
        yield from _batches(_elements(stream), stream)


def parse_strict(text: str, place: str) -> Any:
    """The value of a JSON text; `place` names it. Raises InputError for what is no JSON, or has a key twice."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", place=f"{place}:{error.colno}", remedy=_MEND) from None
    except (ValueError, RecursionError) as error:
        _refuse(error, place)


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
        yield number, _record(parse_strict(line, place), line, place, "a line")


def _elements(stream: TextStream) -> Iterator[tuple[int, dict[str, Any]]]:
    text = _Window(stream)
    if text.next_character() != "[":
        problem = f"a JSON file must hold an array of objects (got {text.held[text.at : text.at + 20]!r})"
        raise InputError(problem, place=text.place, remedy=_ARRAY)
    text.at += 1
    if text.next_character() != "]":
        yield text.element()
        while text.next_character() == ",":
            text.at += 1
            yield text.element()
    if text.next_character() != "]":
        found = text.held[text.at : text.at + 20]
        problem = f"expected ',' or ']' (got {found!r})" if found else "the array is cut: it has no ']' at its end"
        raise InputError(f"not valid JSON: {problem}", place=text.place, remedy="restore the file")
    text.at += 1
    if text.next_character():
        problem = f"not valid JSON: more after the array: {text.held[text.at : text.at + 20]!r}"
        raise InputError(problem, place=text.place, remedy=_ARRAY)


class _Window:
    """The piece of a text that has not been read yet, and where in the file it begins."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self.held = ""
        self.at = 0
        self._line = 1

    @property
    def place(self) -> str:
        """File and line of what comes next."""
        return f"{self._stream.file.name}:{self._line + self.held.count(chr(10), 0, self.at)}"

    def next_character(self) -> str:
        """The next character that is no space, which `at` then points to; empty at the end."""
        while True:
            while self.at < len(self.held) and self.held[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.held) or not self._more():
                return self.held[self.at : self.at + 1]

    def element(self) -> tuple[int, dict[str, Any]]:
        """The line and the value of the object that comes next."""
        self.next_character()
        self._forget()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.held)
                break
            except json.JSONDecodeError as error:
                # What the window has cut reads as a string without end, or as wrong at its very end.
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self.held) - _LONGEST_TOKEN
                if is_cut and len(self.held) <= MAX_RECORD and self._more():
                    continue
                self._refuse_element(error, is_cut)
            except (ValueError, RecursionError) as error:
                _refuse(error, self.place)
        line = self._line
        record = _record(value, self.held[:end], self.place, "an element of the array")
        self.at = end
        return line, record

    def _forget(self) -> None:
        self._line += self.held.count("\n", 0, self.at)
        self.held, self.at = self.held[self.at :], 0

    def _more(self) -> bool:
        text = self._stream.chunk()
        self.held += text
        return bool(text)

    def _refuse_element(self, error: json.JSONDecodeError, is_cut: bool) -> NoReturn:
        if is_cut and len(self.held) > MAX_RECORD:
            problem = f"an element of more than {MAX_RECORD:,} characters"
            raise InputError(problem, place=self.place, remedy="cut its texts; no model reads as much at once")
        place = f"{self._stream.file.name}:{self._line + error.lineno - 1}"
        raise InputError(f"not valid JSON: {error.msg}", place=place, remedy=_MEND) from None


def _record(value: Any, text: str, place: str, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        problem = f"{what} must be a JSON object (got {type(value).__name__})"
        raise InputError(problem, place=place, remedy="write one object for each row")
    # Counting brackets is cheap and an upper bound; who has few cannot be deep.
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        _refuse(RecursionError(), place)
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [inner for one in level for inner in _inside(one) if isinstance(inner, dict | list)]
    return depth


def _inside(value: Any) -> Iterator[Any]:
    yield from value.values() if isinstance(value, dict) else value


def _refuse(error: Exception, place: str) -> NoReturn:
    if isinstance(error, RecursionError):
        problem, remedy = f"nested more than {MAX_DEPTH} deep", "keep the columns that a row is made of, as flat values"
    elif isinstance(error, _RefusedError):
        problem, remedy = str(error), "keep one of the two"
    else:
        problem, remedy = f"not valid JSON: {error}", _MEND
    raise InputError(problem, place=place, remedy=remedy) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RefusedError(f"the key {twice!r} appears twice, with the values {_shown(pairs, twice)}")
    return found


def _shown(pairs: list[tuple[str, Any]], name: str) -> str:
    return " and ".join(f"{value!r:.40}" for key, value in pairs if key == name)


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
