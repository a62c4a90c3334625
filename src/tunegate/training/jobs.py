"""What a cluster's scheduler is asked for: a training on several machines, as params.yaml and dvc.yaml have it.

Reads both; `kubernetes` and `slurm` write it down in their words. Starts nothing.
"""

import dataclasses
import re
from pathlib import Path

from tunegate.errors import InputError, UsageError
from tunegate.files import read_yaml
from tunegate.params import load_params

PORT = 29500
"""Where the nodes meet on the first one."""

_TIME = re.compile(r"(?:(\d+)-)?(\d{1,2}):([0-5]\d):([0-5]\d)")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?")
_MEMORY = re.compile(r"[1-9]\d*[MG]")


@dataclasses.dataclass(frozen=True)
class Job:
    """One training. Each node runs `command` once, which starts the node's processes."""

    name: str
    command: str
    nodes: int
    gpus: int
    """Of each node: one for each process, or none."""
    cpus: int
    """Of each node."""
    memory: str
    """Of each node, as 512M or 64G."""
    grace: int
    """Seconds between the request to stop and the end by force: a step and a checkpoint must fit."""
    time: str | None = None
    """At most, as [days-]hours:minutes:seconds."""

    @property
    def seconds(self) -> int | None:
        """`time` in seconds."""
        if self.time is None:
            return None
        days, hours, minutes, seconds = (int(part or 0) for part in _TIME.fullmatch(self.time).groups())  # type: ignore[union-attr]
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def job_of(  # noqa: PLR0913 (one argument per option)
    params: Path,
    pipeline: Path,
    *,
    name: str | None = None,
    cpus: int = 1,
    memory: str = "8G",
    grace: int = 120,
    time: str | None = None,
) -> Job:
    """The job for the training that `params` (params.yaml) and `pipeline` (dvc.yaml) describe.

    Raises UsageError for an option that cannot be, InputError where Ray is to start the processes.
    """
    settings = load_params(params)
    compute = settings.compute
    if compute.engine == "ray":
        remedy = "submit `dvc repro train` to the Ray cluster, or set it to local"
        raise InputError("Ray starts the processes itself", place=f"{params}: compute.engine", remedy=remedy)
    name = name or re.sub(r"[^a-z0-9]+", "-", f"{settings.score.name}-train".lower()).strip("-")
    for option, value, form, example in (
        ("--name", name, _NAME, "helpdesk-train, at most 50 signs"),
        ("--memory", memory, _MEMORY, "512M or 64G"),
        ("--time", time, _TIME, "04:00:00 or 2-00:00:00"),
    ):
        if value is not None and not form.fullmatch(value):
            raise UsageError(f"{option} {value!r} cannot be", remedy=f"write it as {example}")
    gpus = compute.processes if settings.train.device == "cuda" else 0
    command = str(read_yaml(pipeline)["stages"]["train"]["cmd"])
    return Job(name, command, compute.nodes, gpus, cpus, memory, grace, time)
