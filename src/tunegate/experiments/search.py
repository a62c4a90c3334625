"""The search: choose a batch of trials, run them, tell what came of them in the order of their numbers, and again.

What is chosen and what is stopped depends on earlier batches only, so the table does not depend on how many trials run
at once, nor on who is faster. A trial's record is written before it is told: whatever kills the search, a trial that
has ended is not run again, and one that was running is run again with the same parameters under the same number.
"""

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.experiments.sampler import choose, trials_of
from tunegate.experiments.space import PARAMS, present, values_of
from tunegate.experiments.trial_runner import RunningTrial, Setting
from tunegate.experiments.trials import Trial, read_trial, write_trial
from tunegate.files import read_text, write_text
from tunegate.params import parse
from tunegate.repository.background import Background, end_leftovers
from tunegate.repository.scratch import scratch

RECORD = "tunegate.trial"
_MACHINE, _BATCH = "tunegate.machine", "tunegate.batch"
_LOOK_SECONDS = 0.2


class Searcher:
    """A search on this machine; the caller holds its folder and its study."""

    def __init__(self, study: Any, setting: Setting, *, workers: int, adopt: bool = False) -> None:
        """`adopt` runs the unfinished trials of other machines too: of such that will not come back."""
        self._study, self._setting, self._workers, self._adopt = study, setting, workers, adopt
        self._present = present(setting.repository.read(setting.commit, PARAMS) or "", setting.search)
        self._machine = _machine(setting.folder)
        end_leftovers(setting.folder / "checkouts")
        shutil.rmtree(setting.folder / "checkouts", ignore_errors=True)

    def prepare(self) -> None:
        """Bring what comes before the training into DVC's cache: trials that start together would all make it."""
        setting = self._setting
        within = setting.folder / "checkouts"
        within.mkdir(parents=True, exist_ok=True)
        with scratch(setting.repository, setting.commit, within) as project:
            stages = Background(project, ["tokenize"], setting.folder / "logs/prepare.log", setting.environment)
            try:
                while stages.code is None:
                    time.sleep(_LOOK_SECONDS)
                if stages.code:
                    raise stages.failure()
            finally:
                stages.stop()

    def run(self) -> Iterator[Trial]:
        """Run what is left of the search; yield every trial of this machine when it has ended.

        Raises InputError where a whole batch failed and nothing has succeeded so far.
        """
        while batch := self._batch():
            together = {trial.number for trial in self._of_batch(batch[0].user_attrs[_BATCH])}
            finished = [trial for trial in self.told() if trial.number not in together]
            ended = []
            for trial in self._run(batch, finished):
                ended.append(trial)
                yield trial
            self._tell(sorted(ended, key=lambda trial: trial.number))
            _require_one(self.told(), ended)

    def told(self) -> list[Trial]:
        """The trials that have ended, on all machines, by number."""
        return told(self._study, trials_of(self._setting.search))

    def elsewhere(self) -> list[int]:
        """The numbers of the trials that other machines have not told of yet."""
        return [trial.number for trial in self._waiting() if not self._mine(trial)]

    def _batch(self) -> list[Any]:
        """One batch to run now: what was left of it, filled up where a kill came while it was chosen."""
        mine = [trial for trial in self._waiting() if self._mine(trial)]
        batch = mine[0].user_attrs[_BATCH] if mine else secrets.token_hex(4)
        same = self._of_batch(batch)
        if not any(trial.state.is_finished() for trial in same):
            for _ in range(self._setting.search.batch - len(same)):
                if len(self._study.get_trials(deepcopy=False)) < trials_of(self._setting.search):
                    attributes = {_BATCH: batch, _MACHINE: self._machine}
                    choose(self._study, self._setting.search, self._present, attributes)
        return [trial for trial in self._waiting() if trial.user_attrs[_BATCH] == batch]

    def _of_batch(self, batch: str) -> list[Any]:
        return [trial for trial in self._study.get_trials(deepcopy=False) if trial.user_attrs.get(_BATCH) == batch]

    def _waiting(self) -> list[Any]:
        most = trials_of(self._setting.search)
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if not trial.state.is_finished() and trial.number < most]

    def _mine(self, trial: Any) -> bool:
        return self._adopt or trial.user_attrs[_MACHINE] == self._machine

    def _run(self, batch: list[Any], finished: list[Trial]) -> Iterator[Trial]:
        waiting: list[RunningTrial] = []
        for trial in batch:
            if known := read_trial(self._path(trial.number)):
                yield known
                continue
            params = values_of(self._setting.search, trial.params)
            waiting.append(RunningTrial(self._setting, trial.number, params, finished))
        running: list[RunningTrial] = []
        try:
            while waiting or running:
                while waiting and len(running) < self._workers:
                    running.append(waiting.pop(0))
                    running[-1].start()
                for one in list(running):
                    if ended := one.ended():
                        running.remove(one)
                        one.close()
                        write_trial(self._path(one.number), ended)
                        yield ended
                time.sleep(_LOOK_SECONDS if running else 0)
        finally:
            for one in running:
                one.close()

    def _tell(self, ended: list[Trial]) -> None:
        from optuna.trial import Trial as Handle
        from optuna.trial import TrialState

        objectives = self._setting.search.objectives
        sign = -1 if objectives[0].direction == "maximize" else 1
        ids = {trial.number: trial._trial_id for trial in self._waiting()}
        reference = next((trial.test_set for trial in self.told() if trial.state == "complete"), "")
        for measured in ended:
            reference = reference or measured.test_set
            trial = _comparable(measured, reference)
            handle = Handle(self._study, ids[trial.number])
            handle.set_user_attr(RECORD, trial.model_dump(mode="json"))
            if len(objectives) == 1:
                for step, loss in enumerate(trial.course, 1):
                    handle.report(sign * loss, step)
            values = [trial.values[o.metric] for o in objectives] if trial.state == "complete" else None
            states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
            self._study.tell(handle, values, states[trial.state])

    def _path(self, number: int) -> Path:
        return self._setting.folder / "trials" / f"{number}.json"


def told(study: Any, most: int) -> list[Trial]:
    """The trials that a study knows the end of, by number."""
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    found = [trial.user_attrs[RECORD] for trial in ended]
    trials = [parse(Trial, record, place="the search's storage", remedy="take another --name") for record in found]
    return sorted((trial for trial in trials if trial.number < most), key=lambda trial: trial.number)


def _comparable(trial: Trial, reference: str) -> Trial:
    """The trial, failed where it was measured on other test rows than the first one."""
    if trial.state != "complete" or trial.test_set == reference:
        return trial
    reason = "it has other test rows than the first trial, so its score compares with none: `tunegate data freeze`"
    return trial.model_copy(update={"state": "failed", "reason": reason, "values": {}})


def _require_one(finished: list[Trial], ended: list[Trial]) -> None:
    if ended and all(trial.state == "failed" for trial in finished):
        first = ended[0]
        remedy = f"mend it and take another --name; logs/{first.number}.log has the stages' own words"
        raise InputError(f"every trial so far failed: {first.reason}", place=f"trial {first.number}", remedy=remedy)


def _machine(folder: Path) -> str:
    """What this working copy is called in a storage that several share. Says nothing about the machine."""
    path = folder / "machine"
    if not path.exists():
        write_text(path, secrets.token_hex(8) + "\n")
    return read_text(path).strip()
