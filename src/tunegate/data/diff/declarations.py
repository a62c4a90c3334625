"""What the commits declare and count: sources, licences, expectations, reasons, tokens.

Reads the ledgers of both sides, not the rows.
"""

from typing import Any

from tunegate.data.diff.result import ExpectationChange, ReasonCount, SourceChange, Tokens
from tunegate.data.diff.sides import INGESTED, OUTPUTS, TOKENS, Side


def source_changes(before: Side, after: Side) -> list[SourceChange]:
    """Every source of either side, by name."""
    rows = [_rows_of_sources(side) for side in (before, after)]
    names = sorted({*before.licenses, *after.licenses})
    return [
        SourceChange(
            name=name,
            before=rows[0].get(name),
            after=rows[1].get(name),
            license_before=before.licenses.get(name),
            license_after=after.licenses.get(name),
            change=_change(name, before, after),
        )
        for name in names
    ]


def expectation_changes(before: Side, after: Side) -> list[ExpectationChange]:
    """Expectations that were added, removed or changed, suite by suite."""
    changes = []
    for suite in sorted({*before.suites, *after.suites}):
        old, new = before.suites.get(suite, {}), after.suites.get(suite, {})
        for name in dict.fromkeys([*new, *old]):
            if old.get(name) != new.get(name):
                change = {"before": old.get(name), "after": new.get(name)}
                changes.append(ExpectationChange(suite=suite, expectation=name, **change))
    return changes


def reason_counts(before: Side, after: Side) -> list[ReasonCount]:
    """Rows left out for each reason, in running order; reasons that neither side gives are not there."""
    counts = []
    for output in OUTPUTS:
        old, new = before.ledger(output), after.ledger(output)
        stage = new.get("stage") or old.get("stage") or output
        reasons = [ledger.get("reasons", {}) for ledger in (old, new)]
        counts += [
            ReasonCount(stage=stage, reason=reason, before=reasons[0].get(reason, 0), after=reasons[1].get(reason, 0))
            for reason in sorted({*reasons[0], *reasons[1]})
        ]
    return counts


def token_counts(before: Side, after: Side) -> list[Tokens]:
    """Tokens of each split that is trained or validated on, once over, where a side counted them."""
    old, new = (side.ledger(TOKENS).get("notes", {}) for side in (before, after))
    counts = [
        Tokens(split=split, before=_tokens(old, split), after=_tokens(new, split)) for split in ("train", "valid")
    ]
    return [tokens for tokens in counts if (tokens.before, tokens.after) != (None, None)]


def _tokens(notes: dict[str, Any], split: str) -> int | None:
    value = notes.get(f"{split}_tokens_out")
    return None if value is None else int(value)


def _rows_of_sources(side: Side) -> dict[str, int]:
    return {name: int(flow["out"]) for name, flow in side.ledger(INGESTED).get("per_source", {}).items()}


def _change(name: str, before: Side, after: Side) -> Any:
    if name not in before.licenses:
        return "added"
    if name not in after.licenses:
        return "removed"
    return "same" if before.licenses[name] == after.licenses[name] else "license changed"
