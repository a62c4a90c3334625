"""What kinds of values a snapshot can hold, and how those of a database or an API become them; cursors as JSON.

Text, integer, number, boolean, timestamp (UTC) and json: lists and objects are JSON text, marked so in the Parquet file
(Arrow's type `arrow.json`), because one record's object has other keys than the next one's. Dates, times, decimals and
UUIDs become text, exactly.
"""

import datetime
import decimal
import json
import uuid
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

from tunegate.errors import InputError

Kind = Literal["empty", "boolean", "integer", "number", "text", "timestamp", "json"]

TYPES: Mapping[str, pa.DataType] = {
    "empty": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "json": pa.json_(),
}
"""The Arrow type in a snapshot; a column without any value is one of text."""

_LARGEST = 2**63
_EXACT_TO = 2**53
"""To here a double holds every whole number."""
_AS_TEXT = (decimal.Decimal, datetime.date, datetime.time, uuid.UUID)


def stored(value: Any, zone: str | None) -> tuple[Kind, Any]:
    """The kind of `value`, and the value as a snapshot holds it. `zone` is the time zone of times without one.

    Raises ValueError, which says what is wrong and what to do, for a value that a snapshot cannot hold.
    """
    if isinstance(value, datetime.datetime):
        return "timestamp", _in_utc(value, zone)
    for types, kind, convert in _CONVERTERS:
        if isinstance(value, types):
            return kind, convert(value)
    raise ValueError(f"a value of type {type(value).__name__}: make it a text at the source (CAST in a query)")


def common(one: Kind, other: Kind) -> Kind | None:
    """The kind that holds the values of both, or None where there is none: a column has one kind."""
    kinds = {one, other} - {"empty"}
    if len(kinds) < 2:
        return next(iter(kinds), "empty")
    return "number" if kinds == {"integer", "number"} else None


def is_double(value: Any) -> bool:
    """Whether a column of kind number can hold `value` without loss."""
    return not isinstance(value, int) or abs(value) <= _EXACT_TO or int(float(value)) == value


def array_of(kind: Kind, values: Sequence[Any]) -> pa.Array:
    """`values`, as `stored` gave them, as a column of `kind`."""
    if kind == "json":
        return pa.ExtensionArray.from_storage(pa.json_(), pa.array(values, pa.string()))
    return pa.array(values, TYPES[kind])


def schema_of(columns: Mapping[str, Kind]) -> pa.Schema:
    """The schema of a snapshot with `columns`, in their order."""
    return pa.schema([pa.field(name, TYPES[kind]) for name, kind in columns.items()])


def _in_utc(value: datetime.datetime, zone: str | None) -> datetime.datetime:
    if value.tzinfo is None:
        if zone is None:
            raise ValueError(f"the time {value} has no time zone: say which with `time_zone`, for instance UTC")
        value = value.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return value.astimezone(datetime.UTC)


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a list or object that is not JSON ({error}): make it a text at the source") from None


def _plain(value: Any) -> Any:
    if isinstance(value, _AS_TEXT):
        return _exact(value)
    raise TypeError(f"it holds a {type(value).__name__}")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half of a character (surrogate) at {error.start}: correct it at the source") from None
    return text


def _exact(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _within_64_bits(value: int) -> int:
    if not -_LARGEST <= value < _LARGEST:
        raise ValueError(f"the number {value} needs more than 64 bits: make it a text at the source")
    return value


# In this order: a truth value is an int to Python.
_CONVERTERS: Sequence[tuple[Any, Kind, Callable[[Any], Any]]] = (
    (type(None), "empty", lambda _: None),
    (bool, "boolean", bool),
    (int, "integer", _within_64_bits),
    (float, "number", float),
    (str, "text", _encodable),
    (_AS_TEXT, "text", _exact),
    ((Mapping, list, tuple), "json", lambda value: _encodable(_as_json(value))),
)

_UNPACK: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "number": float,
    "text": str,
    "decimal": decimal.Decimal,
    "timestamp": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "uuid": uuid.UUID,
}
_CURSOR_TYPES = {
    int: "integer",
    float: "number",
    str: "text",
    decimal.Decimal: "decimal",
    datetime.datetime: "timestamp",
    datetime.date: "date",
    uuid.UUID: "uuid",
}


def packed(value: Any, place: str) -> dict[str, Any]:
    """`value`, of a cursor or key, as JSON without loss: the database compares it with its own.

    Raises InputError, naming `place`, for a type by which rows are not ordered.
    """
    kind = _CURSOR_TYPES.get(type(value))
    if kind is None:
        problem = f"a value of type {type(value).__name__} in a key or cursor: {value!r:.60}"
        remedy = "a number, a text, a date or a time orders rows: choose such a column, or CAST it in a query"
        raise InputError(problem, place=place, remedy=remedy)
    if kind in ("integer", "number", "text"):
        return {"type": kind, "value": value}
    return {"type": kind, "value": value.isoformat() if hasattr(value, "isoformat") else str(value)}


def unpacked(cursor: Mapping[str, Any]) -> Any:
    """The value that `packed` gave."""
    return _UNPACK[cursor["type"]](cursor["value"])
