"""JSON read strictly: what Python's reader would let pass is refused.

An object that names a key twice, Infinity, nesting without end, half of a character: each is an error with its place.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

from tunegate.errors import InputError

MAX_DEPTH = 32
"""Lists and objects inside of each other; a conversation with its parts needs four."""
CORRECT_ROW = "correct or drop this row"


class _RefusedError(ValueError):
    """What Python's reader would let pass."""


class _DuplicateKeyError(_RefusedError):
    """A key that an object names twice."""


def parse_strict(text: str, place: str) -> Any:
    """The value of a JSON text; `place` names it. Raises InputError for what is not JSON, or has a key twice."""
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", place=f"{place}:{error.colno}", remedy=CORRECT_ROW) from None
    except (ValueError, RecursionError) as error:
        refuse(error, place)


def checked_record(value: Any, text: str, place: str, what: str) -> dict[str, Any]:
    """`value`, read from `text`, when it is an object that a row can be made of; `what` names it in errors."""
    if not isinstance(value, dict):
        problem = f"{what} must be a JSON object (got {type(value).__name__})"
        raise InputError(problem, place=place, remedy="write one object for each row")
    # Counting brackets is cheap and an upper bound: with few, a value cannot be deep.
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        refuse(RecursionError(), place)
    # Only an escape can make half of a character: the file itself is UTF-8.
    if "\\ud" in text or "\\uD" in text:
        _refuse_half_characters(value, place)
    return value


def _refuse_half_characters(value: dict[str, Any], place: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        around = error.object[max(0, error.start - 20) : error.start + 20]
        problem = f"half of a character: {error.object[error.start]!a} in {around!a}"
        raise InputError(problem, place=place, remedy="write both halves of it, or drop it") from None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [inner for one in level for inner in _inside(one) if isinstance(inner, dict | list)]
    return depth


def _inside(value: Any) -> Iterator[Any]:
    yield from value.values() if isinstance(value, dict) else value


def refuse(error: Exception, place: str) -> NoReturn:
    """Raise InputError for an error that DECODER raised and that has no position."""
    if isinstance(error, RecursionError):
        problem, remedy = f"nested more than {MAX_DEPTH} deep", "keep the columns that a row is made of, as flat values"
    elif isinstance(error, _DuplicateKeyError):
        problem, remedy = str(error), "keep one of the two"
    elif isinstance(error, _RefusedError):
        problem, remedy = str(error), "write a number, or null"
    else:
        problem, remedy = f"not valid JSON: {error}", CORRECT_ROW
    raise InputError(problem, place=place, remedy=remedy) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in counts if counts[name] > 1)
        raise _DuplicateKeyError(f"the key {twice!r} appears twice, with the values {_shown(pairs, twice)}")
    return value


def _not_a_number(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not JSON")


def _shown(pairs: list[tuple[str, Any]], name: str) -> str:
    return " and ".join(f"{value!r:.40}" for key, value in pairs if key == name)


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_not_a_number)
