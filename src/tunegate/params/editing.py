"""The text of params.yaml with other values: everything else stays as it is, comments and style too.

So the diff of a proposal shows only what it proposes.
"""

import copy
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tunegate.errors import InputError
from tunegate.files import HARMLESS, parse_yaml

_PLACE = "params.yaml"


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """A YAML text in which dotted keys have other `values`. A key that is not there is added to its section.

    Raises InputError where anything else would change with them, as what an alias stands for does.
    """
    edited, expected = text, copy.deepcopy(parse_yaml(text, place=_PLACE))
    for key, value in values.items():
        edited = _with_value(edited, key.split("."), value)
        expected = _set(expected, key.split("."), value)
    if values and _plain(parse_yaml(edited, place=_PLACE)) != _plain(expected):
        problem = f"{', '.join(values)} cannot be changed alone in this text"
        raise InputError(problem, place=_PLACE, remedy="write values out where an anchor (&) or alias (*) stands")
    return edited


def _set(values: Any, names: list[str], value: Any) -> Any:
    """The parsed values with another one; sections that aliases share are told apart."""
    if not names:
        return value
    kept = values if isinstance(values, dict) else {}
    return {**kept, names[0]: _set(kept.get(names[0]), names[1:], value)}


def _plain(values: Any) -> str:
    return json.dumps(values, sort_keys=True, default=str)


def _with_value(text: str, names: list[str], value: Any) -> str:
    from ruamel.yaml import YAML

    key, node = None, YAML(typ="rt", pure=True).compose(text)
    while names and (pair := _pair_at(node, names[0])) is not None:
        (key, node), names = pair, names[1:]
        if node.start_mark.index < key.end_mark.index:
            place, remedy = f"{_PLACE}:{key.start_mark.line + 1}", "write the value out instead of the alias"
            raise InputError(f"{key.value} is an alias (*) of what stands elsewhere", place=place, remedy=remedy)
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
    start, end = node.start_mark.index, _end_of(text, node)
    written = start < end
    if _is_in_lines(node) or not written:
        start, new = text.index(":", key.end_mark.index) + 1, f" {new}"
    return text[:start] + new + text[end if written else start :]


def _is_in_lines(node: Any) -> bool:
    return node.id in ("mapping", "sequence") and not node.flow_style


def _end_of(text: str, node: Any) -> int:
    """Where a node's text ends. A collection or a text in lines would say where the next node begins."""
    if _is_in_lines(node):
        last = node.value[-1]
        return _end_of(text, last[1] if isinstance(last, tuple) else last)
    end = int(node.end_mark.index)
    return len(text[:end].rstrip()) if node.id == "scalar" and node.style in ("|", ">") else end


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
