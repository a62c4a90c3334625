"""The page of a search, report.html in its folder: one file that asks no host for anything and runs no script.

Renders findings with the templates beside this file; all text is escaped but our own drawings.
"""

import dataclasses
from typing import Any

from tunegate.experiments.search_results import Findings
from tunegate.experiments.trials import Trial
from tunegate.reporting.numbers import duration
from tunegate.reporting.rendering import environment
from tunegate.reporting.search_plots import courses, front, history, parallel, state_counts


@dataclasses.dataclass(frozen=True)
class Plots:
    """The drawings of one objective."""

    metric: str
    direction: str
    history: str
    parallel: str
    importance: dict[str, float]


def render_search(findings: Findings) -> str:
    """The page's HTML."""
    plots = [
        Plots(o.metric, o.direction, history(findings, o), parallel(findings, o), findings.importance.get(o.metric, {}))
        for o in findings.search.objectives
    ]
    best = findings.trial(findings.best[0]) if findings.best else None
    template = environment().get_template("search.html.j2")
    return str(
        template.render(
            findings=findings,
            best=best,
            start=findings.start,
            gains=_gains(findings, best),
            counts=state_counts(findings.trials),
            keys=sorted(findings.search.space),
            metrics=[o.metric for o in findings.search.objectives],
            on_test_rows=any(o.on_test_rows for o in findings.search.objectives),
            plots=plots,
            courses=courses(findings),
            front=front(findings),
            duration=duration,
            shown=_shown,
        )
    )


def _gains(findings: Findings, best: Trial | None) -> list[dict[str, Any]]:
    """The best trial's objectives beside those of the commit's own parameters."""
    rows: list[dict[str, Any]] = []
    for objective in findings.search.objectives if best else ():
        value = best.values[objective.metric] if best else None
        start = findings.start.values[objective.metric] if findings.start else None
        better = value is not None and start is not None and (value < start) == (objective.direction == "minimize")
        rows.append({"metric": objective.metric, "best": value, "start": start, "better": better})
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(_shown, value)) if isinstance(value, list | tuple) else str(value)
