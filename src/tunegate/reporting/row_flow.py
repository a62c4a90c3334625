"""The way of the rows, source by source: how many are in each split and how many left, with their tokens.

Takes the combined ledger; reports of a time before fates were told have no way. Reads and writes nothing.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.text import words

_LEFT = "left out"
PARTS = ("train", "valid", "test", _LEFT)


@dataclasses.dataclass(frozen=True)
class Part:
    """Rows of a source with one end."""

    name: str
    rows: int
    share: float
    said: str
    """In words, with tokens and, of rows that left, why."""


@dataclasses.dataclass(frozen=True)
class SourceWay:
    """What became of one source."""

    source: str
    rows: int
    parts: list[Part]
    tokens: str
    """Tokens that were kept, of all."""


def ways_of(ledger: Mapping[str, Any]) -> list[SourceWay]:
    """The way of each source, by name; of all together last, where there are several."""
    by_source: dict[str, list[Mapping[str, Any]]] = collections.defaultdict(list)
    for fate in ledger.get("fates", []):
        by_source[fate["source"]].append(fate)
    every = sorted(by_source.items())
    together = [("all", [fate for _, fates in every for fate in fates])] if len(every) > 1 else []
    return [_way(source, fates) for source, fates in every + together]


def _way(source: str, fates: Sequence[Mapping[str, Any]]) -> SourceWay:
    total = sum(fate["rows"] for fate in fates)
    parts = []
    for name in PARTS:
        found = [fate for fate in fates if (_LEFT if fate["reason"] else fate["split"]) == name]
        rows = sum(fate["rows"] for fate in found)
        parts.append(Part(name, rows, rows / max(1, total), _said(name, rows, found)))
    kept = _tokens([fate for fate in fates if not fate["reason"]])
    return SourceWay(source, total, parts, f"{kept:,} of {_tokens(fates):,}")


def _said(name: str, rows: int, fates: Sequence[Mapping[str, Any]]) -> str:
    reasons = collections.Counter[str]()
    for fate in fates:
        if fate["reason"] and fate["rows"]:
            reasons[words(fate["reason"])] += fate["rows"]
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    said = f"{name}: {rows:,} rows, {_tokens(fates):,} tokens"
    return f"{said} ({why})" if why else said


def _tokens(fates: Sequence[Mapping[str, Any]]) -> int:
    return sum(fate["tokens"] or 0 for fate in fates)
