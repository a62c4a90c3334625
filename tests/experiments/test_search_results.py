import json
from pathlib import Path

import optuna
from search_findings import TRIALS, findings_with, trial

from tunegate.experiments.declaration import Objective, Search
from tunegate.experiments.search_results import TRIALS_FOR_IMPORTANCE, best_of, findings_of
from tunegate.experiments.space import distributions_of
from tunegate.experiments.trial_runner import SearchContext
from tunegate.experiments.trials import Trial
from tunegate.params import parse
from tunegate.repository.revisions import Repository


def test_of_equal_trials_the_first_is_the_best_and_a_tie_is_no_front() -> None:
    objectives = findings_with([], ["valid_loss"]).search.objectives
    assert [t.number for t in best_of(objectives, [trial(0, 1.0), trial(1, 1.0), trial(2, 2.0)])] == [0]


def test_a_trial_that_another_beats_in_every_objective_is_not_among_the_best() -> None:
    beaten = Trial(number=4, params={}, diff={}, state="complete", values={"valid_loss": 2.5, "minutes": 8.5})
    shorter = Objective(metric="minutes")
    assert [t.number for t in best_of([Objective(), shorter], [*TRIALS, beaten])] == [1, 0, 3]
    assert [t.number for t in best_of([Objective(direction="maximize"), shorter], [*TRIALS, beaten])] == [3]


def test_the_start_is_the_completed_trial_of_the_commits_own_parameters() -> None:
    assert findings_with(TRIALS, ["valid_loss"]).start == TRIALS[0]
    assert findings_with([trial(0, None, state="failed"), trial(1, 1.0)], ["valid_loss"]).start is None


def test_findings_are_plain_values_as_json() -> None:
    values = json.loads(json.dumps(findings_with(TRIALS, ["valid_loss"]).as_json()))
    assert [record["state"] for record in values["trials"]] == ["complete", "complete", "pruned", "complete"]
    assert (values["search"]["space"]["train.rank"]["values"], values["best"]) == ([8, 16], [1])


def test_from_six_trials_on_each_parameters_share_is_computed_where_an_objective_differs() -> None:
    space = {"train.rank": {"low": 1, "high": 8}, "train.dropout": {"low": 0.0, "high": 0.5}}
    objectives = [{"metric": "valid_loss"}, {"metric": "minutes"}]
    search = parse(Search, {"space": space, "objectives": objectives}, place="x", remedy="")
    context = SearchContext(Repository(Path(), ""), search, "s", "c" * 40, Path())
    study = optuna.create_study(directions=["minimize", "minimize"])
    trials: list[Trial] = []
    for number in range(TRIALS_FOR_IMPORTANCE):
        assert findings_of(study, context, trials, []).importance == {}
        values = {"valid_loss": float(number), "minutes": 5.0}
        params = {"train.rank": number + 1, "train.dropout": number % 2 / 4}
        trials.append(Trial(number=number, params=params, diff={}, state="complete", values=values))
        distributions = distributions_of(search)
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, values=list(values.values())))
    importance = findings_of(study, context, trials, []).importance
    assert list(importance) == ["valid_loss"]
    assert importance["valid_loss"]["train.rank"] > 0.5 > importance["valid_loss"]["train.dropout"]
