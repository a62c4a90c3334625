"""How numbers look to people, the same in the report and on the terminal. It does not know where they come from."""

import dataclasses
from typing import Literal

LABELS = {
    "accuracy": "Accuracy",
    "exact_match": "Exact match",
    "macro_precision": "Precision, macro",
    "macro_recall": "Recall, macro",
    "macro_f1": "F1, macro",
    "nll": "NLL, nats per token",
}
"""Metrics in the order in which people see them."""

_LOWER_IS_BETTER = {"nll"}
_MINUS = "\N{MINUS SIGN}"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One metric of both models, as text, and whether the change is for the better."""

    name: str
    label: str
    base: str
    tuned: str
    change: str
    tone: Literal["better", "worse", "same"]


def compare(base: dict[str, float], tuned: dict[str, float]) -> list[Comparison]:
    """The metrics that both have, in the order of `LABELS`."""
    names = [name for name in LABELS if name in base and name in tuned]
    return [_comparison(name, base[name], tuned[name]) for name in names]


def headline(metrics: dict[str, float]) -> str:
    """The name of the metric that stands for the others."""
    return "accuracy" if "accuracy" in metrics else "exact_match"


def shown(name: str, value: float) -> str:
    """A metric's value: shares as percent, the others with three decimals."""
    return f"{value:.3f}" if name in _LOWER_IS_BETTER else f"{100 * value:.1f} %"


def _comparison(name: str, base: float, tuned: float) -> Comparison:
    change = tuned - base
    better = change < 0 if name in _LOWER_IS_BETTER else change > 0
    # Judged by what is printed: a change that rounds to nothing is none.
    text = f"{abs(change):.3f}" if name in _LOWER_IS_BETTER else f"{100 * abs(change):.1f}"
    if float(text) == 0:
        return Comparison(name, LABELS[name], shown(name, base), shown(name, tuned), "±" + text, "same")
    sign = "+" if change > 0 else _MINUS
    tone: Literal["better", "worse"] = "better" if better else "worse"
    return Comparison(name, LABELS[name], shown(name, base), shown(name, tuned), sign + text, tone)
