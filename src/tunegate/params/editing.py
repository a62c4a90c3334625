"""The text of params.yaml with other values: all that is not changed stays to the letter, comments and style too.

So a proposal's difference shows what it proposes. Reads and writes no file; does not know the schema.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tunegate.files import HARMLESS


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """A YAML text in which dotted keys have other `values`. A key that is not there is added to its section."""
    for key, value in values.items():
        text = _with_value(text, key.split("."), value)
    return text


def _with_value(text: str, names: list[str], value: Any) -> str:
    from ruamel.yaml import YAML

    key, node = None, YAML(typ="rt", pure=True).compose(text)
    while names and (pair := _pair_at(node, names[0])) is not None:
        (key, node), names = pair, names[1:]
    for name in reversed(names[1:]):
        value = {name: value}
    new = _on_one_line(value) if not names else f"{names[0]}: {_on_one_line(value)}"
    if not names:
        return _replaced(text, key, node, new)
    if node.id == "mapping" and node.value:
        # Before the first key: behind the last one, an empty line or a comment may belong to it.
        first = node.value[0][0].start_mark
        gap = ", " if node.flow_style else "\n" + " " * first.column
        return text[: first.index] + new + gap + text[first.index :]
    return _replaced(text, key, node, f"{{{new}}}")


def _pair_at(node: Any, name: str) -> Any:
    pairs = node.value if node.id == "mapping" else []
    return next((pair for pair in pairs if pair[0].value == name), None)


def _replaced(text: str, key: Any, node: Any, new: str) -> str:
    start, end = node.start_mark.index, _end_of(node)
    written = start < end
    if _is_in_lines(node) or not written:
        start, new = text.index(":", key.end_mark.index) + 1, f" {new}"
    return text[:start] + new + text[end if written else start :]


def _is_in_lines(node: Any) -> bool:
    return node.id in ("mapping", "sequence") and not node.flow_style


def _end_of(node: Any) -> int:
    """Where a node's text ends. A collection in lines would say where the next one begins."""
    if _is_in_lines(node):
        last = node.value[-1]
        return _end_of(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _on_one_line(value: Any) -> str:
    """A value as YAML. Numbers are plain decimals: YAML 1.1 takes 1e-05 for text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_on_one_line(key)}: {_on_one_line(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_on_one_line, value)) + "]"
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    return value if isinstance(value, str) and HARMLESS.fullmatch(value) else json.dumps(value, ensure_ascii=False)
