"""The way of the rows, source by source: how many are in each split and how many left, with their tokens.

Takes the combined ledger; reports of a time before outcomes were told have no way. Reads and writes nothing.
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
    for outcome in ledger.get("outcomes", []):
        by_source[outcome["source"]].append(outcome)
    every = sorted(by_source.items())
    together = [("all", [outcome for _, outcomes in every for outcome in outcomes])] if len(every) > 1 else []
    return [_way(source, outcomes) for source, outcomes in every + together]


def _way(source: str, outcomes: Sequence[Mapping[str, Any]]) -> SourceWay:
    total = sum(outcome["rows"] for outcome in outcomes)
    parts = []
    for name in PARTS:
        found = [outcome for outcome in outcomes if (_LEFT if outcome["reason"] else outcome["split"]) == name]
        rows = sum(outcome["rows"] for outcome in found)
        parts.append(Part(name, rows, rows / max(1, total), _said(name, rows, found)))
    kept = _tokens([outcome for outcome in outcomes if not outcome["reason"]])
    return SourceWay(source, total, parts, f"{kept:,} of {_tokens(outcomes):,}")


def _said(name: str, rows: int, outcomes: Sequence[Mapping[str, Any]]) -> str:
    reasons = collections.Counter[str]()
    for outcome in outcomes:
        if outcome["reason"] and outcome["rows"]:
            reasons[words(outcome["reason"])] += outcome["rows"]
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    said = f"{name}: {rows:,} rows, {_tokens(outcomes):,} tokens"
    return f"{said} ({why})" if why else said


def _tokens(outcomes: Sequence[Mapping[str, Any]]) -> int:
    return sum(outcome["tokens"] or 0 for outcome in outcomes)
