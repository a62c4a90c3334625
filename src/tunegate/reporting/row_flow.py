"""How many rows of each source are in each split, and how many were left out and why, with their tokens.

Takes the combined ledger; reports of older runs, which did not record row outcomes, have no such table.
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
    """Rows of a source with one outcome."""

    name: str
    rows: int
    share: float
    description: str
    """In words, with tokens and, for rows that were left out, why."""


@dataclasses.dataclass(frozen=True)
class SourceFlow:
    """The outcomes of one source's rows."""

    source: str
    rows: int
    parts: list[Part]
    tokens: str
    """Tokens that were kept, of all."""


def source_flows(ledger: Mapping[str, Any]) -> list[SourceFlow]:
    """The flow of each source, by name; if there are several, that of all together last."""
    by_source: dict[str, list[Mapping[str, Any]]] = collections.defaultdict(list)
    for outcome in ledger.get("outcomes", []):
        by_source[outcome["source"]].append(outcome)
    every = sorted(by_source.items())
    together = [("all", [outcome for _, outcomes in every for outcome in outcomes])] if len(every) > 1 else []
    return [_flow(source, outcomes) for source, outcomes in every + together]


def _flow(source: str, outcomes: Sequence[Mapping[str, Any]]) -> SourceFlow:
    total = sum(outcome["rows"] for outcome in outcomes)
    parts = []
    for name in PARTS:
        chosen = [outcome for outcome in outcomes if (_LEFT if outcome["reason"] else outcome["split"]) == name]
        rows = sum(outcome["rows"] for outcome in chosen)
        parts.append(Part(name, rows, rows / max(1, total), _description(name, rows, chosen)))
    kept = _tokens([outcome for outcome in outcomes if not outcome["reason"]])
    return SourceFlow(source, total, parts, f"{kept:,} of {_tokens(outcomes):,}")


def _description(name: str, rows: int, outcomes: Sequence[Mapping[str, Any]]) -> str:
    reasons = collections.Counter[str]()
    for outcome in outcomes:
        if outcome["reason"] and outcome["rows"]:
            reasons[words(outcome["reason"])] += outcome["rows"]
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    text = f"{name}: {rows:,} rows, {_tokens(outcomes):,} tokens"
    return f"{text} ({why})" if why else text


def _tokens(outcomes: Sequence[Mapping[str, Any]]) -> int:
    return sum(outcome["tokens"] or 0 for outcome in outcomes)
