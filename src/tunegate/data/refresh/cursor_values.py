"""Values of a database as JSON and back: the cursor in a snapshot record, the last key in a spool.

Without loss, since the database compares them with its own. Reads and writes nothing.
"""

import datetime
import decimal
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tunegate.errors import InputError

_BACK: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "number": float,
    "text": str,
    "decimal": decimal.Decimal,
    "timestamp": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "uuid": uuid.UUID,
}
_KINDS = {
    int: "integer",
    float: "number",
    str: "text",
    decimal.Decimal: "decimal",
    datetime.datetime: "timestamp",
    datetime.date: "date",
    uuid.UUID: "uuid",
}


def packed(value: Any, place: str) -> dict[str, Any]:
    """`value` as JSON. Raises InputError, naming `place`, for a type by which rows are not ordered."""
    kind = _KINDS.get(type(value))
    if kind is None:
        problem = f"a value of type {type(value).__name__} in a key or cursor: {value!r:.60}"
        remedy = "a number, a text, a date or a time orders rows: choose such a column, or CAST it in a query"
        raise InputError(problem, place=place, remedy=remedy)
    if kind in ("integer", "number", "text"):
        return {"type": kind, "value": value}
    return {"type": kind, "value": value.isoformat() if hasattr(value, "isoformat") else str(value)}


def unpacked(found: Mapping[str, Any]) -> Any:
    """The value that `packed` gave."""
    return _BACK[found["type"]](found["value"])
