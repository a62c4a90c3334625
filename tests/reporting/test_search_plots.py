import re
from typing import Any

from search_findings import TRIALS, findings_with, trial

from tunegate.experiments.declaration import Objective
from tunegate.experiments.trials import Trial
from tunegate.reporting.search_plots import courses, front, history, parallel, state_counts

LOSS = Objective()
FAILED = trial(4, None, state="failed", reason="a <loss> of nan", course=())


def circles(drawing: str) -> list[tuple[str, float, float]]:
    """Class and place of every point."""
    return [(c, float(x), float(y)) for c, x, y in re.findall(r'<circle class="(\w+)" cx="(.+?)" cy="(.+?)"', drawing)]


def lines(drawing: str) -> dict[str, list[list[float]]]:
    """The corners of every line, by its class; of several in one class the last."""
    return {
        kind: [[float(n) for n in corner.split(",")] for corner in points.split()]
        for kind, points in re.findall(r'<polyline class="(\w+)".*? points="(.+?)"', drawing)
    }


def plotted(trials: list[Trial], *metrics: str, **more: Any) -> Any:
    return findings_with(trials, [*(metrics or ("valid_loss",))], **more)


def test_the_history_has_a_point_or_a_cross_for_each_trial_and_the_best_so_far() -> None:
    drawing = history(plotted([*TRIALS, FAILED]), LOSS)
    (first, best, last), *_ = [circles(drawing)]
    assert [kind for kind, *_ in (first, best, last)] == ["trial", "best", "trial"]
    assert first[1] < best[1] < last[1]
    assert best[2] > first[2] > last[2], "less is further down"
    heights = [y for _, y in lines(drawing)["best"]]
    assert heights == sorted(heights)
    assert (heights[0], heights[-1]) == (first[2], best[2])
    assert re.findall(r'<path class="(\w+)"', drawing) == ["pruned", "failed"]
    assert "a &lt;loss&gt; of nan" in drawing


def test_where_more_is_better_the_best_so_far_rises() -> None:
    heights = [y for _, y in lines(history(plotted(TRIALS), Objective(direction="maximize")))["best"]]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] < heights[0]


def test_without_enough_trials_nothing_is_drawn() -> None:
    nothing, one = plotted([FAILED]), plotted([trial(0, 1.0, course=(2.0,))])
    assert [history(nothing, LOSS), courses(nothing), parallel(one, LOSS), courses(one)] == [""] * 4
    assert (front(plotted(TRIALS)), front(plotted([FAILED], "valid_loss", "minutes"))) == ("", "")


def test_a_course_that_was_stopped_ends_in_a_cross() -> None:
    drawing = courses(plotted(TRIALS))
    assert sorted(lines(drawing)) == ["best", "complete", "pruned"]
    assert re.findall(r'<path class="(\w+)"', drawing) == ["pruned"]


def test_a_line_goes_through_the_parameters_on_their_own_scales_to_the_objective() -> None:
    corners = lines(parallel(plotted(TRIALS), LOSS))["best"]
    rank, rate, name, loss = (y for _, y in corners)
    assert [x for x, _ in corners] == sorted(x for x, _ in corners)
    assert rank == 34 + 0.25 * (230 - 34), "16 is the second of two values"
    assert rate == name == (230 + 34) / 2, "0.01 is in the middle of a logarithmic axis"
    assert loss == 34, "the best is at the top"


def test_the_front_joins_the_best_and_leaves_out_a_beaten_trial() -> None:
    beaten = Trial(number=4, params={}, diff={}, state="complete", values={"valid_loss": 0.5, "minutes": 8.5})
    objectives = [{"metric": metric, "direction": "maximize"} for metric in ("valid_loss", "minutes")]
    drawing = front(plotted([*TRIALS, beaten], objectives=objectives))
    points = circles(drawing)
    assert [kind for kind, *_ in points] == ["best", "best", "best", "trial"]
    assert lines(drawing)["best"] == sorted([x, y] for _, x, y in points[:3])


def test_trials_are_counted_by_how_they_ended_the_usual_first() -> None:
    assert list(state_counts([FAILED, *TRIALS]).items()) == [("complete", 3), ("pruned", 1), ("failed", 1)]
    assert state_counts([FAILED]) == {"failed": 1}
