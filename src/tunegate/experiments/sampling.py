"""Which parameters a trial gets, by Optuna's samplers, and when it is stopped, by Optuna's pruners.

A sampler is made anew for every trial and seeded by its number alone, so that a search that was killed chooses as one
that was not. The first trial has the commit's own parameters where the space holds them, so that the best trial can be
compared with them. A pruner sees the trial's own losses and those of the trials that ended before its batch began: what
it decides does not depend on what runs at the same time, how fast, or how often anybody looks.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.experiments.declaration import Search
from tunegate.experiments.space import distributions_of, grid_point, grid_size, point_of
from tunegate.experiments.storage import sampling_lock
from tunegate.experiments.trials import Trial
from tunegate.repository.lineage import digest

RANDOM_TRIALS = 5
"""Trials that are chosen at random before TPE learns from them."""
COMPLETE_TRIALS = 4
"""Completed trials from which on their median counts."""
FIRST_POINT = 2
"""The first measurement at which a trial can be stopped: one alone says little."""


def add_trial(study: Any, search: Search, current: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
    """Add the next trial to the study, to be run, with `attributes`.

    It is chosen in a copy of the study and added in one piece: a kill leaves all of it, or nothing. `current` are the
    commit's values of the searched parameters.
    """
    import optuna

    with sampling_lock(study), warnings.catch_warnings():
        trials = study.get_trials(deepcopy=False)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        copy = optuna.create_study(directions=study.directions, sampler=_sampler(search, len(trials), current))
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


def trial_count(search: Search) -> int:
    """How many trials the search has: a grid has at most one for each of its points."""
    return min(search.trials, grid_size(search)) if search.sampler == "grid" else search.trials


def _sampler(search: Search, number: int, current: Mapping[str, Any]) -> Any:
    from optuna.samplers import PartialFixedSampler, RandomSampler, TPESampler

    seed = int(digest([search.seed, number])[:8], 16)
    if search.sampler == "grid":
        return PartialFixedSampler(grid_point(search, number % grid_size(search)), RandomSampler(seed=seed))
    sampler = (
        RandomSampler(seed=seed)
        if search.sampler == "random"
        else TPESampler(
            seed=seed, n_startup_trials=RANDOM_TRIALS, multivariate=len(search.objectives) == 1, constant_liar=True
        )
    )
    start = point_of(search, current) if number == 0 else None
    return PartialFixedSampler(start, sampler) if start else sampler


def _optuna_pruner(kind: str) -> Any:
    """Optuna's pruner."""
    import optuna

    if kind == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST_POINT, reduction_factor=3)
    return optuna.pruners.MedianPruner(n_startup_trials=COMPLETE_TRIALS, n_warmup_steps=FIRST_POINT)


class Pruner:
    """Follows one trial, and decides when to stop it; `finished` are the trials that it is compared with."""

    def __init__(self, kind: str, finished: Sequence[Trial]) -> None:
        self._course: list[float] = []
        self._trial: Any = None
        if kind == "none":
            return
        import optuna

        study = optuna.create_study(direction="minimize", pruner=_optuna_pruner(kind))
        for trial in sorted(finished, key=lambda trial: trial.number):
            _replay(study, trial)
        self._trial = study.ask()

    @property
    def course(self) -> tuple[float, ...]:
        """The losses seen so far."""
        return tuple(self._course)

    def stops(self, course: Sequence[float]) -> bool:
        """Whether the trial is stopped at one of the losses in `course`; the losses after it are then ignored."""
        for loss in course[len(self._course) :]:
            self._course.append(loss)
            if self._trial is not None:
                self._trial.report(loss, len(self._course))
                if self._trial.should_prune():
                    return True
        return False


def _replay(study: Any, trial: Trial) -> None:
    from optuna.trial import TrialState

    replayed = study.ask()
    for step, loss in enumerate(trial.course, 1):
        replayed.report(loss, step)
        replayed.should_prune()  # successive halving notes here how far a trial came
    if trial.state == "complete" and trial.course:
        study.tell(replayed, trial.course[-1])
    else:
        study.tell(replayed, state=TrialState.PRUNED if trial.state == "pruned" else TrialState.FAIL)
