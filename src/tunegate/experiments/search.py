"""The search: choose a batch of trials, run them, tell Optuna their results by the number of the trial, and repeat.

What is chosen and what is stopped depends on earlier batches only, so the table does not depend on how many trials run
at once, nor on which is faster. A trial's record is written before Optuna is told: whatever kills the search, a trial
that has ended is not run again, and one that was running is run again with the same parameters under the same number.
Everything is written below .tunegate/search/<name>/ and .tunegate/runs/; trials are of a commit, not the working tree.
"""

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tunegate.errors import InputError
from tunegate.experiments.declaration import FILE, REMEDY, Search
from tunegate.experiments.sampling import add_trial, trial_count
from tunegate.experiments.search_results import Findings, findings_of
from tunegate.experiments.space import PARAMS, current_values, require_known_keys, values_of, with_params
from tunegate.experiments.storage import FOLDER, open_study, search_lock
from tunegate.experiments.trial_runner import RunningTrial, SearchContext
from tunegate.experiments.trials import Trial, read_trial, write_trial
from tunegate.files import read_text, write_text
from tunegate.params import parse
from tunegate.repository.background import Background, end_leftovers
from tunegate.repository.revisions import Repository
from tunegate.repository.scratch import scratch

_RECORD = "tunegate.trial"
_MACHINE, _BATCH = "tunegate.machine", "tunegate.batch"
_POLL_SECONDS = 0.2


class Workers(NamedTuple):
    """How many trials run at once here, and which other machines share the search."""

    processes: int = 1
    storage: str = ""
    """URL of a PostgreSQL database that machines share; empty for a journal here."""
    adopt: bool = False
    """Whether to run what other machines have left unfinished."""


def search_context(repository: Repository, declared: dict[str, Any]) -> SearchContext:
    """The search at HEAD. Raises InputError for a fault of the declaration, or a key that params.yaml cannot have."""
    search = parse(Search, declared, place=str(FILE), remedy=REMEDY)
    commit = repository.resolve("HEAD")
    text = repository.read(commit, PARAMS)
    if text is None:
        raise InputError("not in the commit", place=PARAMS, remedy=f"git add {PARAMS}, and commit it")
    require_known_keys(text, search)
    name = search.title(commit)
    return SearchContext(repository, search, name, commit, repository.root / FOLDER / name)


def preview(context: SearchContext) -> Iterator[tuple[dict[str, Any], str]]:
    """The parameters of the first batch, and why params.yaml's schema refuses them, if so. Runs nothing."""
    import optuna

    search, text = context.search, context.repository.read(context.commit, PARAMS) or ""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=[objective.direction for objective in search.objectives])
    for _ in range(min(search.batch, trial_count(search))):
        add_trial(study, search, current_values(text, search), {})
    for trial in study.get_trials(deepcopy=False):
        values = values_of(search, trial.params)
        try:
            with_params(text, values)
        except InputError as error:
            yield values, f"{error.place}: {error.problem}"
        else:
            yield values, ""


def run_search(context: SearchContext, workers: Workers, on_trial: Callable[[Trial], object]) -> Findings:
    """Run what is left of the search, calling `on_trial` with every trial that has ended; return the findings."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(search_lock(context.folder))
        study = stack.enter_context(
            open_study(context.search, context.name, context.commit, context.folder, workers.storage)
        )
        searcher = Searcher(study, context, workers=workers.processes, adopt=workers.adopt)
        if workers.processes > 1 and len(searcher.ended()) < trial_count(context.search):
            searcher.prepare()
        for trial in searcher.run():
            on_trial(trial)
        return findings_of(study, context, searcher.ended(), searcher.elsewhere())


class Searcher:
    """A search on this machine; the caller holds its folder and its study."""

    def __init__(self, study: Any, context: SearchContext, *, workers: int, adopt: bool = False) -> None:
        """`adopt` runs the unfinished trials of other machines too, which will not come back."""
        self._study, self._context, self._workers, self._adopt = study, context, workers, adopt
        self._current = current_values(context.repository.read(context.commit, PARAMS) or "", context.search)
        self._machine = _machine(context.folder)
        end_leftovers(context.folder / "checkouts")
        shutil.rmtree(context.folder / "checkouts", ignore_errors=True)

    def prepare(self) -> None:
        """Run the stages before the training, so that trials which start together do not all run them."""
        context = self._context
        within = context.folder / "checkouts"
        within.mkdir(parents=True, exist_ok=True)
        with scratch(context.repository, context.commit, within) as project:
            stages = Background(project, ["tokenize"], context.folder / "logs/prepare.log", context.environment)
            try:
                while stages.code is None:
                    time.sleep(_POLL_SECONDS)
                if stages.code:
                    raise stages.failure()
            finally:
                stages.stop()

    def run(self) -> Iterator[Trial]:
        """Run what is left of the search; yield every trial of this machine when it has ended.

        Raises InputError where a whole batch failed and nothing has succeeded so far.
        """
        while batch := self._batch():
            numbers = {trial.number for trial in self._of_batch(batch[0].user_attrs[_BATCH])}
            finished = [trial for trial in self.ended() if trial.number not in numbers]
            ended = []
            for trial in self._run(batch, finished):
                ended.append(trial)
                yield trial
            self._tell(sorted(ended, key=lambda trial: trial.number))
            _require_one(self.ended(), ended)

    def ended(self) -> list[Trial]:
        """The trials that have ended, on all machines, by number."""
        return ended_trials(self._study, trial_count(self._context.search))

    def elsewhere(self) -> list[int]:
        """The numbers of the trials that other machines have not finished yet."""
        return [trial.number for trial in self._waiting() if not self._is_mine(trial)]

    def _batch(self) -> list[Any]:
        """The batch to run now: the rest of the last one, completed where a kill interrupted it, or a new one."""
        mine = [trial for trial in self._waiting() if self._is_mine(trial)]
        batch = mine[0].user_attrs[_BATCH] if mine else secrets.token_hex(4)
        same = self._of_batch(batch)
        if not any(trial.state.is_finished() for trial in same):
            for _ in range(self._context.search.batch - len(same)):
                if len(self._study.get_trials(deepcopy=False)) < trial_count(self._context.search):
                    attributes = {_BATCH: batch, _MACHINE: self._machine}
                    add_trial(self._study, self._context.search, self._current, attributes)
        return [trial for trial in self._waiting() if trial.user_attrs[_BATCH] == batch]

    def _of_batch(self, batch: str) -> list[Any]:
        return [trial for trial in self._study.get_trials(deepcopy=False) if trial.user_attrs.get(_BATCH) == batch]

    def _waiting(self) -> list[Any]:
        limit = trial_count(self._context.search)
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if not trial.state.is_finished() and trial.number < limit]

    def _is_mine(self, trial: Any) -> bool:
        return self._adopt or trial.user_attrs[_MACHINE] == self._machine

    def _run(self, batch: list[Any], finished: list[Trial]) -> Iterator[Trial]:
        waiting: list[RunningTrial] = []
        for chosen in batch:
            if record := read_trial(self._path(chosen.number)):
                yield record
                continue
            params = values_of(self._context.search, chosen.params)
            waiting.append(RunningTrial(self._context, chosen.number, params, finished))
        running: list[RunningTrial] = []
        try:
            while waiting or running:
                while waiting and len(running) < self._workers:
                    running.append(waiting.pop(0))
                    running[-1].start()
                for trial in list(running):
                    if record := trial.poll():
                        running.remove(trial)
                        trial.close()
                        write_trial(self._path(trial.number), record)
                        yield record
                time.sleep(_POLL_SECONDS if running else 0)
        finally:
            for trial in running:
                trial.close()

    def _tell(self, ended: list[Trial]) -> None:
        from optuna.trial import Trial as Handle
        from optuna.trial import TrialState

        objectives = self._context.search.objectives
        sign = -1 if objectives[0].direction == "maximize" else 1
        ids = {trial.number: trial._trial_id for trial in self._waiting()}
        reference = next((trial.test_set for trial in self.ended() if trial.state == "complete"), "")
        for measured in ended:
            reference = reference or measured.test_set
            trial = _comparable(measured, reference)
            handle = Handle(self._study, ids[trial.number])
            handle.set_user_attr(_RECORD, trial.model_dump(mode="json"))
            if len(objectives) == 1:
                for step, loss in enumerate(trial.course, 1):
                    handle.report(sign * loss, step)
            values = [trial.values[o.metric] for o in objectives] if trial.state == "complete" else None
            states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
            self._study.tell(handle, values, states[trial.state])

    def _path(self, number: int) -> Path:
        return self._context.folder / "trials" / f"{number}.json"


def ended_trials(study: Any, limit: int) -> list[Trial]:
    """The first `limit` trials of a study, those that have ended, by number."""
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    records = [trial.user_attrs[_RECORD] for trial in finished]
    trials = [parse(Trial, record, place="the search's storage", remedy="take another --name") for record in records]
    return sorted((trial for trial in trials if trial.number < limit), key=lambda trial: trial.number)


def _comparable(trial: Trial, reference: str) -> Trial:
    """The trial, failed where it was measured on other test rows than the first one."""
    if trial.state != "complete" or trial.test_set == reference:
        return trial
    reason = "it has other test rows than the first trial, so their scores do not compare: `tunegate data freeze`"
    return trial.model_copy(update={"state": "failed", "reason": reason, "values": {}})


def _require_one(finished: list[Trial], ended: list[Trial]) -> None:
    if ended and all(trial.state == "failed" for trial in finished):
        first = ended[0]
        remedy = f"fix it and take another --name; logs/{first.number}.log has the output of the stages"
        raise InputError(f"every trial so far failed: {first.reason}", place=f"trial {first.number}", remedy=remedy)


def _machine(folder: Path) -> str:
    """The name of this working copy in a storage that several share: random, so that it reveals nothing."""
    path = folder / "machine"
    if not path.exists():
        write_text(path, secrets.token_hex(8) + "\n")
    return read_text(path).strip()
