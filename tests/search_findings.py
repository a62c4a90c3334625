"""Trials and findings of a search by hand, for tests of what shows or compares them."""

from typing import Any

from tunegate.experiments.declaration import Search
from tunegate.experiments.search_results import Findings, best_of
from tunegate.experiments.trials import Change, Trial
from tunegate.params import parse

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


def findings_with(trials: list[Trial], metrics: list[str], **more: Any) -> Findings:
    objectives = [{"metric": metric, "direction": "minimize"} for metric in metrics]
    search = parse(Search, {"space": SPACE, "objectives": objectives} | more, place="x", remedy="")
    best = [trial.number for trial in best_of(search.objectives, trials)]
    shares = {"valid_loss": {"train.rank": 0.75, "train.learning_rate": 0.25}}
    return Findings("s", "c" * 40, search, trials, best, shares, [], "t" * 64)


TRIALS = [trial(0, 2.0), trial(1, 1.0), trial(2, None, state="pruned", reason="stopped"), trial(3, 3.0)]
