"""The results of a search: the best trials, what moved the objective, and the proposal to change params.yaml.

Reads the study; the proposal is a commit on a branch of its own. Does not run anything.
"""

import dataclasses
import difflib
import functools
from collections.abc import Sequence
from typing import Any

from tunegate.errors import RefusedError
from tunegate.experiments.declaration import Objective, Search
from tunegate.experiments.space import PARAMS, with_params
from tunegate.experiments.trial_runner import SearchContext
from tunegate.experiments.trials import Trial, sha256_of_table
from tunegate.repository.branches import propose

TRIALS_FOR_IMPORTANCE = 6
"""Completed trials from which importances are computed."""


@dataclasses.dataclass(frozen=True)
class Findings:
    """A search that has ended, or as far as it is."""

    name: str
    commit: str
    search: Search
    trials: list[Trial]
    best: list[int]
    """Numbers of the best trial, or of the trials that no other beats in all objectives; by the first objective."""
    importance: dict[str, dict[str, float]]
    """Objective to parameter to its share of the objective's variance; empty with too few trials."""
    elsewhere: list[int]
    """Numbers of trials that other machines have not finished yet."""
    table: str
    """sha256 of what was chosen, stopped and measured."""

    def trial(self, number: int) -> Trial:
        """The trial of that number."""
        return next(trial for trial in self.trials if trial.number == number)

    @property
    def start(self) -> Trial | None:
        """The completed trial of the commit's own parameters, if there is one."""
        return next((trial for trial in self.trials if trial.state == "complete" and not trial.diff), None)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        values = dataclasses.asdict(self) | {"search": self.search.model_dump(mode="json")}
        return values | {"trials": [trial.model_dump(mode="json") for trial in self.trials]}


def findings_of(study: Any, context: SearchContext, trials: list[Trial], elsewhere: list[int]) -> Findings:
    """The findings from the trials that have ended."""
    best = [trial.number for trial in best_of(context.search.objectives, trials)]
    shares = _importance(study, context.search, trials)
    return Findings(
        context.name, context.commit, context.search, trials, best, shares, elsewhere, sha256_of_table(trials)
    )


def best_of(objectives: Sequence[Objective], trials: Sequence[Trial]) -> list[Trial]:
    """The trials that no other beats in all objectives, by the first one; of equals the one with the lowest number."""
    by_costs: dict[tuple[float, ...], Trial] = {}
    for trial in trials:
        if trial.state == "complete":
            by_costs.setdefault(_costs(objectives, trial), trial)
    front = {
        costs: trial
        for costs, trial in by_costs.items()
        if not any(other != costs and all(a <= b for a, b in zip(other, costs, strict=True)) for other in by_costs)
    }
    return [front[costs] for costs in sorted(front)]


def proposal_of(context: SearchContext, trial: Trial, branch: str = "") -> tuple[str, str]:
    """Begin `branch` with the trial's parameters; return its name and the diff of params.yaml as text.

    Without a name it is search/<name>, or search/<name>-<trial> where that one holds an earlier proposal.
    """
    before = context.repository.read(context.commit, PARAMS) or ""
    after = with_params(before, {key: change.after for key, change in trial.diff.items()})
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{PARAMS}", f"b/{PARAMS}", n=1
    )
    values = "\n".join(f"  {o.metric}: {trial.values[o.metric]:.6g}" for o in context.search.objectives)
    message = f"Parameters of trial {trial.number} of the search {context.name}\n\n{values}\n"
    begin_branch = functools.partial(
        propose, context.repository, commit=context.commit, path=PARAMS, text=after, message=message
    )
    name = branch or f"search/{context.name}"
    try:
        begin_branch(name)
    except RefusedError:
        if branch:
            raise
        name = f"{name}-{trial.number}"
        begin_branch(name)
    return name, "".join(lines)


def _costs(objectives: Sequence[Objective], trial: Trial) -> tuple[float, ...]:
    return tuple(trial.values[o.metric] * (-1 if o.direction == "maximize" else 1) for o in objectives)


def _importance(study: Any, search: Search, trials: Sequence[Trial]) -> dict[str, dict[str, float]]:
    """Shares of variance by fANOVA (Hutter et al., ICML 2014), for every objective that differs between trials."""
    complete = [trial for trial in trials if trial.state == "complete"]
    if len(complete) < TRIALS_FOR_IMPORTANCE:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    importance = {}
    for index, objective in enumerate(search.objectives):
        if len({trial.values[objective.metric] for trial in complete}) > 1:
            shares = get_param_importances(
                study,
                evaluator=FanovaImportanceEvaluator(seed=search.seed),
                target=lambda trial, index=index: trial.values[index],
            )
            importance[objective.metric] = {key: round(float(share), 4) for key, share in shares.items()}
    return importance
