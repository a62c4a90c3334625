"""The ledgers of all stages as a table: rows and tokens in, out, and for each reason, by source, stage or reason.

Takes what `tunegate.data.ledger.stage_ledger.combine` gives, and checks that it balances.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tunegate.errors import InputError

By = Literal["source", "stage", "reason"]
Line = tuple[str, ...]
Outcomes = Sequence[Mapping[str, Any]]
"""Row outcomes, as the last stage's ledger counts them."""


def table_of(combined: Mapping[str, Any], by: By | None = None) -> list[Line]:
    """The lines of the table, its head first. Without `by`, every source with all that happened to its rows."""
    lines = _lines(combined, by)
    names = 1 if by in ("source", "stage") else 2
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        (*line[:names], *(cell.rjust(width) for cell, width in zip(line[names:], widths[names:], strict=True)))
        for line in lines
    ]


def balance(combined: Mapping[str, Any]) -> str:
    """The sentence that the sums balance. Raises InputError if they do not, and if no row outcomes are recorded."""
    outcomes = _outcomes(combined)
    left, kept = [o for o in outcomes if o["reason"]], [o for o in outcomes if not o["reason"]]
    sentences = []
    for unit in ("rows", "tokens"):
        entered, remaining = combined[unit]["in"], combined[unit]["out"]
        dropped = _sum(left, unit)
        if entered != remaining + dropped or remaining != _sum(kept, unit):
            problem = f"{entered:,} {unit} in, {remaining:,} out, {dropped:,} with a reason"
            raise InputError(problem, place="ledgers", remedy="run `dvc repro`: they are from different runs")
        sentences.append(f"{entered:,} {unit} in = {remaining:,} out + {dropped:,} with a reason")
    return "the sums balance: " + "; ".join(sentences)


def _lines(combined: Mapping[str, Any], by: By | None) -> list[Line]:
    outcomes = _outcomes(combined)
    if by == "stage":
        return [("stage", "rows in", "rows out", "tokens in", "tokens out"), *map(_stage, combined["stages"])]
    if by == "reason":
        lines = [(stage, reason, *_counts(part)) for stage, reason, part in _by_reason(outcomes)]
        return [("stage", "reason", "rows", "tokens"), *lines]
    sources = sorted({outcome["source"] for outcome in outcomes})
    if by == "source":
        head = ("source", "rows in", "rows out", "tokens in", "tokens out")
        return [head, *(_source(source, _of(outcomes, source=source)) for source in sources)]
    blocks = [_block(source, _of(outcomes, source=source)) for source in sources]
    total = [_block("all", outcomes)] if len(sources) > 1 else []
    return [("source", "", "rows", "tokens"), *(line for block in blocks + total for line in block)]


def _outcomes(combined: Mapping[str, Any]) -> Outcomes:
    if "outcomes" not in combined:
        remedy = "run `dvc repro tokenize`: an older tunegate wrote it, or `tokenize` is not the last stage"
        raise InputError("the last ledger does not record row outcomes", place="ledgers", remedy=remedy)
    outcomes: Outcomes = combined["outcomes"]
    return outcomes


def _by_reason(outcomes: Outcomes) -> list[tuple[str, str, Outcomes]]:
    """Each stage and reason, in the order in which they occur, with the rows that left for it."""
    names = dict.fromkeys((outcome["stage"], outcome["reason"]) for outcome in outcomes if outcome["reason"])
    return [(stage, reason, _of(outcomes, stage=stage, reason=reason)) for stage, reason in names]


def _block(source: str, outcomes: Outcomes) -> list[Line]:
    """What came in, what left at each stage for each reason, what went out, and into which split."""
    kept = _of(outcomes, reason=None)
    splits = sorted({str(outcome["split"]) for outcome in kept}, key=("train", "valid", "test").index)
    return [
        (source, "in", *_counts(outcomes)),
        *(("", f"- {stage}: {reason}", *_counts(part)) for stage, reason, part in _by_reason(outcomes)),
        ("", "= out", *_counts(kept)),
        *(("", f"    {split}", *_counts(_of(kept, split=split))) for split in splits),
    ]


def _source(source: str, outcomes: Outcomes) -> Line:
    kept = _of(outcomes, reason=None)
    return (source, *(f"{_sum(part, unit):,}" for unit in ("rows", "tokens") for part in (outcomes, kept)))


def _stage(stage: Mapping[str, Any]) -> Line:
    return (stage["stage"], *(f"{stage[unit][end]:,}" for unit in ("rows", "tokens") for end in ("in", "out")))


def _counts(outcomes: Outcomes) -> tuple[str, str]:
    counted = [outcome for outcome in outcomes if outcome["tokens"] is not None]
    tokens = f"{_sum(counted, 'tokens'):,}" if counted or not outcomes else "not read"
    return f"{_sum(outcomes, 'rows'):,}", tokens


def _of(outcomes: Outcomes, **values: str | None) -> Outcomes:
    return [outcome for outcome in outcomes if all(outcome[key] == value for key, value in values.items())]


def _sum(outcomes: Iterable[Mapping[str, Any]], unit: str) -> int:
    return sum(outcome[unit] or 0 for outcome in outcomes)
