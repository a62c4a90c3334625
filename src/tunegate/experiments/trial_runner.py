"""One trial: a clean checkout of the commit with the trial's params.yaml, the pipeline in it, and its results.

Works below the search's folder: `checkouts/` while a trial runs, `logs/<number>.log` with the output of its stages.
Reads the files that the stages write, and the training's checkpoint while it runs. Writes the run into the outbox, as
the stage `score` does.
"""

import contextlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tunegate.errors import InputError, TunegateError
from tunegate.evaluation.trajectory import read_trajectory
from tunegate.experiments.declaration import Objective, Search
from tunegate.experiments.sampling import Pruner
from tunegate.experiments.space import PARAMS, current_values, diff_of, with_params
from tunegate.experiments.trials import State, Trial
from tunegate.files import STATE, files_below, number_at, read_json, write_text
from tunegate.params import Params, load_params
from tunegate.repository.background import Background
from tunegate.repository.revisions import Repository
from tunegate.repository.scratch import scratch
from tunegate.repository.working_copy import Checkout, checkout
from tunegate.tracking.describe import describe
from tunegate.tracking.outbox import ADAPTER, RUNS, read_records, write_record
from tunegate.tracking.runs import TRAJECTORY, deliver

SEARCH_TAG, TRIAL_TAG = "tunegate.search", "tunegate.trial"
_ADAPTER, _PACKAGE, _TRAJECTORY = Path("models/adapter"), Path("models/package"), Path("models/trajectory.csv")
_METRICS, _TIMINGS = Path("reports/metrics.json"), Path("reports/timings.json")
_REPORTS = (_METRICS, _TIMINGS, Path("reports/data.json"), Path("reports/confusion.csv"), Path("reports/report.html"))
_CHECKPOINTS = STATE / "checkpoint"
_ALIASES = {"latency": "timings.tuned.p95_seconds", "minutes": "timings.train.seconds"}


class SearchContext(NamedTuple):
    """What all trials of a search have in common."""

    repository: Repository
    search: Search
    name: str
    commit: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a trial's processes: the run is recorded here, not by them; they do not get the storage's password."""
        threads = str(self.search.threads) if self.search.threads else ""
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads) if threads else {}
        return {"TUNEGATE_UPLOAD": "0", "PGPASSWORD": "", **limits}


class RunningTrial:
    """A trial from its start to its end; `close` it whatever happens."""

    def __init__(self, context: SearchContext, number: int, params: dict[str, Any], finished: Sequence[Trial]) -> None:
        self.number = number
        self._context, self._params = context, params
        self._pruner = Pruner(context.search.pruner, finished)
        self._started = 0.0
        self._open = contextlib.ExitStack()
        self._project = Path()
        self._stages: Background | None = None
        self._refused: TunegateError | None = None

    def start(self) -> None:
        """Check the parameters, and run the pipeline with them in the background."""
        context, self._started = self._context, time.monotonic()
        text = context.repository.read(context.commit, PARAMS) or ""
        try:
            text = with_params(text, self._params)
        except InputError as error:
            self._refused = error
            return
        within = context.folder / "checkouts"
        within.mkdir(parents=True, exist_ok=True)
        self._project = self._open.enter_context(scratch(context.repository, context.commit, within))
        write_text(self._project / PARAMS, text)
        log = context.folder / "logs" / f"{self.number}.log"
        targets = stages_for(context.search.objectives)
        self._stages = Background(self._project, targets, log, context.environment)
        self._open.callback(self._stages.stop)

    def poll(self) -> Trial | None:
        """Its record when it has ended, or None while it runs."""
        if self._stages is None:
            return self._trial("failed", _message_of(self._refused))
        if self._stages.code is None:
            return self._pruned() if self._pruner.stops(losses_so_far(self._project)) else None
        if self._stages.code:
            failure = self._stages.failure()
            return self._trial("failed", failure.problem)
        # Losses that nobody looked at while it ran count as well: how often anybody looks must not matter.
        if self._pruner.stops(losses_of(self._project)):
            return self._pruned()
        return self._complete()

    def close(self) -> None:
        """End what still runs, and drop the checkout."""
        self._open.close()

    def _pruned(self) -> Trial:
        point = len(self._pruner.course)
        reason = f"stopped at measurement {point}: validation loss {self._pruner.course[-1]:.4f}"
        return self._trial("pruned", reason)

    def _complete(self) -> Trial:
        params = load_params(self._project / PARAMS)
        try:
            objectives = self._context.search.objectives
            values = {o.metric: measure(self._project, o, params) for o in objectives}
        except InputError as error:
            return self._trial("failed", _message_of(error))
        metrics, timings = (read_json(self._project / path) for path in (_METRICS, _TIMINGS))
        run = describe(params, self._checkout(), metrics, timings)
        tags = {SEARCH_TAG: self._context.name, TRIAL_TAG: str(self.number)}
        run = run.model_copy(update={"tags": run.tags | tags})
        files = {path.name: self._project / path for path in _REPORTS if (self._project / path).is_file()}
        files |= {ADAPTER: self._project / _ADAPTER, TRAJECTORY: self._project / _TRAJECTORY}
        record = write_record(run, files, self._context.repository.root / RUNS)
        more = {"lineage": run.lineage, "test_set": metrics["test_set"], "metrics": run.metrics, "run": record.id}
        return self._trial("complete", "").model_copy(update={"values": values, **more})

    def _checkout(self) -> Checkout:
        branch = checkout(self._context.repository.root).branch
        return Checkout(self._context.commit, branch, dirty=bool(self._diff()))

    def _diff(self) -> dict[str, Any]:
        before = self._context.repository.read(self._context.commit, PARAMS) or ""
        return diff_of(current_values(before, self._context.search), self._params)

    def _trial(self, state: State, reason: str) -> Trial:
        return Trial(
            number=self.number,
            params=self._params,
            diff=self._diff(),
            state=state,
            reason=reason,
            course=self._pruner.course,
            seconds=round(time.monotonic() - self._started, 2),
        )


def _message_of(error: TunegateError | None) -> str:
    return f"{error.place}: {error.problem}" if error else ""


def upload(name: str, root: Path) -> str:
    """Try to upload the search's runs to MLflow, as the stage `score` does; return in one line what happened."""
    count = 0
    for record in read_records(root / RUNS):
        if record.receipt is not None or record.tags.get(SEARCH_TAG) != name:
            continue
        outcome = deliver(record, root / RUNS)
        if not (root / RUNS / record.id / "receipt.json").exists():
            return outcome
        count += 1
    return f"MLflow: {count} runs uploaded" if count else "MLflow has these runs already"


def losses_so_far(project: Path) -> list[float]:
    """The losses on the validation rows in the newest checkpoint of a training that runs; empty without one."""
    best: list[dict[str, Any]] = []
    for path in (project / _CHECKPOINTS).rglob("run.json"):
        try:
            records = json.loads(path.read_text(encoding="utf-8"))["records"]
        except (OSError, ValueError, KeyError):  # replaced at this very moment
            continue
        best = records if len(records) > len(best) else best
    return [record["valid_loss"] for record in best if record.get("valid_loss") is not None]


def losses_of(project: Path) -> list[float]:
    """The losses on the validation rows of a finished training."""
    return [point["valid_loss"] for point in read_trajectory(project / _TRAJECTORY) if "valid_loss" in point]


def stages_for(objectives: tuple[Objective, ...]) -> list[str]:
    """The stages of dvc.yaml that must have run before the objectives can be measured."""
    return ["score", *(["package"] if any(o.metric == "package_bytes" for o in objectives) else [])]


def measure(project: Path, objective: Objective, params: Params) -> float:
    """The objective's value. Raises InputError where there is no such number."""
    metric = objective.metric
    if metric == "valid_loss":
        return _valid_loss(project, params)
    if metric == "trainable_parameters":
        return float(
            sum(_parameters(path) for path in files_below(project / _ADAPTER) if path.suffix == ".safetensors")
        )
    if metric == "package_bytes":
        return float(sum(path.stat().st_size for path in files_below(project / _PACKAGE)))
    value = _number(project, _ALIASES.get(metric, metric), metric)
    return round(value / 60, 4) if metric == "minutes" else value


def _valid_loss(project: Path, params: Params) -> float:
    course = losses_of(project)
    if not course:
        remedy = "name another metric: this training measures nothing on the validation rows"
        raise InputError("no loss on the validation rows", place=f"objectives: {_TRAJECTORY}", remedy=remedy)
    return min(course) if params.train.select == "best" else course[-1]


def _number(project: Path, path: str, metric: str) -> float:
    file, keys = (_TIMINGS, path.removeprefix("timings.")) if path.startswith("timings.") else (_METRICS, path)
    remedy = f"name a number in {file}, such as tuned.accuracy; docs/search.md lists the others"
    return number_at(read_json(project / file), f"objectives: {metric}", *keys.split("."), remedy=remedy)


def _parameters(path: Path) -> int:
    """The numbers in a safetensors file, by the shapes in its head."""
    with path.open("rb") as stream:
        head = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in head.items() if name != "__metadata__")
