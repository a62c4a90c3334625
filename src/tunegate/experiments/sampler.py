"""Which parameters a trial gets: Optuna's samplers, seeded by the trial's number alone.

A sampler is made anew for every trial, so that a search that was killed chooses as one that was not. The first trial is
the commit's own parameters where the space holds them, so that the best trial has something to be compared with.
"""

import warnings
from collections.abc import Mapping
from typing import Any

from tunegate.experiments.declaration import Search
from tunegate.experiments.space import distributions_of, grid_point, grid_size, point_of
from tunegate.experiments.storage import choosing_alone
from tunegate.repository.lineage import digest

STARTUP = 5
"""Trials that are chosen at random before TPE has something to learn from."""


def choose(study: Any, search: Search, present: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
    """Add the next trial to the study, to be run, with `attributes`.

    It is chosen in a copy of the study and added in one piece: a kill leaves all of it, or nothing. `present` are the
    commit's values of the searched parameters.
    """
    import optuna

    with choosing_alone(study), warnings.catch_warnings():
        trials = study.get_trials(deepcopy=False)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        copy = optuna.create_study(directions=study.directions, sampler=_sampler(search, len(trials), present))
        copy.add_trials(trials)
        chosen = copy.ask(distributions_of(search))
        study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=chosen.params,
                distributions=chosen.distributions,
                user_attrs=dict(attributes),
            )
        )


def trials_of(search: Search) -> int:
    """How many trials there will be: a grid has no more than its points."""
    return min(search.trials, grid_size(search)) if search.sampler == "grid" else search.trials


def _sampler(search: Search, number: int, present: Mapping[str, Any]) -> Any:
    from optuna.samplers import PartialFixedSampler, RandomSampler, TPESampler

    seed = int(digest([search.seed, number])[:8], 16)
    if search.sampler == "grid":
        return PartialFixedSampler(grid_point(search, number % grid_size(search)), RandomSampler(seed=seed))
    several = len(search.objectives) > 1
    sampler = (
        RandomSampler(seed=seed)
        if search.sampler == "random"
        else TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=not several, constant_liar=True)
    )
    start = point_of(search, present) if number == 0 else None
    return PartialFixedSampler(start, sampler) if start else sampler
