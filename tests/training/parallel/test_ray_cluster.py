"""A run on a real Ray cluster: two nodes of one processor each, on loopback."""

import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from train_stage import outcome_of, set_params, start, wait_for_checkpoint

from tunegate.errors import InputError, MachineError, RefusedError, Stopped
from tunegate.files import read_json, sha256_of, write_json, write_text
from tunegate.params import Compute
from tunegate.training.parallel import ray_cluster
from tunegate.training.parallel.workers import Worker

# Ray's own limits are for machines with nothing else to do.
PATIENT = {
    "GLOO_SOCKET_IFNAME": "lo",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "180000",
    "RAY_raylet_start_wait_time_s": "180",
}
LOOPBACK = "127.0.0.2"
"""Not 127.0.0.1: for that, Ray looks for the cluster at another address of the machine."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of the cluster."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PATIENT.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": LOOPBACK}
        found = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
        found.add_node(**node)
        yield found.address
        found.shutdown()


@pytest.fixture
def in_cluster(cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process may connect to the cluster; the working directory is one that all nodes see."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    yield
    import ray

    ray.shutdown()


TWO = Compute(engine="ray", nodes=2, strategy="ddp")


def test_without_the_address_of_a_cluster_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match="RAY_ADDRESS is not set") as caught:
        ray_cluster.launch_on_ray(["-c", ""], TWO, "cpu")
    assert "compute.engine to local" in caught.value.remedy


def test_a_cluster_with_too_few_nodes_is_refused_with_both_numbers(in_cluster: None) -> None:
    compute = Compute(engine="ray", nodes=3, strategy="ddp")
    with pytest.raises(MachineError, match=r"has 2 nodes with processors, and compute\.nodes is 3"):
        ray_cluster.launch_on_ray(["-c", ""], compute, "cpu")


def test_a_node_that_does_not_see_the_working_directory_is_named(in_cluster: None, tmp_path: Path) -> None:
    ray_cluster._connected(TWO)
    write_json(ray_cluster.FOLDER / "run.json", {"mark": "another"})
    with pytest.raises(MachineError, match=rf"{socket.gethostname()}.* cannot see the working directory") as caught:
        ray_cluster._require_shared({"folder": str(ray_cluster.FOLDER.absolute()), "mark": "this"})
    assert "all nodes mount" in caught.value.remedy


def report_of_two(text: str, *, stop: int | None = None) -> None:
    """Run a script as both processes of a run, each as its Ray worker does, and raise what the run raises.

    `stop` is the signal that the run is told to pass on once both have started.
    """
    ray_cluster.FOLDER.mkdir(parents=True)
    code = f"import os, signal, sys, time; rank = os.environ['RANK']\n{text}"
    workers = [Worker([sys.executable, "-c", code], {"RANK": rank}) for rank in "01"]
    threads = [threading.Thread(target=ray_cluster._run_process, args=(w, ray_cluster.FOLDER)) for w in workers]
    for thread in threads:
        thread.start()
    while stop and not all("ready" in worker.last_lines for worker in workers):
        time.sleep(0.05)
    if stop:
        write_text(ray_cluster.FOLDER / "stop", str(stop))
    for thread in threads:
        thread.join()
    ray_cluster._report(2, [])


def test_one_that_refuses_ends_the_others_and_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_cluster, "_GRACE_SECONDS", 0.5)
    with pytest.raises(RefusedError, match=r"process 1 ended with exit code 3; .*\n  error: no"):
        report_of_two("if rank == '1': print('error: no', file=sys.stderr); sys.exit(3)\ntime.sleep(60)")


def test_a_signal_reaches_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        "def stop(number, _): open(f'stopped-{rank}', 'w'); sys.exit(128 + number)\n"
        "signal.signal(signal.SIGTERM, stop); print('ready', file=sys.stderr, flush=True); time.sleep(60)"
    )
    with pytest.raises(Stopped) as stopped:
        report_of_two(text, stop=signal.SIGTERM)
    assert stopped.value.number == signal.SIGTERM
    assert len(list(tmp_path.glob("stopped-*"))) == 2


def test_a_run_that_lost_a_process_goes_on_from_its_checkpoint_to_the_bytes_of_an_undisturbed_one(
    train_inputs: Path, cluster: str, request: pytest.FixtureRequest
) -> None:
    set_params({"processes": 2, "strategy": "ddp"}, epochs=30)
    code, said = outcome_of(start())
    assert code == 0, said
    undisturbed = sha256_of(Path("adapter/adapter_model.safetensors"))
    shutil.rmtree("adapter")

    set_params({"engine": "ray", "nodes": 2, "strategy": "ddp"}, epochs=30)
    run = start(RAY_ADDRESS=cluster, **PATIENT)
    request.addfinalizer(run.kill)
    wait_for_checkpoint(run)
    second = next(process for process in psutil.process_iter(["cmdline"]) if rank_of(process) == "1")
    second.kill()
    code, said = outcome_of(run)
    assert code == 0, said
    assert read_json(Path("cost.json"))["resumed"]
    assert sha256_of(Path("adapter/adapter_model.safetensors")) == undisturbed


def rank_of(process: Any) -> str:
    """The rank of a process of this run, or nothing."""
    try:
        ours = "tunegate.stages" in process.cmdline() and process.cwd() == str(Path.cwd())
        return str(process.environ().get("RANK", "")) if ours else ""
    except psutil.Error:
        return ""
