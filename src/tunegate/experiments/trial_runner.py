"""One trial: a clean checkout of the commit with the trial's params.yaml, the pipeline in it, and what came out.

Works below the search's folder: `checkouts/` while a trial runs, `logs/<number>.log` with what its stages said. Writes
the run into the outbox, as the stage `score` does. Does not know why these parameters are tried.
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tunegate.errors import InputError, TunegateError
from tunegate.experiments import trial_results
from tunegate.experiments.declaration import Search
from tunegate.experiments.pruner import Judge
from tunegate.experiments.space import PARAMS, changed, diff_of, present
from tunegate.experiments.trials import State, Trial
from tunegate.files import read_json, write_text
from tunegate.params import load_params
from tunegate.repository.background import Background
from tunegate.repository.revisions import Repository
from tunegate.repository.scratch import scratch
from tunegate.repository.working_copy import Checkout, checkout
from tunegate.tracking.describe import describe
from tunegate.tracking.outbox import ADAPTER, RUNS, read_records, write_record
from tunegate.tracking.runs import TRAJECTORY, deliver

SEARCH_TAG, TRIAL_TAG = "tunegate.search", "tunegate.trial"


class Setting(NamedTuple):
    """What all trials of a search have in common."""

    repository: Repository
    search: Search
    name: str
    commit: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a trial's processes: the run is recorded here, not there; a password of the storage is not theirs."""
        threads = str(self.search.threads) if self.search.threads else ""
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads) if threads else {}
        return {"TUNEGATE_UPLOAD": "0", "PGPASSWORD": "", **limits}


class RunningTrial:
    """A trial from its start to its end; `close` it whatever happens."""

    def __init__(self, setting: Setting, number: int, params: dict[str, Any], finished: Sequence[Trial]) -> None:
        self.number = number
        self._setting, self._params = setting, params
        self._judge = Judge(setting.search.pruner, finished)
        self._started = 0.0
        self._open = contextlib.ExitStack()
        self._project = Path()
        self._stages: Background | None = None
        self._refused: TunegateError | None = None

    def start(self) -> None:
        """Check the parameters, and run the pipeline with them in the background."""
        setting, self._started = self._setting, time.monotonic()
        text = setting.repository.read(setting.commit, PARAMS) or ""
        try:
            text = changed(text, self._params)
        except InputError as error:
            self._refused = error
            return
        within = setting.folder / "checkouts"
        within.mkdir(parents=True, exist_ok=True)
        self._project = self._open.enter_context(scratch(setting.repository, setting.commit, within))
        write_text(self._project / PARAMS, text)
        log = setting.folder / "logs" / f"{self.number}.log"
        targets = trial_results.targets_of(setting.search.objectives)
        self._stages = Background(self._project, targets, log, setting.environment)
        self._open.callback(self._stages.stop)

    def ended(self) -> Trial | None:
        """What became of it, or None while it runs. To be asked until it has ended."""
        if self._stages is None:
            return self._trial("failed", _told(self._refused))
        if self._stages.code is None:
            return self._pruned() if self._judge.stops(trial_results.course_so_far(self._project)) else None
        if self._stages.code:
            failure = self._stages.failure()
            return self._trial("failed", failure.problem)
        # What was not looked at while it ran decides as well: it must not matter how often anybody looked.
        if self._judge.stops(trial_results.course_of(self._project)):
            return self._pruned()
        return self._complete()

    def close(self) -> None:
        """End what still runs, and drop the checkout."""
        self._open.close()

    def _pruned(self) -> Trial:
        point = len(self._judge.course)
        reason = f"stopped at measurement {point}: validation loss {self._judge.course[-1]:.4f}"
        return self._trial("pruned", reason)

    def _complete(self) -> Trial:
        params = load_params(self._project / PARAMS)
        try:
            sought = self._setting.search.objectives
            values = {o.metric: trial_results.measure(self._project, o, params) for o in sought}
        except InputError as error:
            return self._trial("failed", _told(error))
        found, timings = (read_json(self._project / path) for path in (trial_results.METRICS, trial_results.TIMINGS))
        run = describe(params, self._checkout(), found, timings)
        tags = {SEARCH_TAG: self._setting.name, TRIAL_TAG: str(self.number)}
        run = run.model_copy(update={"tags": run.tags | tags})
        files = {path.name: self._project / path for path in trial_results.REPORTS if (self._project / path).is_file()}
        files |= {ADAPTER: self._project / trial_results.ADAPTER, TRAJECTORY: self._project / trial_results.TRAJECTORY}
        record = write_record(run, files, self._setting.repository.root / RUNS)
        more = {"lineage": run.lineage, "test_set": found["test_set"], "metrics": run.metrics, "run": record.id}
        return self._trial("complete", "").model_copy(update={"values": values, **more})

    def _checkout(self) -> Checkout:
        branch = checkout(self._setting.repository.root).branch
        return Checkout(self._setting.commit, branch, dirty=bool(self._diff()))

    def _diff(self) -> dict[str, Any]:
        before = self._setting.repository.read(self._setting.commit, PARAMS) or ""
        return diff_of(present(before, self._setting.search), self._params)

    def _trial(self, state: State, reason: str) -> Trial:
        return Trial(
            number=self.number,
            params=self._params,
            diff=self._diff(),
            state=state,
            reason=reason,
            course=self._judge.course,
            seconds=round(time.monotonic() - self._started, 2),
        )


def _told(error: TunegateError | None) -> str:
    return f"{error.place}: {error.problem}" if error else ""


def upload(name: str, root: Path) -> str:
    """Try to bring the search's runs to MLflow, as the stage `score` does with one; say in one line what happened."""
    count = 0
    for record in read_records(root / RUNS):
        if record.receipt is not None or record.tags.get(SEARCH_TAG) != name:
            continue
        said = deliver(record, root / RUNS)
        if not (root / RUNS / record.id / "receipt.json").exists():
            return said
        count += 1
    return f"MLflow: {count} runs uploaded" if count else "MLflow has these runs already"
