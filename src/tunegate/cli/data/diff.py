"""`tunegate data diff`: what a change of the data is, on the terminal, as JSON and as a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tunegate.cli.runs import table
from tunegate.data.diff.result import DataDiff, Pairs, Shift, schema
from tunegate.errors import RefusedError
from tunegate.files import to_json, write_text
from tunegate.text import visible, words

EPILOG = "Example: tunegate data diff --base origin/main --html diff.html"

_SHOWN = 5


def diff(
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="Where the change goes to; default: remote's.")
    ] = None,
    head: Annotated[str | None, typer.Option(metavar="REV", help="Compare this, not the working tree's lock.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as a page, too.")] = None,
    check: Annotated[bool, typer.Option("--check", help="End with 3 where policy/gate.yaml refuses.")] = False,
    print_schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of the comparison.")] = False,
) -> None:
    """Say what changed in the data between the merge base with --base and --head, as dvc.lock names it at both."""
    if print_schema:
        print(to_json(schema()), end="")
        return
    from tunegate.gate.data_guards import decide_data
    from tunegate.reporting.data_changes import diff_of
    from tunegate.reporting.pages import render_data_page
    from tunegate.repository.outputs import open_outputs
    from tunegate.repository.revisions import open_repository
    from tunegate.repository.snapshot import Snapshot
    from tunegate.review.evidence import governing_policy, policy_of

    repository = open_repository()
    target = repository.resolve(base or repository.default_base())
    commit = repository.resolve(head) if head else None
    with open_outputs(repository.root) as outputs:
        after = Snapshot(repository, commit, outputs)
        before = Snapshot(repository, repository.merge_base(target, commit or "HEAD"), outputs)
        governing = (governing_policy if check else policy_of)(Snapshot(repository, target, outputs), after)
        policy = governing[0] if governing else None
        near = {"near": policy.contamination.near} if policy else {}
        changes = diff_of(before if before.lock else None, after, **near)
    if html:
        write_text(html, render_data_page(changes))
    print(visible(to_json(changes.model_dump(mode="json"))) if as_json else as_text(changes), end="")
    refused = (
        [g.sentence for g in decide_data(policy.data, changes) if g.outcome == "refused"] if policy and check else []
    )
    if refused:
        remedy = "change the data, or the bounds at the base (docs/diff.md explains them)"
        raise RefusedError("; ".join(refused), place="policy/gate.yaml: data", remedy=remedy)


def as_text(changes: DataDiff) -> str:
    """The comparison for a terminal, the largest matters first."""
    parts = [*_headline(changes), *_pairs(changes), *_lists(changes), *_tables(changes)]
    return visible("\n\n".join(part for part in parts if part)) + "\n"


def _headline(changes: DataDiff) -> Iterator[str]:
    names = [name if " " in name else name[:12] for name in (changes.base or "nothing", changes.head)]
    yield f"data of {names[1]} compared with {names[0]}"
    yield "\n".join(f"not compared: {note}" for note in changes.notes)
    counts = [f"{changes.total(what):,} {what}" for what in ("added", "removed", "edited")]
    same = "the prepared rows are the same, byte for byte"
    yield same if changes.same else f"rows: {', '.join(counts)}, {changes.moved_count:,} moved to another split"
    head = ("", "before", "after", "added", "removed", "edited")
    rows = [(r.name, *map(_number, (r.before, r.after, r.added, r.removed, r.edited))) for r in changes.rows]
    yield table([head, *rows])


def _pairs(changes: DataDiff) -> Iterator[str]:
    named = [
        ("LEAKS: test or validation rows that another split repeats", changes.leaks),
        ("LEAKS: new test rows that the base was trained on", changes.seen),
        ("left out: test or validation asks the same", changes.leaks_left_out),
        ("left out: duplicates", changes.duplicates),
    ]
    yield "\n".join(line for title, pairs in named if pairs.count for line in _listed(title, pairs))


def _listed(title: str, pairs: Pairs) -> Iterator[str]:
    yield f"{title}: {pairs.count:,} new"
    for pair in pairs.pairs[:_SHOWN]:
        alike = "" if pair.similarity is None else f"  {pair.similarity:.2f}"
        yield f"  {pair.id} = {pair.other}  {words(pair.kind)}{alike}"
    if pairs.count > _SHOWN:
        yield f"  and {pairs.count - _SHOWN:,} more"


def _lists(changes: DataDiff) -> Iterator[str]:
    personal, quarantine = changes.personal_data, changes.quarantine
    if personal and (personal.new_rows or personal.kinds):
        kinds = "; ".join(f"{kind.name} {kind.before:,} → {kind.after:,}" for kind in personal.kinds)
        more = (
            f" ({', '.join(personal.ids[:_SHOWN])}{', …' if personal.new_rows > _SHOWN else ''})"
            if personal.ids
            else ""
        )
        yield f"personal data and secrets: {personal.new_rows:,} new rows{more}\n  {kinds}"
    if quarantine and (quarantine.before or quarantine.after):
        new = "".join(f"\n  {row.id}: {', '.join(row.reasons)}" for row in quarantine.new[:_SHOWN])
        yield f"quarantine: {quarantine.before:,} → {quarantine.after:,} rows{new}"


def _tables(changes: DataDiff) -> Iterator[str]:
    if changes.shifts:
        head = ("shift of", "effect", "95 % interval", "verdict")
        yield table([head, *map(_shift, changes.shifts)])
    if changes.sources:
        rows = [
            (
                s.name,
                _number(s.before),
                _number(s.after),
                _licence(s.license_before, s.license_after, s.change),
                s.change,
            )
            for s in changes.sources
        ]
        yield table([("source", "before", "after", "licence", ""), *rows])
    if changes.expectations:
        expectations = [(c.expectation, c.before or "-", c.after or "-") for c in changes.expectations]
        yield table([("expectation", "before", "after"), *expectations])
    changed = [(r.stage, r.reason, str(r.before), str(r.after)) for r in changes.left_out if r.before != r.after]
    if changed:
        yield table([("stage", "left out since", "before", "after"), *changed])
    costs: list[tuple[str, ...]] = [
        (f"tokens of {t.split}", _number(t.before), _number(t.after)) for t in changes.tokens
    ]
    minutes = [(c.minutes_before, c.minutes_after, c.stage) for c in changes.forecast]
    costs += [(f"minutes of {s}", *("-" if m is None else f"{m:.1f}" for m in (a, b))) for a, b, s in minutes]
    if costs:
        yield table([("", "before", "after"), *costs])


def _shift(shift: Shift) -> tuple[str, str, str, str]:
    if shift.effect is None:
        return shift.name, "-", "-", shift.verdict
    return shift.name, f"{shift.effect:.2f}", f"{shift.low:.2f} to {shift.high:.2f}", shift.verdict


def _licence(before: str | None, after: str | None, change: str) -> str:
    now = after or "none declared"
    return f"{before or 'none declared'} → {now}" if change == "license changed" else now


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
