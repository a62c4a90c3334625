"""The record of a trial, .tunegate/search/<name>/trials/<number>.json, written when the trial has ended."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tunegate.files import read_json, write_json
from tunegate.params import Closed, parse
from tunegate.repository.lineage import digest

State = Literal["complete", "pruned", "failed"]


class Change(Closed):
    """A parameter's value at the commit, and the trial's."""

    before: Any
    after: Any


class Trial(Closed):
    """A trial that has ended."""

    number: int
    params: dict[str, Any]
    """The searched parameters by key of params.yaml."""
    diff: dict[str, Change]
    """Those that differ from the commit's."""
    state: State
    reason: str = ""
    """Why it is not complete."""
    values: dict[str, float] = Field(default={})
    """The objectives by metric, of a complete one."""
    course: tuple[float, ...] = ()
    """Loss on the validation rows, measurement by measurement; of a pruned one up to where it was stopped."""
    lineage: str = ""
    """Names its model."""
    test_set: str = ""
    """sha256 of the test rows, so that scores of different ones are not compared."""
    metrics: dict[str, float] = Field(default={})
    """All numbers, as the run's record has them: scores, latency and costs."""
    seconds: float = 0.0
    """Wall time of the whole trial. Differs each time, like the costs."""
    run: str = ""
    """Its record among the runs of this machine."""

    def result(self) -> list[Any]:
        """What is equal each time the same search runs: no time and no cost except those that are objectives."""
        return [self.number, self.params, self.state, self.values, self.course, self.lineage]


def read_trial(path: Path) -> Trial | None:
    """The trial in the file, or None where there is none. Raises InputError for a damaged one."""
    if not path.exists():
        return None
    return parse(Trial, read_json(path), place=str(path), remedy="delete this file: the trial is run again")


def write_trial(path: Path, trial: Trial) -> None:
    """Write the record, whole or not at all."""
    write_json(path, trial.model_dump(mode="json"))


def sha256_of_table(trials: list[Trial]) -> str:
    """The name of a search's results: equal for two searches that chose, stopped and measured the same."""
    return digest([trial.result() for trial in sorted(trials, key=lambda trial: trial.number)])
