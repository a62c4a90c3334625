"""The page of reports/report.html: one self-contained file without scripts, fonts or images from elsewhere.

What it shows is first made plain values, which the template only lays out. It has no commit, machine or time in it:
the report is an output of the pipeline, and equal input must give equal bytes.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.evaluation.examples import Example
from tunegate.evaluation.metrics import Pair, outcome_of, pairs_of
from tunegate.evaluation.trajectory import Point
from tunegate.params import Params
from tunegate.reporting.charts import MAX_CLASSES, confusion_matrix, loss_curve
from tunegate.reporting.numbers import Comparison, compare, headline
from tunegate.reporting.rendering import environment
from tunegate.reporting.row_flow import SourceFlow, source_flows
from tunegate.repository.lineage import Lineage
from tunegate.text import short, words
from tunegate.tracking.describe import flat_params

_SHOWN_EXAMPLES = 12
_SHOWN_CONFUSIONS = 10
_OUTCOMES = {
    "broken": ("Broken", "the untuned base was right, the tuned model is wrong"),
    "wrong": ("Still wrong", "neither model is right"),
    "fixed": ("Fixed", "the untuned base was wrong, the tuned model is right"),
}
_EXPECTATIONS = {
    "unexpected": ("Less expected", "raw text that the tuned model expects less than the untuned base"),
    "expected": ("More expected", "raw text that the tuned model expects no less than the untuned base"),
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """Everything that a report is made of."""

    params: Params
    lineage: Lineage
    metrics: dict[str, Any]
    examples: Sequence[Example]
    trajectory: Sequence[Point]
    ledger: dict[str, Any]
    preview: Mapping[str, Sequence[dict[str, Any]]]
    """Row id to the pieces of a training row, each a `text` that is `trained` on or not."""


@dataclasses.dataclass(frozen=True)
class SliceRow:
    """One value of a slice; `headline` is None where there were too few rows."""

    value: str
    rows: int
    headline: Comparison | None
    base_share: float
    tuned_share: float


@dataclasses.dataclass(frozen=True)
class ExampleGroup:
    """Examples of one outcome."""

    key: str
    title: str
    meaning: str
    total: int
    shown: list[Example]


@dataclasses.dataclass(frozen=True)
class StageLedger:
    """Where a stage's rows went."""

    stage: str
    rows_in: int
    rows_out: int
    left_out: list[tuple[str, int]]
    """Reasons, and how many rows each."""
    notes: list[tuple[str, str]]
    tokens: str
    """Tokens in and out, where they are known."""


@dataclasses.dataclass(frozen=True)
class View:
    """The report, top to bottom."""

    name: str
    base: str
    lineage: str
    parts: dict[str, str]
    rows: int
    headline: Comparison
    base_share: float
    tuned_share: float
    outcomes: dict[str, int]
    comparisons: list[Comparison]
    slices: dict[str, list[SliceRow]]
    curve: str
    matrix: str
    classes_left_out: int
    confusions: list[tuple[Pair, int]]
    flows: list[SourceFlow]
    ledger: list[StageLedger]
    preview: list[tuple[str, Sequence[dict[str, Any]]]]
    examples: list[ExampleGroup]
    params: dict[str, str]


def render_report(measured: Measured) -> str:
    """The HTML of reports/report.html."""
    return str(environment().get_template("report.html.j2").render(view=view_of(measured)))


def view_of(measured: Measured) -> View:
    """The view of what was measured."""
    metrics = measured.metrics
    base, tuned = metrics["base"], metrics["tuned"]
    name = headline(tuned)
    comparisons = compare(base, tuned)
    pairs = pairs_of(measured.examples, "tuned", ignore_case=measured.params.evaluate.ignore_case)
    return View(
        name=measured.params.score.name,
        base=measured.params.base.model,
        lineage=measured.lineage.key,
        parts=measured.lineage.parts.model_dump(),
        rows=metrics["rows"],
        headline=next(item for item in comparisons if item.name == name),
        **_shares(name, base, tuned),
        outcomes=metrics["outcomes"],
        comparisons=comparisons,
        slices={
            key: [_slice(value, part) for value, part in values.items()] for key, values in metrics["slices"].items()
        },
        curve=loss_curve(measured.trajectory),
        matrix=confusion_matrix(pairs),
        classes_left_out=max(0, len({pair.reference for pair in pairs}) - MAX_CLASSES),
        confusions=_confusions(pairs),
        flows=source_flows(measured.ledger),
        ledger=[_stage(stage) for stage in measured.ledger["stages"]],
        preview=list(measured.preview.items()),
        examples=_groups(measured.examples),
        params=flat_params(measured.params),
    )


def _slice(value: str, result: dict[str, Any]) -> SliceRow:
    if "tuned" not in result:
        return SliceRow(value, result["rows"], None, 0.0, 0.0)
    name = headline(result["tuned"])
    base, tuned = result["base"], result["tuned"]
    comparison = next(item for item in compare(base, tuned) if item.name == name)
    return SliceRow(value, result["rows"], comparison, **_shares(name, base, tuned))


def _shares(name: str, base: dict[str, float], tuned: dict[str, float]) -> dict[str, float]:
    """Lengths of both models' bars, as shares of the largest possible value; without one, of the larger."""
    whole = max(1.0, base[name], tuned[name])
    return {"base_share": base[name] / whole, "tuned_share": tuned[name] / whole}


def _confusions(pairs: Sequence[Pair]) -> list[tuple[Pair, int]]:
    counts = collections.Counter(pair for pair in pairs if pair.reference != pair.answer)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0].reference, item[0].answer))[:_SHOWN_CONFUSIONS]


def _stage(ledger: dict[str, Any]) -> StageLedger:
    rows, sources = ledger["rows"], ledger["per_source"]
    flows = [(name, f"{flow['in']} → {flow['out']}") for name, flow in sources.items()] if len(sources) > 1 else []
    notes = [(words(name), f"{number:.6g}") for name, number in ledger["notes"].items()]
    left_out = [(words(name), number) for name, number in ledger["reasons"].items()]
    tokens = "{in:,} → {out:,} tokens".format(**ledger["tokens"]) if "tokens" in ledger else ""
    return StageLedger(ledger["stage"], rows["in"], rows["out"], left_out, flows + notes, tokens)


def _groups(examples: Sequence[Example]) -> list[ExampleGroup]:
    groups = []
    kinds = {example.is_asked for example in examples}
    for key, (title, meaning) in [
        *(_OUTCOMES.items() if True in kinds else ()),
        *(_EXPECTATIONS.items() if False in kinds else ()),
    ]:
        members = [example for example in examples if _group(example) == key]
        shown = [_cut(example) for example in members[:_SHOWN_EXAMPLES]]
        groups.append(ExampleGroup(key, title, meaning, len(members), shown))
    return groups


def _group(example: Example) -> str:
    if example.is_asked:
        return outcome_of(example)
    return "unexpected" if example.tuned.nll > example.base.nll else "expected"


def _cut(example: Example) -> Example:
    return dataclasses.replace(
        example,
        question=short(example.question),
        reference=short(example.reference),
        base=dataclasses.replace(example.base, text=short(example.base.text)),
        tuned=dataclasses.replace(example.tuned, text=short(example.tuned.text)),
    )
