"""Starting the processes of one machine that train together, watching them, and reporting how they ended.

A signal to this process goes on to all of them; when one dies the others are ended, and the error names the one that
died with its last lines. The first process's output is shown as it comes.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunegate.errors import InputError, MachineError, Stopped
from tunegate.machine import cores
from tunegate.params import Compute
from tunegate.training import signals
from tunegate.training.parallel.ray_cluster import launch_on_ray
from tunegate.training.parallel.workers import CHILD, ERRORS, LOST_PEER, RENDEZVOUS_FILE, Worker, number_of

_NODE = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
_TURN_SECONDS = 0.05
_GRACE_SECONDS = 3.0
"""How long the others may go on when one has failed: a process that lost a peer notices, and may be the cause."""
_STOP_SECONDS = 1800.0
"""How long they may take to stop after a step and a checkpoint: as long as they wait for each other."""


def needed(compute: Compute) -> bool:
    """Whether this process is to start others, and is not one that was started."""
    return compute.processes * compute.nodes > 1 and "RANK" not in os.environ


def launch(stage: str, paths: Sequence[str], compute: Compute, device: str) -> None:
    """Run a stage in `compute.processes` processes on this machine, or in all on a Ray cluster, and wait for them.

    Raises Stopped when a signal ended them, and the error of the first one that failed otherwise.
    """
    command = ["-m", "tunegate.stages", stage, *paths]
    if compute.engine == "ray":
        launch_on_ray(command, compute, device)
        return
    with environments_of(compute) as environments:
        run([sys.executable, *command], environments)


def run(command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> None:
    """Run a command once with each environment added to this process's, and wait for all. Raises as `launch` does."""
    with signals.noted(impatient=True) as caught:
        workers = [Worker(command, environment) for environment in environments]
        try:
            _watch(workers, caught)
        finally:
            for worker in workers:
                worker.end()
    _report(workers)


@contextmanager
def environments_of(compute: Compute) -> Iterator[list[dict[str, str]]]:
    """What the environment of each process adds: its rank, and the rendezvous."""
    first, size = _node(compute) * compute.processes, compute.processes * compute.nodes
    with tempfile.TemporaryDirectory(prefix="tunegate-") as folder:
        shared = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(compute.processes), CHILD: "1"}
        shared |= _threads(compute.processes, os.environ)
        if compute.nodes == 1:
            loopback = "lo0" if sys.platform == "darwin" else "lo"
            shared |= {RENDEZVOUS_FILE: str(Path(folder) / "rendezvous")}
            shared |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
        yield [shared | {"RANK": str(first + n), "LOCAL_RANK": str(n)} for n in range(compute.processes)]


def _node(compute: Compute) -> int:
    """Which node this is, from 0; with several, a launcher must say so, and where the first one is."""
    if compute.nodes == 1:
        return 0
    missing = [name for name in _NODE if not os.environ.get(name)]
    if missing:
        problem = f"compute.nodes is {compute.nodes}, and the environment does not say {', '.join(missing)}"
        remedy = "start it by what `tunegate launch --print` prints, or with compute.engine: ray"
        raise InputError(problem, place="environment", remedy=remedy)
    return number_of("NODE_RANK", below=compute.nodes)


def _threads(processes: int, environment: Mapping[str, str]) -> dict[str, str]:
    if "OMP_NUM_THREADS" in environment:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, cores() // processes))}


def _watch(workers: list[Worker], caught: list[int]) -> None:
    """Until all have ended; or, some time after, one has failed or been asked to stop. Passes signals on."""
    passed_on, until = 0, float("inf")
    while any(worker.code is None for worker in workers) and time.monotonic() < until:
        for number in caught[passed_on:]:
            passed_on += 1
            until = min(until, time.monotonic() + _STOP_SECONDS)
            for worker in workers:
                worker.signal(number)
        if any(worker.code not in (None, 0) and not (passed_on and worker.signal_number) for worker in workers):
            until = min(until, time.monotonic() + _GRACE_SECONDS)
        time.sleep(_TURN_SECONDS)


def _report(workers: list[Worker]) -> None:
    failed = sorted((worker for worker in workers if worker.code != 0), key=lambda worker: worker.ended_at)
    if not failed:
        return
    signals = [worker.signal_number for worker in failed]
    if len(failed) == len(workers) and all(signals):
        raise Stopped(signals[0])
    worker = next((worker for worker in failed if LOST_PEER not in worker.last_lines), failed[0])
    problem = f"process {worker.rank} {worker.ending}; its last lines:\n{worker.last_lines}"
    remedy = "mend what it says; `dvc repro` resumes from the last checkpoint, if there is one"
    raise ERRORS.get(worker.code or 0, MachineError)(problem, place="train", remedy=remedy)
