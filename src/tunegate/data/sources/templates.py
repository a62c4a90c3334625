"""`{column}` templates: how the values of a record become a text. Reads and writes nothing.

`{q}` stands for the value of the column `q`, `{{` and `}}` for braces. There is no formatting, no attribute access
and no code in a template.
"""

import math
import string
from typing import Any


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
    return [column for _, column, _, _ in string.Formatter().parse(template) if column is not None]


def fill(template: str, record: dict[str, Any]) -> str | None:
    """`template` with the values of `record`; None when a column it names has no value.

    Raises TypeError, with the column and the type, for a value that is no text, number or truth value.
    """
    filled = []
    for literal, column, _, _ in string.Formatter().parse(template):
        filled.append(literal)
        if column is not None:
            value = _as_text(column, record[column])
            if value is None:
                return None
            filled.append(value)
    return "".join(filled)


def _as_text(column: str, value: Any) -> str | None:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError(f"column {column!r} must hold a text or a number (got {type(value).__name__})")
