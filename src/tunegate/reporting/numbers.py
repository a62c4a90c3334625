"""How numbers look to people, the same in the reports and on the terminal. It does not know where they come from."""

import dataclasses
from typing import Literal

LABELS = {
    "accuracy": "Accuracy",
    "exact_match": "Exact match",
    "macro_precision": "Precision, macro",
    "macro_recall": "Recall, macro",
    "macro_f1": "F1, macro",
    "label_micro_f1": "F1 of labels, micro",
    "label_macro_f1": "F1 of labels, macro",
    "perplexity": "Perplexity",
    "nll": "NLL, nats per token",
}
"""Metrics in the order in which people see them."""

Tone = Literal["better", "worse", "same"]

_LOWER_IS_BETTER = {"nll", "perplexity"}
_MINUS = "\N{MINUS SIGN}"
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One metric of both models, as text, and whether the change is for the better."""

    name: str
    label: str
    base: str
    tuned: str
    change: str
    tone: Tone


def compare(base: dict[str, float], tuned: dict[str, float]) -> list[Comparison]:
    """The metrics that both have, in the order of `LABELS`."""
    names = [name for name in LABELS if name in base and name in tuned]
    return [_comparison(name, base[name], tuned[name]) for name in names]


def headline(metrics: dict[str, float]) -> str:
    """The name of the metric that stands for the others."""
    return next(name for name in ("accuracy", "exact_match", "perplexity") if name in metrics)


def shown(name: str, value: float) -> str:
    """A metric's value: shares as percent, the others with three decimals."""
    return f"{value:.3f}" if name in _LOWER_IS_BETTER else f"{100 * value:.1f} %"


def signed(name: str, change: float) -> str:
    """A difference of a metric with its sign: shares in percentage points. One that rounds to nothing has ±."""
    text = f"{abs(change):.3f}" if name in _LOWER_IS_BETTER else f"{100 * abs(change):.1f}"
    if float(text) == 0:
        return f"±{text}"
    return ("+" if change > 0 else _MINUS) + text


def tone_of(name: str, change: float) -> Tone:
    """Whether a difference is for the better. Judged by what is printed: a change that rounds to nothing is none."""
    if signed(name, change).startswith("±"):
        return "same"
    return "better" if (change < 0) is (name in _LOWER_IS_BETTER) else "worse"


def unit_of(name: str) -> str:
    """The unit of a difference of the metric."""
    return {"nll": "nats", "perplexity": ""}.get(name, "points")


def duration(seconds: float) -> str:
    """Seconds for people: `84 ms`, `12.3 s`, `4 min 12 s`, `3 h 5 min`."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(count: float) -> str:
    """Bytes for people, in powers of 1000: `271 MB`."""
    for unit in _UNITS[:-1]:
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {_UNITS[-1]}"


def ratio(before: float, after: float) -> str:
    """A relative change: `+12 %`, or nothing where it cannot be said."""
    if not before:
        return ""
    change = round(100 * (after / before - 1))
    return "±0 %" if not change else f"{'+' if change > 0 else _MINUS}{abs(change)} %"


def difference(before: int, after: int) -> str:
    """A change of a count with its sign; nothing where there is none."""
    return "" if before == after else f"{'+' if after > before else _MINUS}{abs(after - before):,}"


def _comparison(name: str, base: float, tuned: float) -> Comparison:
    change = tuned - base
    return Comparison(
        name, LABELS[name], shown(name, base), shown(name, tuned), signed(name, change), tone_of(name, change)
    )
