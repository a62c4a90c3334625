import re
from typing import Any

from tunegate.experiments.declaration import Search
from tunegate.experiments.search_results import Findings, best_of
from tunegate.experiments.trials import Change, Trial
from tunegate.params import parse
from tunegate.reporting.search_page import render_search

SPACE = {
    "train.rank": {"values": [8, 16]},
    "train.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
    "score.name": {"values": ["<b>x</b>"]},
}


def trial(number: int, loss: float | None, **more: Any) -> Trial:
    params = {"train.rank": 8 + 8 * (number % 2), "train.learning_rate": 0.01, "score.name": "<b>x</b>"}
    values = {} if loss is None else {"valid_loss": loss, "minutes": 10 - loss}
    diff = {"train.rank": Change(before=8, after=16)} if number else {}
    state = {"state": "complete"} if loss is not None else {}
    return Trial(number=number, params=params, diff=diff, values=values, **({"course": (2.0, 1.0)} | state | more))


def found(trials: list[Trial], metrics: list[str], **more: Any) -> Findings:
    objectives = [{"metric": metric, "direction": "minimize"} for metric in metrics]
    search = parse(Search, {"space": SPACE, "objectives": objectives} | more, place="x", remedy="")
    best = [trial.number for trial in best_of(search.objectives, trials)]
    shares = {"valid_loss": {"train.rank": 0.75, "train.learning_rate": 0.25}}
    return Findings("s", "c" * 40, search, trials, best, shares, [], "t" * 64)


TRIALS = [trial(0, 2.0), trial(1, 1.0), trial(2, None, state="pruned", reason="stopped"), trial(3, 3.0)]


def test_the_page_says_what_was_best_what_moved_it_and_what_became_of_the_others() -> None:
    page = render_search(found([*TRIALS, trial(4, None, state="failed", reason="a <loss> of nan")], ["valid_loss"]))
    assert "The best trial<" in page
    assert "2 at the commit" in page
    assert 'style="width:75.0%"' in page
    assert len(re.findall(r'<path class="(?:pruned|failed)"', page)) == 3  # one of them on the losses' plot
    assert "a &lt;loss&gt; of nan" in page
    assert "<b>x</b>" not in page
    assert "<script" not in page
    assert page == render_search(
        found([*TRIALS, trial(4, None, state="failed", reason="a <loss> of nan")], ["valid_loss"])
    )


def test_with_two_objectives_the_front_is_drawn() -> None:
    page = render_search(found(TRIALS, ["valid_loss", "minutes"]))
    assert "No other trial beats 1, 0, 3 in every objective" in page
    assert 'class="front"' in page


def test_a_search_in_which_nothing_was_completed_has_a_page_too() -> None:
    page = render_search(found([trial(0, None, state="failed", reason="x", course=())], ["valid_loss"]))
    assert "The best trial" not in page
    assert "failed: x" in page


def test_of_equal_trials_the_first_is_the_best_and_a_tie_is_no_front() -> None:
    objectives = found([], ["valid_loss"]).search.objectives
    assert [t.number for t in best_of(objectives, [trial(0, 1.0), trial(1, 1.0), trial(2, 2.0)])] == [0]
