"""The processes of a run on the nodes of a Ray cluster, by Ray Train; what dies is started anew from the checkpoint.

Ray places one worker per process and starts all of them again when one or its node is lost. Each worker starts the
stage as a process of its own, so that the run is the same as without Ray. All nodes see one working directory, checked
before the start; through it go checkpoints, the request to stop, and how each process ended. Connects to the cluster of
RAY_ADDRESS and starts none.
"""

import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError, Stopped
from tunegate.files import STATE, read_json, write_json, write_text
from tunegate.params import Compute
from tunegate.training import signals
from tunegate.training.parallel.workers import CHILD, ERRORS, LOST_PEER, Worker

FOLDER = STATE / "ray"
RESTARTS = 3
"""How often the processes are started anew before the run gives up."""
_TURN_SECONDS = 0.2
_GRACE_SECONDS = 5.0
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


def launch_on_ray(command: Sequence[str], compute: Compute, device: str) -> None:
    """Run a command, which follows the interpreter, in all processes of the run, and wait for them.

    Raises InputError without a cluster, MachineError when the cluster is too small, a node does not see the working
    directory or processes died too often; else what `launcher.launch` raises.
    """
    cpus = _connected(compute)
    import ray

    try:
        _run(command, compute, device, cpus)
    finally:
        ray.shutdown()


def _run(command: Sequence[str], compute: Compute, device: str, cpus: int) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    config = {"folder": str(FOLDER.absolute()), "mark": secrets.token_hex(8), "command": list(command)}
    write_json(FOLDER / "run.json", {"mark": config["mark"]})
    _require_shared(config)
    failed: list[Exception] = []
    with signals.noted() as caught:
        # In another thread: in the main one, Ray would handle SIGINT itself.
        fitting = threading.Thread(target=_fit, args=(config, compute, device, cpus, failed))
        fitting.start()
        while fitting.is_alive():
            if caught and not (FOLDER / "stop").exists():
                write_text(FOLDER / "stop", str(caught[0]))
            fitting.join(_TURN_SECONDS)
    _report(compute.processes * compute.nodes, failed)
    shutil.rmtree(FOLDER)


def _connected(compute: Compute) -> int:
    """Connect to the cluster; the processors that each process gets."""
    try:
        import ray
    except ModuleNotFoundError:
        remedy = "install it with `pip install 'tunegate[ray]'`"
        raise MachineError(
            "compute.engine is ray, and Ray is not installed", place="params.yaml", remedy=remedy
        ) from None
    if not os.environ.get("RAY_ADDRESS"):
        remedy = (
            "set it to the address of a Ray cluster (`ray start --head` prints one), or set compute.engine to local"
        )
        raise InputError("compute.engine is ray, and RAY_ADDRESS is not set", place="environment", remedy=remedy)
    try:
        # Workers import tunegate from where they find it, and no file is uploaded.
        ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=True, logging_level="warning")
    except (ConnectionError, ValueError, RuntimeError) as error:
        problem = f"no Ray cluster answers: {str(error).splitlines()[0]}"
        raise MachineError(problem, place="RAY_ADDRESS", remedy="start it, or correct the address") from None
    cpus = sorted((int(node["Resources"].get("CPU", 0)) for node in _nodes()), reverse=True)
    if len(cpus) < compute.nodes:
        problem = f"the Ray cluster has {len(cpus)} nodes with processors, and compute.nodes is {compute.nodes}"
        raise MachineError(problem, place="params.yaml: compute.nodes", remedy="add nodes, or lower it")
    return max(1, cpus[compute.nodes - 1] // compute.processes)


def _nodes() -> list[dict[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]


def _require_shared(config: dict[str, Any]) -> None:
    """Raise MachineError unless every node sees the file that this one has just written."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0)(_sees_folder)
    answers = {}
    for node in _nodes():
        where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        answers[node["NodeManagerHostname"]] = task.options(scheduling_strategy=where).remote(config)
    without_folder = sorted(name for name, answer in answers.items() if not ray.get(answer))
    if without_folder:
        problem = f"{', '.join(without_folder)} cannot see the working directory {Path.cwd()}"
        remedy = "put the repository on a folder that all nodes mount at the same path"
        raise MachineError(problem, place="train", remedy=remedy)


def _sees_folder(config: dict[str, Any]) -> bool:
    path = Path(config["folder"]) / "run.json"
    return path.exists() and read_json(path)["mark"] == config["mark"]


def _fit(config: dict[str, Any], compute: Compute, device: str, cpus: int, failed: list[Exception]) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpus = {"GPU": 1} if device == "cuda" else {}
    scaling = ScalingConfig(
        num_workers=compute.processes * compute.nodes,
        use_gpu=bool(gpus),
        resources_per_worker={"CPU": cpus, **gpus},
        placement_strategy="PACK" if compute.nodes == 1 else "SPREAD",
    )
    run = RunConfig(name="train", storage_path=config["folder"], failure_config=FailureConfig(max_failures=RESTARTS))
    trainer = TorchTrainer(
        _work,
        train_loop_config=config,
        torch_config=TorchConfig(backend="gloo"),  # Ray's own group; the processes meet in one of theirs
        scaling_config=scaling,
        run_config=run,
    )
    try:
        trainer.fit()
    except Exception as error:
        failed.append(error)


def _work(config: dict[str, Any]) -> None:
    """What a Ray worker does: find out who it is, and run the process. Raises to be started again."""
    import ray
    from ray.train import get_context
    from ray.train.collective import broadcast_from_rank_zero

    context, folder = get_context(), Path(config["folder"])
    host = ray.util.get_node_ip_address()
    host, port = broadcast_from_rank_zero((host, _free_port(host)) if context.get_world_rank() == 0 else None)
    environment = {
        "RANK": str(context.get_world_rank()),
        "LOCAL_RANK": str(context.get_local_rank()),
        "WORLD_SIZE": str(context.get_world_size()),
        "LOCAL_WORLD_SIZE": str(context.get_local_world_size()),
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
        CHILD: "1",
    }
    os.chdir(folder.parents[1])
    _run_process(Worker([sys.executable, *config["command"]], environment), folder)


def _run_process(worker: Worker, folder: Path) -> None:
    """Watch the process and write to `folder` how it ended. Raises RuntimeError when it is to be started again."""
    given_up = _watch(worker, folder)
    code = worker.code or 0
    lost = code != 0 and (given_up or code < 0 or LOST_PEER in worker.last_lines)
    if lost and not _waited_for_failure(folder):
        raise RuntimeError(f"process {worker.rank} {worker.ending}:\n{worker.last_lines}")
    outcome = {"code": 1, "lines": LOST_PEER} if lost else {"code": code, "lines": worker.last_lines}
    write_json(folder / f"{worker.rank}.json", outcome | {"ending": worker.ending})


def _watch(worker: Worker, folder: Path) -> bool:
    """Until it has ended, which it must when another failed and it has not noticed: whether that was so."""
    stopping, until = False, float("inf")
    try:
        while worker.code is None and time.monotonic() < until:
            if not stopping and (folder / "stop").exists():
                stopping = True
                worker.signal(int((folder / "stop").read_text(encoding="utf-8")))
            if _has_failed(folder):
                until = min(until, time.monotonic() + _GRACE_SECONDS)
            time.sleep(_TURN_SECONDS)
        return worker.code is None
    finally:
        worker.end()


def _has_failed(folder: Path) -> bool:
    """Whether a process says that it ended by an error of its own."""
    codes = [read_json(path)["code"] for path in folder.glob("*.json") if path.stem.isdecimal()]
    return any(code and code not in _STOPPED for code in codes)


def _waited_for_failure(folder: Path) -> bool:
    """Whether another process says within some seconds that it ended by an error, for which this one lost it."""
    limit = time.monotonic() + _GRACE_SECONDS
    while not _has_failed(folder) and time.monotonic() < limit:
        time.sleep(_TURN_SECONDS)
    return _has_failed(folder)


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


def _report(size: int, failed: list[Exception]) -> None:
    outcomes = {rank: read_json(path) for rank in range(size) if (path := FOLDER / f"{rank}.json").exists()}
    codes = [outcome["code"] for outcome in outcomes.values()]
    if stopped := [code for code in codes if code in _STOPPED]:
        raise Stopped(stopped[0] - 128)
    wrong = [(rank, each) for rank, each in outcomes.items() if each["code"] and LOST_PEER not in each["lines"]]
    if wrong:
        rank, each = wrong[0]
        problem = f"process {rank} {each['ending']}; its last lines:\n{each['lines']}"
        raise ERRORS.get(each["code"], MachineError)(problem, place="train", remedy="mend what it says")
    if failed or len(outcomes) < size:
        problem = f"the processes died {RESTARTS + 1} times; at last: {failed[0] if failed else 'without a word'}"
        remedy = "look at the nodes; `dvc repro` resumes from the last checkpoint"
        raise MachineError(problem, place="train", remedy=remedy)
