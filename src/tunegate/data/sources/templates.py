"""`{column}` templates and what may be taken of a filled one: how the values of a record become a text.

`{q}` stands for the value of the column `q`, `{{` and `}}` for braces. There is no formatting, no attribute access
and no code in a template.
"""

import datetime
import decimal
import math
import re
import string
from typing import Any

from tunegate.data.patterns import pattern_fault

# RFC 5646 without extensions: a language, perhaps a script, perhaps a region.
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?")

Pieces = list[tuple[str, str | None]]


def pieces_of(template: str) -> Pieces:
    """`template` cut into (text, the column that follows it, or None at the end)."""
    return [(literal, column) for literal, column, _, _ in string.Formatter().parse(template)]


def check_template(template: str) -> str:
    """`template` itself. Raises ValueError when it is empty or not a template."""
    if not template.strip():
        raise ValueError("a text or a template like '{column}'")
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"a template like '{{column}}': {str(error).lower()}") from None
    for _, column, spec, conversion in parts:
        if column is not None and (not column or spec or conversion):
            raise ValueError("a template with a column's plain name between braces")
    return template


def columns_of(template: str) -> list[str]:
    """The columns that `template` names."""
    return [column for _, column in pieces_of(template) if column is not None]


def check_regex(pattern: str) -> str:
    """`pattern` itself. Raises ValueError unless it is a regular expression with one group that no row makes slow."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"a regular expression: {error}") from None
    if groups != 1:
        raise ValueError("a regular expression with one group in parentheses: the part that is taken")
    if pattern_fault(pattern):
        raise ValueError("a regular expression that repeats nothing that repeats already: one row could take hours")
    return pattern


def as_text(value: Any) -> str | None:
    """A cell as text; None for one without a value. A time is ISO 8601 in UTC.

    Raises ValueError, with what was found, for a time without a zone and for what is not a text, number or time.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.datetime):
        return _as_utc(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise ValueError(f"must hold a text or a number (got {type(value).__name__})")


def as_language(tag: str) -> str | None:
    """A language tag in the form of BCP 47: `SV_se` is `sv-SE`; None for what is not one."""
    match = _LANGUAGE.fullmatch(tag.strip())
    if match is None:
        return None
    language, script, region = match.groups("")
    return "-".join(filter(None, (language.lower(), script.title(), region.upper())))


def _as_utc(value: datetime.datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"holds a time without a time zone (got {value.isoformat(sep=' ')})")
    return value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat() + "Z"
