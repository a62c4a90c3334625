"""When a trial is stopped: by the courses of the trials that ended before its batch began, and by its own.

A pure function of those, so that the decision does not depend on who runs beside it, how fast, or how often anybody
looks. Optuna's pruners decide; they are asked in a study of their own, in memory. Starts and stops nothing.
"""

from collections.abc import Sequence
from typing import Any

from tunegate.experiments.trials import Trial

STARTUP = 4
"""Trials that must be complete before the median of them counts."""
FIRST = 2
"""The first measurement at which a trial can be stopped: one alone says little."""


def pruner_of(kind: str) -> Any:
    """Optuna's pruner."""
    import optuna

    if kind == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST, reduction_factor=3)
    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=FIRST)


class Judge:
    """Follows one trial; `finished` are those that it is compared with."""

    def __init__(self, kind: str, finished: Sequence[Trial]) -> None:
        self._course: list[float] = []
        self._trial: Any = None
        if kind == "none":
            return
        import optuna

        study = optuna.create_study(direction="minimize", pruner=pruner_of(kind))
        for trial in sorted(finished, key=lambda trial: trial.number):
            _replay(study, trial)
        self._trial = study.ask()

    @property
    def course(self) -> tuple[float, ...]:
        """What was looked at so far."""
        return tuple(self._course)

    def stops(self, course: Sequence[float]) -> bool:
        """Whether the trial is stopped at one of the losses in `course`; what follows is not looked at then."""
        for loss in course[len(self._course) :]:
            self._course.append(loss)
            if self._trial is not None:
                self._trial.report(loss, len(self._course))
                if self._trial.should_prune():
                    return True
        return False


def _replay(study: Any, trial: Trial) -> None:
    from optuna.trial import TrialState

    again = study.ask()
    for step, loss in enumerate(trial.course, 1):
        again.report(loss, step)
        again.should_prune()  # successive halving notes here how far a trial came
    if trial.state == "complete" and trial.course:
        study.tell(again, trial.course[-1])
    else:
        study.tell(again, state=TrialState.PRUNED if trial.state == "pruned" else TrialState.FAIL)
