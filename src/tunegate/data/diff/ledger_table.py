"""The whole way of the rows as a table: in, out and each reason, for rows and for tokens, by source, stage or reason.

Takes what `tunegate.data.ledger.stage_ledger.combine` gives and checks that it closes. Reads and writes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tunegate.errors import InputError

By = Literal["source", "stage", "reason"]
Line = tuple[str, ...]
Outcomes = Sequence[Mapping[str, Any]]


def table_of(combined: Mapping[str, Any], by: By | None = None) -> list[Line]:
    """The lines of the table, its head first. Without `by`, every source with all that happened to its rows."""
    lines = _lines(combined, by)
    names = 1 if by in ("source", "stage") else 2
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        (*line[:names], *(cell.rjust(width) for cell, width in zip(line[names:], widths[names:], strict=True)))
        for line in lines
    ]


def _lines(combined: Mapping[str, Any], by: By | None) -> list[Line]:
    outcomes = _outcomes(combined)
    if by == "stage":
        return [("stage", "rows in", "rows out", "tokens in", "tokens out"), *map(_stage, combined["stages"])]
    if by == "reason":
        names = dict.fromkeys((outcome["stage"], outcome["reason"]) for outcome in outcomes if outcome["reason"])
        found = [(*name, _of(outcomes, stage=name[0], reason=name[1])) for name in names]
        return [("stage", "reason", "rows", "tokens"), *((stage, why, *_counts(some)) for stage, why, some in found)]
    sources = sorted({outcome["source"] for outcome in outcomes})
    if by == "source":
        head = ("source", "rows in", "rows out", "tokens in", "tokens out")
        return [head, *(_source(source, _of(outcomes, source=source)) for source in sources)]
    blocks = [_block(source, _of(outcomes, source=source)) for source in sources]
    total = [_block("all", outcomes)] if len(sources) > 1 else []
    return [("source", "", "rows", "tokens"), *(line for block in blocks + total for line in block)]


def closing(combined: Mapping[str, Any]) -> str:
    """The sentence that the sums close. Raises InputError when they do not, and when no outcomes are known."""
    outcomes = _outcomes(combined)
    left, kept = [f for f in outcomes if f["reason"]], [f for f in outcomes if not f["reason"]]
    said = []
    for name in ("rows", "tokens"):
        came, went = combined[name]["in"], combined[name]["out"]
        lost = _sum(left, name)
        if came != went + lost or went != _sum(kept, name):
            problem = f"{came:,} {name} in, {went:,} out, {lost:,} with a reason"
            raise InputError(problem, place="ledgers", remedy="run `dvc repro`: they are from different runs")
        said.append(f"{came:,} {name} in = {went:,} out + {lost:,} with a reason")
    return "the sums close: " + "; ".join(said)


def _outcomes(combined: Mapping[str, Any]) -> Outcomes:
    if "outcomes" not in combined:
        remedy = "run `dvc repro tokenize`: an older tunegate wrote it, or `tokenize` is not the last stage"
        raise InputError("the last ledger does not tell the outcomes of the rows", place="ledgers", remedy=remedy)
    outcomes: Outcomes = combined["outcomes"]
    return outcomes


def _block(source: str, outcomes: Outcomes) -> list[Line]:
    """What came in, what left at each stage for each reason, what went out, and into which split."""
    names = dict.fromkeys((outcome["stage"], outcome["reason"]) for outcome in outcomes if outcome["reason"])
    left = [(stage, why, _of(outcomes, stage=stage, reason=why)) for stage, why in names]
    kept = _of(outcomes, reason=None)
    splits = sorted({str(outcome["split"]) for outcome in kept}, key=("train", "valid", "test").index)
    return [
        (source, "in", *_counts(outcomes)),
        *(("", f"- {stage}: {why}", *_counts(some)) for stage, why, some in left),
        ("", "= out", *_counts(kept)),
        *(("", f"    {split}", *_counts(_of(kept, split=split))) for split in splits),
    ]


def _source(source: str, outcomes: Outcomes) -> Line:
    kept = _of(outcomes, reason=None)
    return (source, *(f"{_sum(some, name):,}" for name in ("rows", "tokens") for some in (outcomes, kept)))


def _stage(stage: Mapping[str, Any]) -> Line:
    return (stage["stage"], *(f"{stage[what][way]:,}" for what in ("rows", "tokens") for way in ("in", "out")))


def _counts(outcomes: Outcomes) -> tuple[str, str]:
    known = [outcome for outcome in outcomes if outcome["tokens"] is not None]
    return f"{_sum(outcomes, 'rows'):,}", f"{_sum(known, 'tokens'):,}" if known or not outcomes else "not read"


def _of(outcomes: Outcomes, **wanted: str | None) -> Outcomes:
    return [outcome for outcome in outcomes if all(outcome[key] == value for key, value in wanted.items())]


def _sum(outcomes: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(outcome[name] or 0 for outcome in outcomes)
