"""The verdict's numbers as rows of tables: metrics and slices with their intervals drawn, in people's units.

Where a lower value is better the drawing is turned, so that right is better everywhere.
"""

import dataclasses
from collections.abc import Sequence, Set

from tunegate.gate.policy import LOWER_IS_BETTER, Policy
from tunegate.gate.verdict import MetricResult, SliceResult
from tunegate.reporting.charts import Interval, interval_plot
from tunegate.reporting.numbers import LABELS, Tone, shown, signed, tone_of, unit_of

_NONE = "\N{EN DASH}"
_AIR = 1.06


@dataclasses.dataclass(frozen=True)
class Row:
    """One metric, or the primary metric within one value of a slice."""

    name: str
    role: str
    """Of a metric: primary, guard or info. Of a slice: how many rows."""
    before: str
    after: str
    change: str
    tone: Tone
    bounds: str
    plot: str
    """SVG; empty where there is no interval."""
    requirement: str
    """What the policy requires of it."""
    outcome: str
    sentence: str


def metric_rows(metrics: Sequence[MetricResult]) -> list[Row]:
    """A row per metric; those of one unit are drawn to one scale."""
    drawn = {metric.name: _interval(metric) for metric in metrics}
    reach = {
        unit: _reach([drawn[metric.name] for metric in metrics if unit_of(metric.name) == unit])
        for unit in {unit_of(metric.name) for metric in metrics}
    }
    return [_metric_row(metric, drawn[metric.name], reach[unit_of(metric.name)]) for metric in metrics]


def slice_rows(slices: Sequence[SliceResult], policy: Policy) -> dict[str, list[Row]]:
    """Name of the slice to a row per value; all are drawn to one scale."""
    margin = policy.slices.margin
    drawn = [
        _turned(policy.primary, part.difference, part.low, part.high, -margin if part.outcome != "untested" else None)
        for part in slices
    ]
    reach = _reach(drawn)
    rows: dict[str, list[Row]] = {}
    for part, interval in zip(slices, drawn, strict=True):
        rows.setdefault(part.slice, []).append(_slice_row(part, interval, reach, policy))
    return rows


def confidence(alphas: Set[float]) -> str:
    """The two-sided confidence of one-sided bounds at these alphas, for people: `90 %`, or `80 to 90 %`."""
    levels = [f"{100 * (1 - 2 * alpha):g}" for alpha in sorted({min(alphas), max(alphas)}, reverse=True)]
    return " to ".join(levels) + " %"


def _metric_row(metric: MetricResult, interval: Interval | None, reach: float) -> Row:
    name, change = metric.name, metric.difference
    return Row(
        name=LABELS.get(name, name),
        role=metric.role,
        before=_NONE if metric.baseline is None else shown(name, metric.baseline),
        after=shown(name, metric.candidate),
        change=_NONE if change is None else signed(name, change),
        tone="same" if change is None else tone_of(name, change),
        bounds=_bounds(name, metric.low, metric.high),
        plot=_plot(name, LABELS.get(name, name), interval, metric, reach),
        requirement=_requirement(metric),
        outcome="shown only" if metric.role == "info" else metric.outcome,
        sentence=metric.sentence,
    )


def _slice_row(part: SliceResult, interval: Interval | None, reach: float, policy: Policy) -> Row:
    name = policy.primary
    return Row(
        name=part.value,
        role=f"{part.rows:,}",
        before=shown(name, part.baseline),
        after=shown(name, part.candidate),
        change=signed(name, part.difference),
        tone=tone_of(name, part.difference),
        bounds=_bounds(name, part.low, part.high),
        plot=_plot(name, f"{part.slice} {part.value}", interval, part, reach),
        requirement="",
        outcome=part.outcome,
        sentence=part.sentence,
    )


def _interval(metric: MetricResult) -> Interval | None:
    limit = None if metric.role == "info" else -metric.margin
    return _turned(metric.name, metric.difference, metric.low, metric.high, limit)


def _turned(
    name: str, change: float | None, low: float | None, high: float | None, limit: float | None
) -> Interval | None:
    if change is None or low is None or high is None:
        return None
    if name in LOWER_IS_BETTER:
        return Interval(-change, -high, -low, limit)
    return Interval(change, low, high, limit)


def _reach(intervals: Sequence[Interval | None]) -> float:
    return _AIR * max((interval.reach for interval in intervals if interval), default=0.0) or 1.0


def _plot(name: str, label: str, interval: Interval | None, result: MetricResult | SliceResult, reach: float) -> str:
    if interval is None or result.difference is None:
        return ""
    sign = -1 if name in LOWER_IS_BETTER else 1
    limit = "" if interval.limit is None else signed(name, sign * interval.limit)
    title = f"{label}: {signed(name, result.difference)} {unit_of(name)}, {_bounds(name, result.low, result.high)}"
    return interval_plot(interval, reach, title + (f"; accepted to {limit}" if limit else ""), limit)


def _bounds(name: str, low: float | None, high: float | None) -> str:
    return _NONE if low is None or high is None else f"{signed(name, low)} to {signed(name, high)}"


def _requirement(metric: MetricResult) -> str:
    if metric.role == "info":
        return _NONE
    sign = 1 if metric.direction == "lower" else -1
    parts = [f"at worst {signed(metric.name, sign * metric.margin)}"] if metric.baseline is not None else []
    if metric.floor is not None:
        parts.append(f"{'at most' if metric.direction == 'lower' else 'at least'} {shown(metric.name, metric.floor)}")
    return "; ".join(parts) or _NONE
