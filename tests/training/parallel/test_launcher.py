"""Starting processes: with scripts in place of training where what they do does not matter, and whole runs of the
stage `train` on the tiny model.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from train_stage import outcome_of, set_params, start, wait_for_checkpoint

from tunegate.errors import InputError, MachineError, RefusedError, Stopped
from tunegate.files import read_json, sha256_of
from tunegate.params import Compute
from tunegate.training.parallel.launcher import environments_of, needed, run
from tunegate.training.parallel.workers import LOST_PEER


@contextlib.contextmanager
def two_nodes() -> Iterator[list["subprocess.Popen[str]"]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    nodes = [start(NODE_RANK=str(rank), **meeting) for rank in range(2)]
    try:
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def script(text: str) -> list[str]:
    return [sys.executable, "-c", f"import os, signal, sys, time; rank = int(os.environ['RANK'])\n{text}"]


def ranks(size: int = 2) -> list[dict[str, str]]:
    return [{"RANK": str(rank)} for rank in range(size)]


def test_all_processes_run_and_each_knows_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with environments_of(Compute(processes=3, strategy="ddp")) as environments:
        names = "'RANK', 'LOCAL_RANK', 'WORLD_SIZE'"
        run(script(f"open(f'{{rank}}', 'w').write(' '.join(os.environ[name] for name in ({names})))"), environments)
    assert [Path(str(rank)).read_text() for rank in range(3)] == ["0 0 3", "1 1 3", "2 2 3"]


def test_the_process_that_died_is_named_with_its_last_lines_and_the_others_are_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tunegate.training.parallel.launcher._GRACE_SECONDS", 0.1)
    text = "if rank == 1: print('out of luck', file=sys.stderr); os.kill(os.getpid(), 9)\nelse: time.sleep(60)"
    with pytest.raises(MachineError, match=r"process 1 was killed by SIGKILL .*its last lines:\n  out of luck"):
        run(script(text), ranks(3))


def test_the_cause_is_reported_and_not_the_lost_peer() -> None:
    text = f"print('{LOST_PEER}' if rank == 0 else 'no room', file=sys.stderr); time.sleep(rank / 5); sys.exit(1)"
    with pytest.raises(MachineError, match=r"process 1 ended with exit code 1; its last lines:\n  no room"):
        run(script(text), ranks())


def test_what_the_processes_refuse_is_refused() -> None:
    with pytest.raises(RefusedError, match="exit code 3"):
        run(script("sys.exit(3)"), ranks())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_goes_on_to_all_processes_and_is_answered_by_all(number: signal.Signals, tmp_path: Path) -> None:
    text = (
        "def stop(number, _): open(f'{out}/{rank}', 'w').write(str(number)); sys.exit(128 + number)\n"
        "signal.signal(signal.SIGTERM, stop); signal.signal(signal.SIGINT, stop)\n"
        f"if rank == 1: os.kill(os.getppid(), {int(number)})\n"
        "time.sleep(60)"
    )
    with pytest.raises(Stopped) as stopped:
        run(script(f"out = {str(tmp_path)!r}\n{text}"), [*ranks()])
    assert stopped.value.number == number


def test_threads_are_shared_out_unless_the_user_has_said_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Compute(processes=2, strategy="ddp")
    with environments_of(compute) as environments:
        assert "OMP_NUM_THREADS" not in environments[0]
    monkeypatch.delenv("OMP_NUM_THREADS")
    with environments_of(compute) as environments:
        assert int(environments[0]["OMP_NUM_THREADS"]) == max(1, len(os.sched_getaffinity(0)) // 2)


def test_several_nodes_without_a_launcher_are_an_error_that_says_what_starts_them(train_inputs: Path) -> None:
    with pytest.raises(InputError, match="does not say NODE_RANK, MASTER_ADDR, MASTER_PORT") as caught:
        environments_of(Compute(nodes=2, strategy="ddp")).__enter__()
    assert "tunegate launch --print" in caught.value.remedy


def test_a_node_beyond_the_last_is_refused(train_inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NODE_RANK": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="a number from 0 to 1"):
        environments_of(Compute(nodes=2, strategy="ddp")).__enter__()


def test_who_was_started_starts_nobody(train_inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Compute(processes=2, strategy="ddp")
    assert needed(compute)
    assert not needed(Compute())
    monkeypatch.setenv("RANK", "1")
    assert not needed(compute)


def test_a_node_that_is_preempted_stops_all_and_they_resume_to_the_bytes_of_an_undisturbed_run(
    train_inputs: Path,
) -> None:
    set_params({"processes": 2, "strategy": "ddp"})
    code, output = outcome_of(start())
    assert code == 0, output
    undisturbed = sha256_of(Path("adapter/adapter_model.safetensors"))
    losses = Path("trajectory.csv").read_text()
    shutil.rmtree("adapter")

    set_params({"nodes": 2, "strategy": "ddp"})
    with two_nodes() as nodes:
        wait_for_checkpoint(nodes[1])
        nodes[1].send_signal(signal.SIGTERM)
        ends = [outcome_of(node) for node in nodes]
    assert [code for code, _ in ends] == [143, 143], ends
    assert "checkpoint saved after step" in ends[0][1]
    assert not Path("adapter").exists()
    with two_nodes() as nodes:
        ends = [outcome_of(node) for node in nodes]
    assert [code for code, _ in ends] == [0, 0], ends
    assert read_json(Path("cost.json"))["resumed"]
    assert sha256_of(Path("adapter/adapter_model.safetensors")) == undisturbed
    assert Path("trajectory.csv").read_text() == losses


def test_a_killed_worker_ends_the_run_with_its_rank_and_a_killed_parent_ends_its_workers(train_inputs: Path) -> None:
    set_params({"processes": 2, "strategy": "ddp"}, epochs=200)
    parent = start(TUNEGATE_TEST_FORKSERVER="")
    wait_for_checkpoint(parent)
    workers = psutil.Process(parent.pid).children()
    second = next(worker for worker in workers if worker.environ()["RANK"] == "1")
    listening = {c.laddr.ip for worker in workers for c in worker.net_connections() if c.status == "LISTEN"}
    assert listening <= {"127.0.0.1", "::1"}
    second.kill()
    code, output = outcome_of(parent)
    assert code == 1
    assert "error: train: process 1 was killed by SIGKILL" in output
    assert not any(worker.is_running() for worker in workers)

    parent = start(TUNEGATE_TEST_FORKSERVER="")
    while len(children := psutil.Process(parent.pid).children()) < 2:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert len(gone) == 2
    assert not alive
