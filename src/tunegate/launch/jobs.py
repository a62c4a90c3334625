"""A training job for a cluster's scheduler: a training on several machines, as params.yaml and dvc.yaml have it.

Reads both; `kubernetes` and `slurm` render it. Starts nothing.
"""

import dataclasses
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from tunegate.errors import InputError, UsageError
from tunegate.files import read_yaml, value_at
from tunegate.params import load_params

PORT = 29500
"""The port of the rendezvous on the first node."""

_TIME = re.compile(r"(?:(\d+)-)?(\d{1,2}):([0-5]\d):([0-5]\d)")
_FORMS = {
    "name": (re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?"), "helpdesk-train, at most 50 signs"),
    "memory": (re.compile(r"[1-9]\d*[MG]"), "512M or 64G"),
    "time": (_TIME, "04:00:00 or 2-00:00:00"),
    "partition": (re.compile(r"\w[\w.-]*(,\w[\w.-]*)*", re.ASCII), "gpu, or several as gpu,long"),
    "image": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*"), "registry.example/tunegate@sha256:..."),
    "claim": (re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"), "project"),
}
"""By option: what it may be, and an example."""


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
    cpus: int,
    memory: str,
    grace: int,
    name: str | None = None,
    time: str | None = None,
) -> Job:
    """The job for the training that `params` (params.yaml) and `pipeline` (dvc.yaml) describe.

    Raises UsageError for an invalid option, InputError where Ray is to start the processes, and for a pipeline
    whose stage `train` is not one command.
    """
    settings = load_params(params)
    compute = settings.compute
    if compute.engine == "ray":
        remedy = "submit `dvc repro train` to the Ray cluster, or set it to local"
        raise InputError("Ray starts the processes itself", place=f"{params}: compute.engine", remedy=remedy)
    name = name or re.sub(r"[^a-z0-9]+", "-", f"{settings.score.name}-train".lower()).strip("-")
    require_forms({"name": name, "memory": memory, "time": time})
    gpus = compute.processes if settings.train.device == "cuda" else 0
    return Job(name, _command(pipeline), compute.nodes, gpus, cpus, memory, grace, time)


def require_forms(options: Mapping[str, str | None]) -> None:
    """Raise UsageError for the first invalid option: in a job's text it could be more than a value."""
    for option, value in options.items():
        form, example = _FORMS[option]
        if value is not None and not form.fullmatch(value):
            raise UsageError(f"--{option} {value!r} is not valid", remedy=f"write it as {example}")


def _command(pipeline: Path) -> str:
    """The command of the stage `train`. Of several joined by a shell, the one that trains would get no signal."""
    command = value_at(read_yaml(pipeline), "stages", "train", "cmd")
    problem = "must be one command"
    if not isinstance(command, str) or not command.strip():
        problem += f" (got {command!r})"
    elif _is_joined(command):
        problem += f", without ; & | < > ( ) and line breaks (got {command!r})"
    else:
        return command.strip()
    remedy = "write it as `tunegate init` does: python -m tunegate.stages train ..."
    raise InputError(problem, place=f"{pipeline}: stages.train.cmd", remedy=remedy)


def _is_joined(command: str) -> bool:
    """Whether a shell would make more of it than one process."""
    try:
        words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
    except ValueError:  # a quote without its end
        return True
    return "\n" in command.strip() or any(set(word) <= set("();<>|&") for word in words if word)
