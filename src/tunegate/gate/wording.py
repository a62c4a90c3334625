"""Sentences on a metric or a slice: its values, the interval of their difference, and why it passes or not."""

from tunegate.gate.estimates import Estimate
from tunegate.gate.policy import MetricPolicy, Policy

_MINUS = "\N{MINUS SIGN}"
_RATIOS = ("nll",)
"""Metrics that are not shares and so are not shown in per cent."""


def value(name: str, number: float) -> str:
    """55.1 %, or 0.462."""
    return f"{number:.3f}" if name in _RATIOS else f"{number * 100:.1f} %"


def size(name: str, number: float) -> str:
    """An amount without its sign: 2.2 points, or 0.009."""
    if name in _RATIOS:
        return f"{abs(number):.3g}"
    points = f"{abs(number) * 100:.1f}".removesuffix(".0")
    return f"{points} {'point' if points == '1' else 'points'}"


def signed(name: str, number: float, *, unit: bool = True) -> str:
    """+2.2 points; a true minus sign, none for zero."""
    text = f"{abs(number):.3f}" if name in _RATIOS else f"{abs(number) * 100:.1f}"
    sign = "" if not float(text) else "+" if number > 0 else _MINUS
    return f"{sign}{text}{'' if name in _RATIOS or not unit else ' points'}"


def comparison(name: str, estimate: Estimate, policy: Policy) -> str:
    """Both values, the difference and its interval: accuracy 55.1 % → 57.3 % (+2.2 points, 90 % interval ...)."""
    if estimate.baseline is None:
        return f"{title(name)} {value(name, estimate.candidate)}"
    change = signed(name, estimate.candidate - estimate.baseline)
    if estimate.difference:
        low, high = (signed(name, bound, unit=False) for bound in bounds(estimate, policy))
        change += f", {100 * (1 - 2 * policy.alpha):.4g} % interval {low} to {high}"
    return f"{title(name)} {value(name, estimate.baseline)} → {value(name, estimate.candidate)} ({change})"


def bounds(estimate: Estimate, policy: Policy) -> tuple[float, float]:
    """Lower and upper one-sided bound, at alpha each."""
    assert estimate.difference
    return estimate.difference.low(policy.alpha), estimate.difference.high(policy.alpha)


def passed(name: str, metric: MetricPolicy, *, better: bool) -> str:
    """Why a metric with a baseline passes."""
    if better:
        return "clearly better"
    return f"not worse by more than the margin of {size(name, metric.margin)}"


def undecided(name: str, metric: MetricPolicy, worst: float | None, needed: int | None, rows: int) -> str:
    """Why a metric is inconclusive, and what would decide it; `worst` is the loss still possible."""
    if worst is None:
        could = "inconclusive: fewer than two independent groups of rows"
    else:
        amount = "not be better" if metric.margin == 0 else f"be {size(name, worst)} worse"
        could = f"inconclusive: it could still {amount}, the margin is {size(name, metric.margin)}"
    if needed is None and worst is not None:
        return f"{could}; too near the margin for any reasonable number of test rows"
    return could + needs(needed, rows)


def needs(needed: int | None, rows: int) -> str:
    """What would decide it."""
    return "" if needed is None else f"; needs about {needed:,} test rows ({rows:,} now)"


def too_few(estimate: Estimate, policy: Policy, needed: int | None) -> str:
    """Why nothing passes with so few rows, and how many it needs."""
    counts = [(estimate.rows, policy.min_rows, "rows"), (estimate.clusters, policy.min_clusters, "groups")]
    missing = ", ".join(f"{number:,} of {least:,} {unit}" for number, least, unit in counts if number < least)
    return f"inconclusive: too few ({missing}){needs(needed, estimate.rows)}"


def below_floor(name: str, floor: float) -> str:
    """Why a metric is refused, whatever the baseline's value."""
    return f"worse than the floor of {value(name, floor)}"


def seeds(name: str, deviation: float) -> str:
    """What the training's seed alone does."""
    return f"seeds alone move it by ±{size(name, deviation)}"


def title(name: str) -> str:
    """The metric's name in a sentence."""
    return {"nll": "NLL", "macro_f1": "macro F1"}.get(name, name.replace("_", " "))
