"""The score by amount of data: the commit's recipe, trained on shares of its training rows, on the same test rows.

Works in a scratch checkout. Writes one file per share and seed below .tunegate/curve/<key>/, so that a curve that was
stopped goes on; the key names commit and metric. Nothing else is written, and no run is recorded: shares are no model.
"""

import dataclasses
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tunegate.errors import InputError, MachineError, UsageError
from tunegate.evaluation.rescoring import PREDICTIONS
from tunegate.experiments.space import PARAMS, changed, params_in
from tunegate.experiments.subsets import TOKENS, groups_in, keep_share
from tunegate.files import STATE, read_json, read_text, read_yaml, write_json, write_text
from tunegate.params import Closed, Train, parse
from tunegate.repository.revisions import Repository
from tunegate.repository.scratch import environment_of, run_stages, scratch
from tunegate.statistics.power_law import LEAST_POINTS, Fit, fit
from tunegate.tables import read_parquet

FOLDER = STATE / "curve"
Metric = Literal["accuracy", "nll"]
SHARES = (0.125, 0.25, 0.5, 1.0)


class Point(Closed):
    """The recipe trained on one share with one seed, and what every test row says of it."""

    share: float
    seed: int
    rows: int
    """Training rows."""
    groups: tuple[str, ...]
    """Of the test rows, which are sorted by their ids."""
    errors: tuple[float, ...]
    """Wrong (1) or right (0), or the mean negative log-likelihood in nats, by test row."""


class Asked(NamedTuple):
    """What curve is asked for."""

    shares: tuple[float, ...] = SHARES
    seeds: int = 1
    metric: Metric = "accuracy"


@dataclasses.dataclass(frozen=True)
class Curve:
    """A fitted curve."""

    commit: str
    metric: Metric
    shares: list[float]
    rows: list[int]
    seeds: int
    test_rows: int
    fit: Fit

    @property
    def helps(self) -> bool:
        """Whether twice the rows would help, as far as these test rows can tell."""
        return self.fit.gain_low > 0

    @property
    def sentence(self) -> str:
        """What the curve says, in one line."""
        scale, unit = (100, "points") if self.metric == "accuracy" else (1, "nats less")
        gain, low, high = (scale * value for value in (self.fit.gain, self.fit.gain_low, self.fit.gain_high))
        digits = 1 if self.metric == "accuracy" else 3
        told = f"{gain:+.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f})"
        if self.helps:
            return f"doubling the rows would give about {told}"
        worse = "more rows would rather harm" if self.fit.gain_high < 0 else "no gain to be seen"
        return f"{worse}: doubling the rows would give {told}"


def require_sound(asked: Asked) -> None:
    """Raises UsageError where no curve could be fitted."""
    right = all(0 < share <= 1 for share in asked.shares) and list(asked.shares) == sorted(set(asked.shares))
    if not right or len(asked.shares) < LEAST_POINTS:
        problem = f"at least {LEAST_POINTS} shares in ascending order, up to 100 (got {asked.shares})"
        raise UsageError(problem, place="--shares", remedy="for instance 12.5,25,50,100")


def measure(repository: Repository, asked: Asked) -> Iterator[Point]:
    """Train and answer what is not known yet; yield every point. Raises with the stage's own words when one fails.

    Before anything is trained: UsageError for a metric that the technique does not have, InputError for shares of too
    few different amounts.
    """
    commit = repository.resolve("HEAD")
    if asked.metric == "accuracy" and params_in(repository.read(commit, PARAMS) or "").train.technique == "pretrain":
        problem = "no accuracy: technique pretrain learns raw text, which has no right answer"
        raise UsageError(problem, place="--metric", remedy="--metric nll")
    folder = repository.root / FOLDER / f"{commit[:12]}-{asked.metric}"
    wanted = [(share, number) for number in range(asked.seeds) for share in asked.shares]
    paths = {one: folder / f"{100 * one[0]:g}-{one[1]}.json" for one in wanted}
    with _Shares(repository, commit, asked.shares) as shares:
        for one in wanted:
            if not paths[one].exists():
                write_json(paths[one], shares.point(*one, asked.metric).model_dump(mode="json"))
            yield parse(Point, read_json(paths[one]), place=str(paths[one]), remedy="delete this file")


def curve_of(commit: str, asked: Asked, points: Sequence[Point]) -> Curve:
    """The curve through the points; several seeds of a share are one point, their mean."""
    import numpy as np

    by_share = [[point for point in points if point.share == share] for share in asked.shares]
    columns = [np.mean([point.errors for point in some], axis=0) for some in by_share]
    rows = [round(statistics.mean(point.rows for point in some)) for some in by_share]
    _require_amounts(rows)
    most = 1.0 if asked.metric == "accuracy" else None
    found = fit(rows, np.column_stack(columns), points[0].groups, most=most)
    return Curve(commit, asked.metric, list(asked.shares), rows, asked.seeds, len(points[0].errors), found)


class _Shares:
    """A scratch project with tokens, made when the first point needs it."""

    def __init__(self, repository: Repository, commit: str, shares: Sequence[float]) -> None:
        self._open, self._shares = scratch(repository, commit), shares
        self._project: Path | None = None

    def __enter__(self) -> "_Shares":
        return self

    def __exit__(self, *error: Any) -> None:
        if self._project:
            self._open.__exit__(*error)

    def point(self, share: float, number: int, metric: Metric) -> Point:
        project = self._ready()
        text = read_text(project / "params.commit")
        train = params_in(text).train
        seed = train.seed + number
        write_text(project / PARAMS, changed(text, {"train.seed": seed}))
        rows = _keep(project, share, train)
        for stage in ("train", "evaluate"):
            _run(project, stage)
        answers = sorted(read_parquet(project / PREDICTIONS).to_pylist(), key=lambda row: str(row["id"]))
        found = [float(row["tuned_nll"]) if metric == "nll" else float(not row["tuned_correct"]) for row in answers]
        groups = tuple(str(row["group"]) for row in answers)
        return Point(share=share, seed=seed, rows=rows, groups=groups, errors=tuple(found))

    def _ready(self) -> Path:
        if self._project is None:
            self._project = self._open.__enter__()
            run_stages(self._project, ["tokenize"])
            shutil.copytree(self._project / TOKENS, self._project / "tokens.whole")
            shutil.copyfile(self._project / PARAMS, self._project / "params.commit")
            train = params_in(read_text(self._project / PARAMS)).train
            _require_amounts([_keep(self._project, share, train) for share in self._shares])
        return self._project


def _keep(project: Path, share: float, train: Train) -> int:
    shutil.copytree(project / "tokens.whole", project / TOKENS, dirs_exist_ok=True)
    return keep_share(project, share, groups_in(project), train)


def _require_amounts(rows: Sequence[int]) -> None:
    if len(set(rows)) < LEAST_POINTS:
        problem = f"at least {LEAST_POINTS} different numbers of training rows (got {', '.join(map(str, rows))})"
        raise InputError(problem, place="--shares", remedy="name shares that are further apart, or add rows")


def _run(project: Path, stage: str) -> None:
    """Run the command that dvc.yaml gives the stage, without DVC: for it, these tokens are none that a stage made."""
    words = shlex.split(read_yaml(project / "dvc.yaml")["stages"][stage]["cmd"])
    command = [sys.executable, *words[1:]] if words[0] == "python" else words
    done = subprocess.run(
        command, cwd=project, env=environment_of(project), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")
        problem = next((line[7:] for line in said.splitlines() if line.startswith("error: ")), said.strip()[-500:])
        raise MachineError(problem, place=f"curve: {stage}", remedy="run `dvc repro`, and mend what it says")
