"""The drawings of a search's page: its history, every trial's parameters, its losses, its Pareto front.

Equal input gives equal bytes. Pure functions over plain values; all text is escaped here.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from tunegate.experiments.declaration import Axis, Objective
from tunegate.experiments.search_results import Findings
from tunegate.experiments.trials import Trial
from tunegate.reporting.svg import Scale, short_name, svg, ticks

_WIDTH, _HEIGHT = 720.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 14.0, 14.0, 38.0


def history(findings: Findings, objective: Objective) -> str:
    """The objective by trial, with a line of the best so far; what was not completed lies on the lower edge."""
    done = [trial for trial in findings.trials if trial.state == "complete"]
    if not done:
        return ""
    values = [trial.values[objective.metric] for trial in done]
    x = Scale(0, max(1, findings.trials[-1].number), _LEFT + 8, _WIDTH - _RIGHT - 8)
    y, parts = _vertical_axis(values)
    parts += [_below(x(n), str(n)) for n in _whole_ticks(findings.trials[-1].number)]
    parts.append(_axis_name("trial"))
    better = min if objective.direction == "minimize" else max
    corners, best = [], values[0]
    for trial, value in zip(done, values, strict=True):
        corners.append((x(trial.number), y(best)))
        best = better(best, value)
        corners.append((x(trial.number), y(best)))
    parts.append(_line("best", [*corners, (x(findings.trials[-1].number), y(best))]))
    for trial in findings.trials:
        if trial.state == "complete":
            kind = "best" if trial.number in findings.best else "trial"
            value = trial.values[objective.metric]
            parts.append(_dot(kind, x(trial.number), y(value), f"trial {trial.number}: {value:.6g}"))
        else:
            title = f"trial {trial.number} {trial.state}: {trial.reason}"
            parts.append(_cross(trial.state, x(trial.number), _HEIGHT - _BOTTOM - 5, title))
    return svg("history", _WIDTH, _HEIGHT, f"{objective.metric} of {len(done)} trials; the best is {best:.6g}", parts)


def courses(findings: Findings) -> str:
    """The validation loss of every trial, measurement by measurement; empty where none was measured twice."""
    drawn = [trial for trial in findings.trials if len(trial.course) > 1]
    if not drawn:
        return ""
    y, parts = _vertical_axis([loss for trial in drawn for loss in trial.course])
    most = max(len(trial.course) for trial in drawn)
    x = Scale(1, most, _LEFT + 8, _WIDTH - _RIGHT - 8)
    parts += [_below(x(n), str(n)) for n in _whole_ticks(most) if n]
    parts.append(_axis_name("measurement on the validation rows"))
    for trial in sorted(drawn, key=lambda trial: trial.number in findings.best):
        kind = "best" if trial.number in findings.best else trial.state
        points = [(x(step), y(loss)) for step, loss in enumerate(trial.course, 1)]
        parts.append(_line(kind, points, f"trial {trial.number}: {trial.course[-1]:.4f}"))
        if trial.state == "pruned":
            parts.append(_cross("pruned", *points[-1], f"trial {trial.number} was stopped here"))
    return svg("courses", _WIDTH, _HEIGHT, f"validation losses of {len(drawn)} trials", parts)


def parallel(findings: Findings, objective: Objective) -> str:
    """A line per completed trial through its parameters to the objective, the better the stronger."""
    done = [trial for trial in findings.trials if trial.state == "complete"]
    if len(done) < 2:
        return ""
    keys = list(findings.search.space)
    width = max(_WIDTH, 150.0 * (len(keys) + 1))
    x = Scale(0, len(keys), 74, width - 74)
    low, high = (f(trial.values[objective.metric] for trial in done) for f in (min, max))
    ends = (low, high) if high > low else (low, low + 1)
    goal = Scale(*(ends if objective.direction == "maximize" else ends[::-1]), _HEIGHT - 30, 34)
    parts = [_pillar(x(i), key, _ends(findings.search.space[key])) for i, key in enumerate(keys)]
    last = (f"{ends[0]:.4g}", f"{ends[1]:.4g}")
    parts.append(_pillar(x(len(keys)), objective.metric, last if objective.direction == "maximize" else last[::-1]))
    heights = {trial.number: goal(trial.values[objective.metric]) for trial in done}
    for trial in sorted(done, key=lambda trial: (trial.number in findings.best, -heights[trial.number])):
        value = trial.values[objective.metric]
        points = [(x(i), _height(findings.search.space[key], trial.params[key])) for i, key in enumerate(keys)]
        points.append((x(len(keys)), heights[trial.number]))
        share = (_HEIGHT - 30 - heights[trial.number]) / (_HEIGHT - 64)
        kind = "best" if trial.number in findings.best else "trial"
        parts.append(_line(kind, points, f"trial {trial.number}: {value:.6g}", opacity=0.15 + 0.6 * share))
    return svg("parallel", width, _HEIGHT, f"parameters of {len(done)} trials and {objective.metric}", parts)


def front(findings: Findings) -> str:
    """The first two objectives of every completed trial, those that no other beats joined; empty with one objective."""
    done = [trial for trial in findings.trials if trial.state == "complete"]
    if len(findings.search.objectives) < 2 or not done:
        return ""
    one, two = (objective.metric for objective in findings.search.objectives[:2])
    across = [trial.values[one] for trial in done]
    y, parts = _vertical_axis([trial.values[two] for trial in done])
    marks = _marks(min(across), max(across), 5)
    x = Scale(marks[0], marks[-1], _LEFT + 8, _WIDTH - _RIGHT - 30)
    parts += [_below(x(mark), f"{mark:.4g}") for mark in marks]
    parts += [_axis_name(one), f'<text x="{_LEFT}" y="10">{escape(two)}</text>']
    best = sorted((findings.trial(number).values[one], findings.trial(number).values[two]) for number in findings.best)
    parts.append(_line("best", [(x(a), y(b)) for a, b in best]))
    for trial in done:
        kind = "best" if trial.number in findings.best else "trial"
        title = f"trial {trial.number}: {one} {trial.values[one]:.6g}, {two} {trial.values[two]:.6g}"
        parts.append(_dot(kind, x(trial.values[one]), y(trial.values[two]), title))
    return svg("front", _WIDTH, _HEIGHT, f"{one} and {two} of {len(done)} trials", parts)


def _vertical_axis(values: Sequence[float]) -> tuple[Scale, list[str]]:
    """The vertical scale of the values, and its lines."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    marks = _marks(low, high, 4) if high > low else [low]
    y = Scale(low - room, high + room, _HEIGHT - _BOTTOM, _TOP)
    lines = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:.4g}</text>'
        for mark in marks
        if low - room <= mark <= high + room
    ]
    return y, lines


def _marks(low: float, high: float, about: int) -> list[float]:
    """Round numbers around low and high, both ends included."""
    if high <= low:
        return [low, low + 1]
    step = ticks(0, high - low, about)[1]
    first = math.floor(low / step)
    return [round(step * number, 12) for number in range(first, math.ceil(high / step) + 1)]


def _height(axis: Axis, value: Any) -> float:
    if axis.values is not None:
        share = (list(axis.values).index(value) + 0.5) / len(axis.values)
    else:
        low, high, at = (math.log(v) if axis.log else float(v) for v in (axis.low or 0, axis.high or 0, value))
        share = (at - low) / (high - low) if high > low else 0.5
    return Scale(0, 1, _HEIGHT - 30, 34)(share)


def _ends(axis: Axis) -> tuple[str, str]:
    if axis.values is not None:
        return str(axis.values[0]), str(axis.values[-1])
    return f"{axis.low:.4g}", f"{axis.high:.4g}"


def _pillar(at: float, name: str, ends: tuple[str, str]) -> str:
    section, _, key = name.rpartition(".")
    title = f"<title>{escape(section)}</title>"
    return (
        f'<line class="pillar" x1="{at:.1f}" x2="{at:.1f}" y1="34" y2="{_HEIGHT - 30}"/>'
        f'<text x="{at:.1f}" y="12" text-anchor="middle">{title}{escape(short_name(key))}</text>'
        f'<text x="{at:.1f}" y="27" text-anchor="middle">{escape(short_name(ends[1]))}</text>'
        f'<text x="{at:.1f}" y="{_HEIGHT - 15}" text-anchor="middle">{escape(short_name(ends[0]))}</text>'
    )


def _whole_ticks(most: int) -> list[int]:
    return sorted({round(mark) for mark in ticks(0, most, 8) if mark <= most})


def _below(at: float, text: str) -> str:
    return f'<text x="{at:.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{escape(text)}</text>'


def _axis_name(text: str) -> str:
    return f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.1f}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(text)}</text>'


def _dot(kind: str, x: float, y: float, title: str) -> str:
    radius = 5 if kind == "best" else 3.5
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{escape(title)}</title></circle>'


def _cross(kind: str, x: float, y: float, title: str) -> str:
    lines = f"M{x - 4:.1f},{y - 4:.1f}l8,8m0,-8l-8,8"
    return f'<path class="{kind}" d="{lines}"><title>{escape(title)}</title></path>'


def _line(kind: str, points: Sequence[tuple[float, float]], title: str = "", opacity: float = 1.0) -> str:
    place = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f' opacity="{opacity:.2f}"' if opacity < 1 and kind != "best" else ""
    return f'<polyline class="{kind}"{style} points="{place}"><title>{escape(title)}</title></polyline>'


def state_counts(trials: Sequence[Trial]) -> dict[str, int]:
    """How many trials ended how, the usual first."""
    states = [trial.state for trial in trials]
    return {state: states.count(state) for state in ("complete", "pruned", "failed") if state in states}
